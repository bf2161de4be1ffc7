"""The page about kernels: its words are in page.md, its table comes from a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bpftop.scripts.catalog import SHIPPED
from tests.kernels.packages import SUITES
from tests.kernels.rows import Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kernels.md"
_WORDS = Path(__file__).with_name("page.md")


def page(rows: Sequence[Row], bpftrace: str) -> str:
    """The whole page."""
    return _WORDS.read_text().format(bpftrace=bpftrace, table=table(rows), notes=_notes(rows))


def table(rows: Sequence[Row]) -> str:
    """Scripts by kernels. What cannot run has a number, see the notes below the table."""
    releases = {row.release: row.label for row in rows}
    place = {name: number for number, name in enumerate(SHIPPED)}
    names = sorted({row.script for row in rows}, key=lambda name: (place.get(name, len(place)), name))
    reasons = _reasons(rows)
    lines = ["| script | " + " | ".join(map(_version, releases)) + " |", "|---" * (len(releases) + 1) + "|"]
    lines.append("| *from Debian* | " + " | ".join(SUITES[label] for label in releases.values()) + " |")
    for name in names:
        of = {row.release: row for row in rows if row.script == name}
        lines.append(f"| `{name}` | " + " | ".join(_cell(of.get(one), reasons) for one in releases) + " |")
    return "\n".join(lines)


def _version(release: str) -> str:
    found = re.match(r"\d+\.\d+\.\d+", release)
    return found[0] if found else release


def _cell(row: Row | None, reasons: Sequence[str]) -> str:
    if row is None:
        return "–"
    if row.state == "unavailable":
        return f"unavailable ({reasons.index(row.detail) + 1})"
    words = {"attached": "attaches"}.get(row.state, f"**{row.state}**" if row.failed else row.state)
    return words + (f", {row.variant} variant" if row.variant else "")


def _reasons(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.detail for row in rows if row.state == "unavailable"))


def _notes(rows: Sequence[Row]) -> str:
    """Why something cannot run, in bpftop's own words, and what was counted where it can."""
    lines = [f"{number}. {reason}" for number, reason in enumerate(_reasons(rows), 1)]
    counted = dict.fromkeys(
        (row.script, row.detail)
        for row in rows
        if not row.failed and row.state not in ("attached", "unavailable", "agrees")
    )
    by_workload: dict[str, list[str]] = {}
    for script, detail in counted:
        by_workload.setdefault(detail, []).append(f"`{script}`")
    lines += [
        "",
        "Counted in each: " + "; ".join(f"{', '.join(of)}: {detail}" for detail, of in by_workload.items()) + ".",
    ]
    return "\n".join(lines).strip()
