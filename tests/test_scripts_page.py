"""The tables of the documentation are made from the headers; what a script costs stands in one place."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bpftop.cli.choice import say_costs
from bpftop.errors import ScriptError
from bpftop.model import Cost
from bpftop.scripts import costs, page
from bpftop.scripts.catalog import script_folder, shipped, templates, variants
from tests.test_cli import run

CHECKOUT = Path(__file__).parents[1]
DEAR = Cost((0.63, 0.62, 0.65), (6.78, 6.64, 7.34), (0.6, 0.5, 0.7), 136.0)
CHEAP = Cost((0.95, 0.93, 0.99), (0.4, 0.2, 0.8), (0.97, 0.9, 1.0), None)


@pytest.mark.parametrize(("name", "mark"), page.tables())
def test_no_table_is_stale(name: str, mark: str) -> None:
    """``make docs`` or ``BPFTOP_GOLDENS=write`` makes them anew."""
    if os.environ.get("BPFTOP_GOLDENS") == "write":
        page.write(CHECKOUT)
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    table = page.tables()[name, mark]
    assert page.replaced(text, mark, table) == text, f"<!-- {mark} --> in {name} is stale: make docs"


def test_every_script_says_when_to_use_it_what_it_does_not_see_and_what_it_costs() -> None:
    whole = page.tables()["docs/scripts.md", "scripts"]
    listed = run("scripts").stdout.replace("\n    ", " ").replace("\n  ", " ")
    for script in shipped().values():
        assert script.when, script.name
        assert script.unseen, script.name
        told = costs.told(script)
        assert told, script.name
        for words in (script.when, *script.unseen, told):
            assert words in listed, script.name
            assert script.default or words in whole, script.name
        for each in (*script.measures, *script.counters):
            assert f"`{each.name}`" in page.tables()["docs/scripts.md", "figures"]


def test_a_script_above_five_percent_warns_and_its_words_are_those_of_the_measurement() -> None:
    measured = costs.read(script_folder()).scripts
    assert set(measured) == set(shipped()) - set(templates())
    for name, cost in measured.items():
        assert shipped()[name].cost == costs.warning(cost)
        assert bool(shipped()[name].cost) == (cost.rate[0] < costs.WARN_BELOW)
    assert (
        costs.warning(DEAR)
        == "37 % (35 to 38) of the requests/s of a saturated nginx, 6.8 us of CPU each, 136 ns a hit"
    )
    assert costs.warning(replace(DEAR, ns_per_hit=None)).endswith("6.8 us of CPU each")
    assert costs.warning(CHEAP) == ""
    script = replace(shipped()["disk"], measured=CHEAP, cost="")
    assert costs.told(script) == "5 % or less: a saturated nginx keeps 0.95 (0.93 to 0.99) of its requests/s"
    for variant in variants().values():
        assert variant.cost.startswith(shipped()[variant.name].cost)


def test_costs_are_read_as_they_were_written(tmp_path: Path) -> None:
    found = costs.Costs(("busy: 7 µs",), {"a": DEAR, "b": CHEAP})
    costs.write(tmp_path, found)
    assert costs.read(tmp_path) == found
    assert page.cost_table(found).splitlines()[2:] == [
        "| a | 0.63 (0.62 to 0.65) | 6.78 (6.64 to 7.34) | 0.60 (0.50 to 0.70) | 136 |",
        "| b | 0.95 (0.93 to 0.99) | 0.40 (0.20 to 0.80) | 0.97 (0.90 to 1.00) | – |",
        "",
        "- busy: 7 µs",
    ]


@pytest.mark.parametrize(
    "text", ["", "{}", '{"runs": [], "scripts": {"a": {"rate": 1}}}', '{"runs": [], "scripts": [1]}']
)
def test_damaged_costs_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "costs.json").write_text(text)
    with pytest.raises(ScriptError, match="measured costs"):
        costs.read(tmp_path)


def test_a_missing_mark_is_named() -> None:
    assert page.replaced("<!-- a -->\nold\n<!-- /a -->", "a", "new") == "<!-- a -->\nnew\n<!-- /a -->"
    with pytest.raises(ScriptError, match="<!-- b -->"):
        page.replaced("<!-- a --><!-- /a -->", "b", "new")


def test_several_scripts_are_warned_of_in_one_sentence() -> None:
    known = shipped()
    dear, other = replace(known["syscalls"], measured=DEAR, cost=costs.warning(DEAR)), known["usdt"]
    cheap = replace(known["disk"], measured=CHEAP, cost="")
    assert costs.warnings([cheap]) == []
    assert costs.warnings([dear, cheap, other]) == [f"syscalls costs {dear.cost}", f"usdt costs {other.cost}"]
    assert costs.warnings([dear, replace(dear, name="tcp"), other]) == [
        "of the requests/s of a saturated nginx the scripts take: syscalls 37 %, tcp 37 % (bpftop scripts)",
        f"usdt costs {other.cost}",
    ]
    said: list[str] = []
    say_costs([dear, cheap], said.append)
    assert said == [f"syscalls costs {dear.cost}"]
