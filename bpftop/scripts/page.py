"""The tables of the documentation that are made from the headers of ``bt/`` and from the measured costs.

``make docs`` (``python -m bpftop.scripts.page``) writes them between their marks, ``<!-- NAME -->`` and
``<!-- /NAME -->``; a test fails when one is stale.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bpftop.errors import ScriptError
from bpftop.model import Measure, Script
from bpftop.scripts import costs
from bpftop.scripts.catalog import script_folder, shipped
from bpftop.text import inside

_SPLIT = {
    "client": "client", "peer": "upstream", "pid": "process", "tid": "thread", "syscall": "system call",
    "label": "function", "device": "disk, and what was asked of it", "route": "route", "none": "–",
}  # fmt: skip


def tables() -> dict[tuple[str, str], str]:
    """Every table by its file, relative to the checkout, and its mark. Raises ScriptError for a wrong header."""
    scripts = list(shipped().values())
    more = [each for each in scripts if not each.default]
    return {
        ("README.md", "measures"): _measures([m for each in scripts if each.default for m in each.measures], False),
        ("README.md", "scripts"): _table("script", "tells", rows=[(_how(each), _tells(each)) for each in more]),
        ("docs/scripts.md", "scripts"): overview(more),
        ("docs/scripts.md", "figures"): "\n\n".join(_figures(each) for each in scripts),
        ("benchmarks/README.md", "scripts"): cost_table(costs.read(script_folder())),
    }


def overview(scripts: Iterable[Script]) -> str:
    """What each tells, when it helps, what it does not see, what it costs."""
    rows = [(_how(each), _tells(each), each.when, "; ".join(each.unseen), costs.told(each)) for each in scripts]
    return _table("script", "tells", "when to use it", "not seen", "costs", rows=rows)


def cost_table(found: costs.Costs) -> str:
    """What each takes from a saturated nginx."""
    head = "requests/s of untraced", "added µs of CPU per request", "CPU per request, untraced / this", "ns per hit"
    rows = [(name, *costs.cells(cost)) for name, cost in found.scripts.items()]
    return "\n\n".join((_table("script", *head, rows=rows), "\n".join(f"- {each}" for each in found.runs)))


def write(checkout: Path) -> list[Path]:
    """Renew the tables that are stale; returns the files that changed. Raises ScriptError when a mark is missing."""
    changed: dict[Path, None] = {}
    for (name, mark), table in tables().items():
        path = checkout / name
        old = path.read_text(encoding="utf-8")
        new = replaced(old, mark, table)
        if new != old:
            path.write_text(new, encoding="utf-8")
            changed[path] = None
    return list(changed)


def replaced(text: str, mark: str, table: str) -> str:
    """``text`` with ``table`` between the two marks. Raises ScriptError when one is missing."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ScriptError(f"{begin} … {end} is not there")
    return f"{before}{begin}\n{table}\n{end}{after}"


def _figures(script: Script) -> str:
    """A section: all that the header declares."""
    needs = "".join(
        f"; where these are missing, `{script.name}-{each.variant}.bt`: {_points(each)}" for each in script.variants
    )
    parts = [f"### {script.title}: `{script.name}`", script.summary, _measures(script.measures, True)]
    if script.counters:
        rows = [(inside(each.title), f"`{each.name}`", _SPLIT[each.key], each.tells) for each in script.counters]
        parts.append(_table("counted", "in JSON and CSV", "per", "tells", rows=rows))
    if script.streams:
        told = (f"`{each.name}` ({', '.join(each.fields[1:])})" for each in script.streams)
        parts.append(f"Single events: {', '.join(told)}.")
    return "\n\n".join((*parts, f"Attach points: {_points(script)}{needs}."))


def _measures(measures: Sequence[Measure], whole: bool) -> str:
    rows = [(inside(each.title), each.start, each.end, each.tells) for each in measures]
    if not whole:
        return _table("measure", "from", "to", "a high value means", rows=rows)
    wider = [(row[0], f"`{each.name}`", _SPLIT[each.key], *row[1:]) for row, each in zip(rows, measures, strict=True)]
    return _table("measure", "in JSON and CSV", "per", "from", "to", "a high value means", rows=wider)


def _how(script: Script) -> str:
    return f"`{script.needs or script.name}`"


def _tells(script: Script) -> str:
    return inside(script.summary).rstrip(".")


def _points(script: Script) -> str:
    return ", ".join(f"`{each}`" for each in script.requires)


def _table(*head: str, rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    sys.stderr.writelines(f"{each} is new\n" for each in write(Path.cwd()))
