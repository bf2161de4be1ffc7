"""docs/incidents.md, from what was tried."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

from bpftop import preflight
from tests.incidents.book import Book, Trial, late_times, times
from tests.incidents.incidents import INCIDENTS
from tests.incidents.run import LATE_S
from tests.incidents.scene import MORE

PAGE = Path(__file__).parents[2] / "docs" / "incidents.md"
HEADING = (
    "| incident | what happens | times | always | said | with scripts | said |",
    "|---|---|--:|--:|---|--:|---|",
)
LATE_HEADING = (
    "| incident | times | always | said | with scripts | said |",
    "|---|--:|--:|---|--:|---|",
)
BUT = """ while nginx had its CPUs. Looks at moments when others took them away (by the kernel's
own account of nginx's waiting; {:.0f} % of all looks) do not count"""


def page(book: Book) -> str:
    """The whole page."""
    longest = max(book.healths, key=lambda each: each.seconds)
    over = [each.over_s for each in book.trials if each.over_s is not None and not each.starved]
    watched = [each for each in book.trials if each.watched_s]
    return (
        Path(__file__)
        .with_name("page.md")
        .read_text()
        .format(
            scripts="`, `".join(MORE),
            table="\n".join((*HEADING, *(_row(each.name, each.what, book.of(each.name)) for each in INCIDENTS))),
            late="\n".join((*LATE_HEADING, *(_late_row(each.name, book.of(each.name)) for each in INCIDENTS))),
            after=round(LATE_S),
            over=f"{statistics.median(over):.0f} s, at most {max(over):.0f} s" if over else "?",
            healthy=longest.seconds,
            but=BUT.format(longest.starved / max(longest.looks, 1) * 100) if longest.said_starved else "",
            wrong=_wrong(book.trials),
            starved=sum(each.starved for each in book.trials),
            trials=len(book.trials),
            watched=len(watched),
            wavered=sum(bool(each.wavered) for each in watched),
            bpftrace=preflight.bpftrace_version(preflight.bpftrace_path()),
            kernel=".".join(os.uname().release.split(".")[:2]),
        )
    )


def _wrong(trials: Sequence[Trial]) -> str:
    """What was said against that, each thing once."""
    found = [each for each in trials if each.wrong]
    if not found:
        return "None of it was"
    said = "; ".join(dict.fromkeys(f"“{each.wrong[0]}”, {each.name}" for each in found))
    return f"In {len(found)} of {len(trials)} times it was, for a moment: {said}"


def _row(name: str, what: str, trials: Sequence[Trial]) -> str:
    cells = [name, what, str(len(trials))]
    for which in ("always", "scripts"):
        words = "; ".join(f"“{general(each)}”" for each in trials[-1].wanted.get(which, [])) if trials else ""
        cells += [times(trials, which), words]
    return f"| {' | '.join(cells)} |"


def _late_row(name: str, trials: Sequence[Trial]) -> str:
    late = [each for each in trials if each.late]
    cells = [name, str(len(late))]
    for which in ("always", "scripts"):
        words = "; ".join(f"“{general(each)}”" for each in late[-1].late_wanted.get(which, [])) if late else ""
        cells += [late_times(late, which), words]
    return f"| {' | '.join(cells)} |"


def general(words: str) -> str:
    """Without the numbers of one run: process ids have more digits than anything else."""
    return re.sub(r"(?<=127\.0\.0\.1:)\d+", "PORT", re.sub(r"(?<![:.\d])\d{3,7}(?![.\d])", "PID", words))
