"""How is the chosen measure distributed?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType

from bpftop.model import MeasureSnapshot
from bpftop.ui.histogram import BASELINE, Look, histogram, percentiles, percentiles_row
from bpftop.ui.overview import chart
from bpftop.ui.paint import EMPTY, Line, Span, beside, fit, line
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.pin import box_words, when
from bpftop.ui.safe import safe
from bpftop.ui.view import View
from bpftop.ui.words import share

_TABLE = 17
_CHANGE = 9
_PATH = 76
"""A narrower pane does not begin a path that it cannot end."""
_CHART = 9
"""The chart below the histogram needs this many rows."""


class Latency(MeasurePane):
    """Histogram beside the percentile table."""

    TITLE = "Latency"
    SHORT = "Latency"
    ABOUT = (
        "The distribution of the chosen measure over the window. Each row is a range of latencies that starts at the "
        "value on the left (within 0.8 %) and ends where the next row starts; the counts of all rows add up to the "
        "count of the measure. Marks show the rows in which the percentiles lie; 'c' draws the cumulative curve (•). "
        "With a baseline (b) its bars are behind those of now, scaled to the same count: ░ is what it had more, ┃ "
        "where it ended. A pinned piece of the heat map shows its seconds, and marks its range of latencies with ▪."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "screen.log_counts", "Log/linear", tooltip="bars on a log or linear scale"),
        Binding("c", "screen.curve", "Cumulative", tooltip="the cumulative curve over the bars, or not"),
    ]

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """What is measured, then the drawing."""
        shown = view.shown
        if shown is None:
            return []
        measure = shown.measure
        path = f"  {safe(measure.start)} → {safe(measure.end)}" if measure.start else ""
        lines = [line(Span(safe(measure.title), "strong"), Span(path, "dim"))]
        if lines[0].cells > width:
            lines = [fit(line(*lines[0].spans[: 2 if width >= _PATH else 1]), width)]
        lines += [*_marked(shown, view, width), EMPTY]
        if not shown.summary.count:
            return [*lines, line(Span("no observation in this window", "dim"))]
        base, look = baseline_of(view, measure.name), look_of(view, measure.name)
        left = width - _TABLE - (_CHANGE if base else 0) - 3
        room = height - len(lines)
        room -= _CHART + 1 if room >= _CHART + 22 else 0
        if left < 40:
            row = percentiles_row(shown.summary, base.summary if base else None, width)
            return [*lines[:-1], *row, EMPTY, *histogram(shown, width, room - len(row), look)]
        drawing = histogram(shown, left, room, look)
        lines += beside(drawing, _figures(shown, base, view)[:room], left, 3)
        rest = height - len(lines) - 1
        return [*lines, EMPTY, *chart(shown, view, width, min(rest, 16))] if rest >= _CHART else lines


def baseline_of(view: View, name: str) -> MeasureSnapshot | None:
    """The measure as it was when the baseline was marked."""
    return view.baseline.measures.get(name) if view.baseline else None


def look_of(view: View, name: str) -> Look:
    """How the histogram of a measure is drawn."""
    look = Look(view.log_counts, view.curve, baseline_of(view, name))
    box = view.box if view.box and view.box.measure == name else None
    return replace(look, low_ns=box.low_ns, high_ns=box.high_ns) if box else look


def _marked(shown: MeasureSnapshot, view: View, width: int) -> list[Line]:
    """What the pinned range has of the measure that it is about; elsewhere it says that it is not applied."""
    box, summary = view.box, shown.summary
    if box is None:
        return []
    if box.measure != shown.measure.name:
        said = f"the seconds of {when(box)}; the pinned range is of {box.measure.replace('_', ' ')}"
        return [fit(line(Span(said, "accent")), width)]
    hist = shown.histogram
    middle = (hist.low_ns + hist.high_ns - 1) / 2
    n = int(hist.counts[(box.low_ns <= middle) & (middle < box.high_ns)].sum())
    said = f"▪ {box_words(box)}: {n:,} of {summary.count:,}, {share(n / max(summary.count, 1))}"
    return [fit(line(Span(said, "accent")), width)]


def _figures(shown: MeasureSnapshot, base: MeasureSnapshot | None, view: View) -> list[Line]:
    """The percentile table, and since when the change is."""
    lines = percentiles(shown.summary, base.summary if base else None)
    if base is None or view.baseline is None:
        return lines
    since = datetime.fromtimestamp(view.baseline.unix_ns / 1e9).strftime("since %H:%M:%S")
    if view.baseline.from_file:
        since = f"from {safe(view.baseline.window, 16)}"
    few = " (few)" if base.summary.count < 100 else ""
    drawn = line(Span(BASELINE, "accent"), Span(" its bars", "dim"))
    return [*lines, EMPTY, line(Span(f"change {since}{few}", "dim")), drawn]
