"""The slowest single events of a script, below its tables: what each was, and what was slow in it."""

from __future__ import annotations

from collections.abc import Collection

from bpftop.model import Snapshot
from bpftop.ui.kinds import of_kind
from bpftop.ui.paint import EMPTY, Line, Span, line
from bpftop.ui.panes.slow import slow_columns
from bpftop.ui.safe import safe
from bpftop.ui.table import table

MOST = 10
"""Rows; the pane Slow requests has them all."""
_LEAST_LINES = 4


def singly(snapshot: Snapshot, measures: Collection[str], width: int, height: int) -> list[Line]:
    """A block for each stream of these measures that sent something, as far as there is room."""
    lines: list[Line] = []
    streams = {stream.name: stream for history in snapshot.histories for stream in history.streams}
    for stream in streams.values():
        found = of_kind(snapshot, stream.name)[:MOST] if stream.measure in measures else []
        room = height - len(lines) - 3
        if not found or room < _LEAST_LINES - 3:
            continue
        shown = snapshot.measures.get(stream.measure)
        title = safe(shown.measure.title, 40) if shown else stream.name
        lines += [EMPTY, line(Span(title, "strong"), Span("  the slowest, one by one", "dim"))]
        lines += table(slow_columns(found, client=any(each.client for each in found)), found[:room], width)
    return lines
