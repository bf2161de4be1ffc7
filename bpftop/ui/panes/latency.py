"""How is the chosen measure distributed?"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from bpftop.model import MeasureSnapshot
from bpftop.ui.histogram import histogram, percentiles
from bpftop.ui.paint import EMPTY, Line, Span, beside, fit, line
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.panes.overview import chart
from bpftop.ui.safe import safe
from bpftop.ui.view import View

_TABLE = 17
_CHANGE = 9
_CHART = 9
"""The chart below the histogram needs this many rows."""


class Latency(MeasurePane):
    """Histogram beside the percentile table."""

    TITLE = "Latency"
    SHORT = "Latency"
    ABOUT = (
        "The distribution of the chosen measure over the window. Each row is a range of latencies that starts at the "
        "value on the left (within 0.8 %) and ends where the next row starts; the counts of all rows add up to the "
        "count of the measure. Marks show the rows in which the percentiles lie."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "screen.log_counts", "Log/linear", tooltip="bars on a log or linear scale"),
    ]

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """What is measured, then the drawing."""
        shown = view.shown
        if shown is None:
            return []
        measure = shown.measure
        path = f"  {safe(measure.start)} → {safe(measure.end)}" if measure.start else ""
        lines = [fit(line(Span(safe(measure.title), "strong"), Span(path, "dim")), width), EMPTY]
        if not shown.summary.count:
            return [*lines, line(Span("no observation in this window", "dim"))]
        base = view.baseline.measures.get(measure.name) if view.baseline else None
        left = width - _TABLE - (_CHANGE if base else 0) - 3
        room = height - len(lines)
        room -= _CHART + 1 if room >= _CHART + 22 else 0
        if left < 40:
            return lines + histogram(shown, width, room, log_counts=view.log_counts)
        drawing = histogram(shown, left, room, log_counts=view.log_counts)
        lines += beside(drawing, _figures(shown, base, view)[:room], left, 3)
        rest = height - len(lines) - 1
        return [*lines, EMPTY, *chart(shown, view, width, min(rest, 16))] if rest >= _CHART else lines


def _figures(shown: MeasureSnapshot, base: MeasureSnapshot | None, view: View) -> list[Line]:
    """The percentile table, and since when the change is."""
    lines = percentiles(shown.summary, base.summary if base else None)
    if base is None or view.baseline is None:
        return lines
    moment = datetime.fromtimestamp(view.baseline.unix_ns / 1e9).strftime("%H:%M:%S")
    few = " (few)" if base.summary.count < 100 else ""
    return [*lines, EMPTY, line(Span(f"change since {moment}{few}", "dim"))]
