"""The parts of one row alone that know no list: who it is, its heat map, why there are no single events."""

from __future__ import annotations

from bpftop.model import MeasureSnapshot
from bpftop.ui import words
from bpftop.ui.heat import AXIS, grid, heading, make_map, times
from bpftop.ui.paint import EMPTY, Line, Span, ends, line
from bpftop.ui.safe import safe
from bpftop.ui.subject import NETWORK, Subject
from bpftop.ui.view import View


def crumb(origin: str, subject: Subject, view: View, shown: MeasureSnapshot | None, width: int) -> Line:
    """Where it came from, who it is, and how much of all and of the slow ones is its own."""
    left = [Span(f"{origin} › ", "dim"), Span(safe(subject.name, 60), "strong")]
    whole = view.snapshot.measures.get(shown.measure.name) if shown else None
    back = line(Span("Esc", "accent"), Span(" back", "dim"))
    if shown and whole and whole.summary.count:
        of_all = words.share(min(shown.summary.count / whole.summary.count, 1.0))
        said = f"  {of_all} of all {words.noun(whole.measure.name)}"
        slow = f", {words.share(min(shown.slow / whole.slow, 1.0))} of the slow ones" if whole.slow else ""
        fits = line(*left).cells + len(said + slow) + back.cells < width
        left.append(Span(said + slow if fits else said, ""))
    return ends(line(*left), back, width)


def heat_map(view: View, shown: MeasureSnapshot, width: int, room: int) -> list[Line]:
    """The map with its heading and clock times; nothing where there is no room for it."""
    if room < 5:
        return []
    drawn = make_map(shown, view, max(width - AXIS - 2, 10), room - 2)
    box = view.box if view.box and view.box.measure == shown.measure.name else None
    return [heading(shown, drawn, width), *grid(drawn, None, box), times(drawn)]


def no_events(view: View, subject: Subject | None) -> str:
    """Why no single event of it is kept."""
    kind = "client" if subject is None or subject.kind == NETWORK else subject.kind
    streams = [stream for history in view.snapshot.histories for stream in history.streams]
    if streams and not any(kind in stream.fields for stream in streams):
        return "no script that runs sends single events of this kind"
    return "none was sent by itself: the kernel sends the slowest ones only"


def filled(lines: list[Line], rows: int) -> list[Line]:
    """Exactly so many rows."""
    return [*lines[:rows], *[EMPTY] * (rows - len(lines))]
