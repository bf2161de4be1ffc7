"""Percentile lines over time; a large chart is drawn by plotext behind a guard. The only file that knows plotext.

plotext 5 raises or hangs on infinities, on zeros with its log scale (and takes the logarithm again at each build:
piccolomo/plotext#209), and on tiny sizes; plotext 6 aborts the process. So logarithms, limits and ticks are made here,
values are clipped, and nothing is drawn below 20 x 6.
"""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from bpftop import units
from bpftop.model import Trend
from bpftop.stats.heat import PAUSE_S
from bpftop.ui import braille
from bpftop.ui.braille import Axis
from bpftop.ui.histogram import round_duration
from bpftop.ui.paint import Line, Role, Span, fit, line
from bpftop.ui.shape import enclosing, ticks

MIN_WIDTH, MIN_HEIGHT = 20, 6
_FLOOR_NS, _CEILING_NS = 1.0, 1e12
_ROLES: tuple[Role, Role] = ("p99", "p50")
"""In the order in which they are drawn."""
_COLOURS: Mapping[Role, int] = {"p50": 39, "p99": 208}
_BY_COLOUR = {str(code): role for role, code in _COLOURS.items()}
_KEPT = 1000
"""Latencies whose places are remembered."""
_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def latency_lines(trend: Trend, span_s: float, width: int, height: int, *, large: bool = False) -> list[Line]:
    """p50 and p99 of the last ``span_s`` seconds in exactly ``height`` rows; no rows when there is no room.

    ``large``: by plotext; otherwise by lines of our own, which cost a tenth.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return []
    first = int(np.count_nonzero(trend.age_s > span_s))
    age = trend.age_s[first:].tolist()
    p99, p50 = _usable(trend.p99_ns[first:].tolist()), _usable(trend.p50_ns[first:].tolist())
    known = [*filter(None, p99), *filter(None, p50)]
    if not known:
        return _blank("no observation in this window", width, height)
    x = _time_axis(_time_span(span_s, age), width)
    y = _latency_axis(*enclosing(min(known), max(known)), height)
    pauses = {at for at, (before, after) in enumerate(pairwise(age), 1) if abs(after - before) > PAUSE_S}
    series = [(p99, _runs(p99, pauses)), (p50, _runs(p50, pauses))]
    if large:
        rows = _built(age, series, x, y, width, height).split("\n")[:height]
        return [fit(Line(_spans(row)), width) for row in rows] + [fit(line(), width)] * (height - len(rows))
    across, up = braille.dots_of(width, height)
    columns, rises = x.places([-each for each in age], across), _rises(y, up)
    runs: list[tuple[Role, braille.Dots]] = [
        (role, [(columns[at], rises[values[at]]) for at in range(begin, end)])
        for role, (values, found) in zip(_ROLES, series, strict=True)
        for begin, end in found
    ]
    return braille.chart(runs, x, y, width, height)


def _usable(values: Sequence[float]) -> list[float]:
    """0 for what cannot be on a log axis, the rest clipped."""
    return [each if _FLOOR_NS <= each <= _CEILING_NS else _clipped(each) for each in values]


def _clipped(value: float) -> float:
    return min(max(value, _FLOOR_NS), _CEILING_NS) if 0 < value < math.inf else 0.0


def _time_span(span_s: float, age: Sequence[float]) -> float:
    """What the time axis covers: the window, or for ``all`` what there is."""
    oldest = max(age, default=1.0)
    return max(min(span_s, oldest * 1.02) if span_s < math.inf else oldest, 1.0)


@lru_cache(maxsize=8)
def _time_axis(span_s: float, width: int) -> Axis:
    """Seconds before now, negative."""
    times = ((-each, f"-{units.span(each)}" if each else "now") for each in _times(span_s, width))
    return Axis(-span_s, 0.0, tuple(times))


@lru_cache(maxsize=8)
def _latency_axis(bottom: float, top: float, height: int) -> Axis:
    """log10 of ns."""
    levels = ticks(bottom, top, max((height - 2) // 2, 2))
    return Axis(math.log10(bottom), math.log10(top), tuple((math.log10(each), round_duration(each)) for each in levels))


class _Rises(dict[float, int]):
    """By latency (ns) the dot on an axis: those of a minute come again in each second of it."""

    def __init__(self, axis: Axis, most: int) -> None:
        super().__init__()
        self._axis, self._most = axis, most

    def __missing__(self, latency_ns: float) -> int:
        if len(self) >= _KEPT:
            self.clear()
        self[latency_ns] = rise = self._axis.place(math.log10(latency_ns), self._most)
        return rise


_rises = lru_cache(maxsize=8)(_Rises)


def _built(
    age: Sequence[float],
    series: Sequence[tuple[Sequence[float], Sequence[tuple[int, int]]]],
    x: Axis,
    y: Axis,
    width: int,
    height: int,
) -> str:
    plot = _canvas(width, height)
    for role, (values, runs) in zip(_ROLES, series, strict=True):
        for start, end in runs:
            xs, ys = [-each for each in age[start:end]], [math.log10(each) for each in values[start:end]]
            draw = plot.scatter if end - start == 1 else plot.plot
            draw(xs, ys, marker="braille", color=_COLOURS[role])
    plot.ylim(y.low, y.high)
    plot.yticks([at for at, _ in y.marks], [f"{label:>7}" for _, label in y.marks])
    plot.xlim(x.low, x.high)
    plot.xticks([at for at, _ in x.marks], [label for _, label in x.marks])
    return str(plot.build())


def _canvas(width: int, height: int) -> Any:
    """plotext's one figure, emptied. Imported here: 50 ms that only the first chart pays."""
    import plotext

    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.plot_size(width, height)
    plotext.theme("clear")
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    return plotext


def _runs(values: Sequence[float], pauses: Container[int]) -> list[tuple[int, int]]:
    """Stretches without a gap: a line across seconds without requests would claim what nobody measured.

    So would one across a pause, in which bpftrace stood still and no second was told by itself.
    """
    found: list[tuple[int, int]] = []
    begin = -1
    for at, value in enumerate(values):
        if begin >= 0 and (not value or at in pauses):
            found.append((begin, at))
            begin = -1
        if value and begin < 0:
            begin = at
    return [*found, (begin, len(values))] if begin >= 0 else found


def _times(span_s: float, width: int) -> list[float]:
    """Round ages for the time axis, oldest first, as many as have room for their labels."""
    most = max((width - 8) // 11, 1)
    steps = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((each for each in steps if span_s / each <= most), span_s)
    return [float(each) for each in reversed(np.arange(0, span_s * 0.97, step).tolist())]


def _spans(row: str) -> tuple[Span, ...]:
    """plotext's colours as roles; axes and labels are dim."""
    spans: list[Span] = []
    role: Role = "dim"
    at = 0
    for match in _ESCAPE.finditer(row):
        if match.start() > at:
            spans.append(Span(row[at : match.start()], role))
        codes = match.group(1).split(";")
        role = _BY_COLOUR.get(codes[2], "dim") if codes[:2] == ["38", "5"] else "dim"
        at = match.end()
    return (*spans, Span(row[at:], role)) if row[at:] else tuple(spans)


def _blank(message: str, width: int, height: int) -> list[Line]:
    middle = fit(line(Span(message.center(width), "dim")), width)
    return [middle if row == height // 2 else fit(line(), width) for row in range(height)]
