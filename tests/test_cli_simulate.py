"""``--simulate [SCENARIO]`` on the command line: what it takes, what it refuses, the truth beside the figures."""

from __future__ import annotations

import json

import pytest

from bpftop.cli import main
from bpftop.scenarios import LOOK, NAMES, SUMMARIES


def test_the_truth_of_a_scenario_is_printed_beside_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--simulate", "slow-upstream", "nginx", "-d", "8", "--speed", "max", "--seed", "5", "--truth")
    runs = []
    for _ in range(2):
        assert main(["report", *words, "--format", "json", "--with", "upstream"]) == 0
        out, said = capsys.readouterr()
        assert said == ""
        runs.append(json.loads(out)["truth"])
    one, other = runs
    assert one == other
    assert (one["scenario"], one["seed"]) == ("slow-upstream", 5)
    for figure in one["figures"].values():
        assert figure["true"]["count"] == figure["said"]["count"]
        assert figure["keys"]["wrong_counts"] == 0
    assert one["figures"]["upstream_latency"]["true"]["p99_ns"] > 200e6
    assert main(["report", *words[:-2], "6", "--truth"]) == 0
    text = capsys.readouterr().out
    assert "Truth of slow-upstream, seed 6" in text
    assert text.count("  said ") == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--simulate=floood", "there is no scenario floood; did you mean flood?"),
        ("--simulate slow-upsteam", "did you mean slow-upstream?"),
        ("--simulate=zzz", "there is no scenario zzz; there are demo, healthy, slow-upstream"),
        ("nginx --truth", "--truth goes with --simulate"),
        ("nginx --seed 3", "--seed goes with --simulate"),
        ("nginx --speed max", "--speed goes with --simulate"),
        ("--simulate --truth --format csv", "--truth is for text and JSON"),
        ("--simulate --truth --format json -i 1", "without -i"),
        ("--simulate --truth -d 1h", "at most 5 min"),
        ("--simulate --speed 0", "'0' is not a speed"),
        ("--simulate --with usdt", "no markers and no functions"),
        ("--simulate --func /bin/ls:main", "no markers and no functions"),
    ],
)
def test_wrong_words_about_scenarios_are_a_sentence(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *words.split()]) == 2
    out, said = capsys.readouterr()
    assert out == ""
    assert message in said.splitlines()[0]
    assert len(said.splitlines()) == 2


@pytest.mark.parametrize("words", ["--simulate list", "demo --simulate=list", "report --simulate list"])
def test_the_scenarios_are_listed(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 0
    out, said = capsys.readouterr()
    assert said == ""
    assert max(map(len, out.splitlines())) <= 80
    starts = [line.partition(":")[0] for line in out.splitlines() if line.partition(":")[0] in NAMES]
    assert starts == list(NAMES)
    said_steps = " ".join(out.split())
    assert all(" ".join(step.split()) in said_steps for steps in LOOK.values() for step in steps)


@pytest.mark.parametrize("words", ["doctor --simulate", "scripts --simulate=flood", "compare a b --simulate"])
def test_what_needs_no_kernel_has_nothing_to_simulate(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    assert f"bpftop {words.split()[0]} has nothing to simulate" in capsys.readouterr().err


def test_the_help_lists_the_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--help"]) == 0
    out = capsys.readouterr().out
    for name, summary in SUMMARIES.items():
        assert f"{name:14}  {summary}" in out


def test_a_part_of_a_second_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """The simulation goes on to the end of its tick: without one a report would wait for ever."""
    assert main(["report", "x", "--simulate", "-d", "0.1"]) in (0, 4)
    assert "Request latency" in capsys.readouterr().out
