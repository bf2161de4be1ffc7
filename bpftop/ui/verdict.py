"""The verdict as lines: clauses that can be chosen, and what the chosen one rests on."""

from __future__ import annotations

from collections.abc import Sequence

from bpftop.model import Snapshot
from bpftop.stats.clause import Clause, Place
from bpftop.stats.findings import Verdict, judge
from bpftop.ui.paint import Line, Role, Span, ends, joined, line, wrapped
from bpftop.ui.safe import safe

LONGEST = 64
"""Of a word of others inside a clause."""
_BEGIN = 10
"""So many letters tell where a clause begins."""
_PANES = {
    "latency": "Latency",
    "clients": "Clients",
    "slow": "Slow requests",
    "scripts": "Scripts",
    "episodes": "what stood out",
}


_REMEMBERED_NS = 15_000_000_000


class Judge:
    """The verdict on each snapshot that is shown, with the memory of the one before; whoever asks gets the same."""

    def __init__(self) -> None:
        self._of: Snapshot | None = None
        self._verdict = Verdict()

    def __call__(self, snapshot: Snapshot) -> Verdict:
        """Of a snapshot that does not follow the one before closely, in time, nothing was said before."""
        if self._of is not snapshot:
            follows = self._of is not None and 0 <= snapshot.boot_ns - self._of.boot_ns <= _REMEMBERED_NS
            self._verdict = judge(snapshot, self._verdict.named if follows else ())
            self._of = snapshot
        return self._verdict


def verdict_lines(verdict: Verdict, chosen: str, width: int) -> list[Line]:
    """The clauses in as few lines as they need; the chosen one on the cursor's ground."""
    return joined([_spans(each, verdict.trouble, each.key == chosen) for each in verdict.clauses], width)


def clause_at(lines: Sequence[Line], clauses: Sequence[Clause], x: int, y: int) -> str | None:
    """The key of the clause that stands at a cell of ``verdict_lines``; None where none does."""
    if not 0 <= y < len(lines):
        return None
    found, row, column = None, 0, 0
    for each in clauses:
        begin = safe("".join(text for text, _ in each.words), LONGEST)[:_BEGIN]
        while row < len(lines) and (place := lines[row].text.find(begin, column)) < 0:
            row, column = row + 1, 0
        if row == len(lines) or (row, place) > (y, x):
            break
        found, column = each.key, place + 1
    return found


def evidence_lines(clause: Clause, width: int, most: int = 2) -> list[Line]:
    """What the clause rests on, and where Enter leads."""
    way = line(Span("Enter ", "accent"), Span(_way(clause.place), "dim"))
    text = safe(clause.evidence, 400)
    rows: list[Line] = []
    while text and len(rows) < most:
        whole, beside_way = (wrapped(text, room, "dim") for room in (width, max(width - way.cells - 2, 20)))
        last = len(whole) == 1 or len(rows) == most - 1
        rows.append(beside_way[0] if last else whole[0])
        text = text[len(rows[-1].text) :].lstrip()
    if text:
        rows[-1] = line(*rows[-1].spans, Span(" …", "dim"))
    return [*rows[:-1], ends(rows[-1], way, width)]


def _spans(clause: Clause, trouble: bool, chosen: bool) -> list[Span]:
    fill: Role = "cursor" if chosen else ""
    return [Span(safe(text, LONGEST), _role(clause, trouble, stressed), fill) for text, stressed in clause.words]


def _role(clause: Clause, trouble: bool, stressed: bool) -> Role:
    if clause.key.startswith("offer "):
        return "accent" if stressed else "dim"
    if not stressed:
        return ""
    return "warn" if trouble else "strong"


def _way(place: Place) -> str:
    if place.pane == "start":
        return f"start {place.script}"
    return _PANES.get(place.pane) or place.script
