"""Two histograms on one logarithmic axis, in plain text: what both have, and what only one of them has."""

from __future__ import annotations

import numpy as np

from bpftop import units
from bpftop.model import Histogram

MOST_ROWS = 24
# Steps of a decade, from fine to coarse: Renard's preferred numbers (ISO 3).
_SERIES = (
    (100, 112, 125, 140, 160, 180, 200, 224, 250, 280, 315, 355, 400, 450, 500, 560, 630, 710, 800, 900),
    (100, 125, 160, 200, 250, 315, 400, 500, 630, 800),
    (100, 200, 500),
    (100,),
)
_GLYPHS = ("█", "░", "▓")
_ASCII = ("#", "-", "+")


def legend(ascii_only: bool = False) -> str:
    """What the letters of the bars mean."""
    both, base, current = _ASCII if ascii_only else _GLYPHS
    return f"share of all: {both} both, {base} only the baseline, {current} only the current run"


def overlay(base: Histogram, current: Histogram, width: int = 80, ascii_only: bool = False) -> list[str]:
    """Rows ``1.00 ms - 2.00 ms  ████░░  12 %   9 %``, lowest first; empty when neither holds anything."""
    edges = _edges(base, current)
    shares = [_shares(histogram, edges) for histogram in (base, current)]
    most = max((share for side in shares for share in side), default=0.0)
    room = width - 2 - 19 - 2 - 1 - 15
    lines = []
    for low, high, mine, theirs in zip(edges, edges[1:], *shares, strict=False):
        drawn = _bar(mine / most * room, theirs / most * room, _ASCII if ascii_only else _GLYPHS)
        label = f"  {units.duration(low):>8} - {units.duration(high):<8}"
        lines.append(f"{label}  {drawn:{room}} {_percent(mine):>7} {_percent(theirs):>7}")
    return lines


def _percent(share: float) -> str:
    return "<0.1 %" if 0 < share < 0.0005 else units.percent(share)


def _bar(mine: float, theirs: float, glyphs: tuple[str, str, str]) -> str:
    """Whatever is above nothing is seen."""
    cells = [max(round(length), 1 if length > 0 else 0) for length in (mine, theirs)]
    common, both = min(cells), glyphs[0]
    return both * common + (glyphs[1] * (cells[0] - common) or glyphs[2] * (cells[1] - common))


def _middles(histogram: Histogram) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return (histogram.low_ns + histogram.high_ns - 1) // 2


def _edges(base: Histogram, current: Histogram) -> list[int]:
    """The finest steps that cover both in MOST_ROWS rows; nothing when there is nothing."""
    middles = np.concatenate((_middles(base), _middles(current)))
    if not len(middles):
        return []
    lowest, highest = int(middles.min()), int(middles.max())
    for series in _SERIES:
        edges = _covering(series, lowest, highest)
        if len(edges) <= MOST_ROWS + 1:
            break
    return edges


def _covering(series: tuple[int, ...], lowest: int, highest: int) -> list[int]:
    """Whole numbers of ns, ascending, with ``lowest`` in the first step and ``highest`` in the last."""
    edges = {0}
    decade = 1
    while max(edges) <= highest:
        edges |= {step * decade // 100 for step in series}
        decade *= 10
    ordered = sorted(edges)
    first = max(i for i, edge in enumerate(ordered) if edge <= max(lowest, 0))
    last = min(i for i, edge in enumerate(ordered) if edge > highest)
    return ordered[first : last + 1]


def _shares(histogram: Histogram, edges: list[int]) -> list[float]:
    """The share of each step; a bucket counts where its middle lies."""
    if len(edges) < 2:
        return []
    total = max(int(histogram.counts.sum()), 1)
    steps = np.searchsorted(edges, _middles(histogram), side="right") - 1
    sums = np.bincount(steps, histogram.counts, len(edges) - 1)
    return [count / total for count in sums.tolist()]
