"""Percentile lines over time; a large chart is drawn by plotext behind a guard. The only file that knows plotext.

plotext 5 raises or hangs on infinities, on zeros with its log scale (and takes the logarithm again at each build:
piccolomo/plotext#209), and on tiny sizes; plotext 6 aborts the process. So logarithms, limits and ticks are made here,
values are clipped, and nothing is drawn below 20 x 6.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
_COLOURS: dict[int, Role] = {39: "p50", 208: "p99"}
_ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def latency_lines(trend: Trend, span_s: float, width: int, height: int, *, large: bool = False) -> list[Line]:
    """p50 and p99 of the last ``span_s`` seconds in exactly ``height`` rows; no rows when there is no room.

    ``large``: by plotext; otherwise by lines of our own, which cost a tenth.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return []
    recent = trend.age_s <= span_s
    age = trend.age_s[recent]
    series = [(208, _clean(trend.p99_ns[recent])), (39, _clean(trend.p50_ns[recent]))]
    known = np.concatenate([values[np.isfinite(values)] for _, values in series])
    if not known.size:
        return _blank("no observation in this window", width, height)
    axes = _axes(known, _time_span(span_s, age), width, height)
    if large:
        rows = _built(age, series, *axes, width, height).split("\n")[:height]
        return [fit(Line(_spans(row)), width) for row in rows] + [fit(line(), width)] * (height - len(rows))
    runs = [
        (_COLOURS[colour], list(zip((-age[a:b]).tolist(), np.log10(values[a:b]).tolist(), strict=True)))
        for colour, values in series
        for a, b in _runs(values, age)
    ]
    return braille.chart(runs, *axes, width, height)


def _clean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN for what cannot be on a log axis, the rest clipped."""
    usable = np.isfinite(values) & (values > 0)
    return np.where(usable, np.clip(values, _FLOOR_NS, _CEILING_NS), np.nan)


def _time_span(span_s: float, age: NDArray[np.float64]) -> float:
    """What the time axis covers: the window, or for ``all`` what there is."""
    oldest = float(age.max()) if age.size else 1.0
    return max(min(span_s, oldest * 1.02) if np.isfinite(span_s) else oldest, 1.0)


def _axes(known: NDArray[np.float64], span_s: float, width: int, height: int) -> tuple[Axis, Axis]:
    """Time (s before now, negative) and latency (log10 of ns)."""
    bottom, top = enclosing(known)
    levels = ticks(bottom, top, max((height - 2) // 2, 2))
    times = [(-each, f"-{units.span(each)}" if each else "now") for each in _times(span_s, width)]
    named = [(float(np.log10(level)), round_duration(level)) for level in levels]
    return Axis(-span_s, 0.0, times), Axis(float(np.log10(bottom)), float(np.log10(top)), named)


def _built(
    age: NDArray[np.float64], series: list[tuple[int, NDArray[np.float64]]], x: Axis, y: Axis, width: int, height: int
) -> str:
    plot = _canvas(width, height)
    for colour, values in series:
        for start, end in _runs(values, age):
            xs, ys = (-age[start:end]).tolist(), np.log10(values[start:end]).tolist()
            if end - start == 1:
                plot.scatter(xs, ys, marker="braille", color=colour)
            else:
                plot.plot(xs, ys, marker="braille", color=colour)
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


def _runs(values: NDArray[np.float64], age: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Stretches without a gap: a line across seconds without requests would claim what nobody measured.

    So would one across a pause, in which bpftrace stood still and no second was told by itself.
    """
    finite = np.isfinite(values)
    follows = finite[1:] & finite[:-1] & (np.abs(np.diff(age)) <= PAUSE_S)
    starts = np.flatnonzero(finite & ~np.concatenate([[False], follows])[: len(finite)])
    ends = np.flatnonzero(finite & ~np.concatenate([follows, [False]])[: len(finite)]) + 1
    return [(int(a), int(b)) for a, b in zip(starts, ends, strict=True)]


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
        role = _COLOURS.get(int(codes[2]), "dim") if codes[:2] == ["38", "5"] else "dim"
        at = match.end()
    return (*spans, Span(row[at:], role)) if row[at:] else tuple(spans)


def _blank(message: str, width: int, height: int) -> list[Line]:
    middle = fit(line(Span(message.center(width), "dim")), width)
    return [middle if row == height // 2 else fit(line(), width) for row in range(height)]
