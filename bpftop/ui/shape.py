"""Buckets merged to the rows a screen has, on a logarithmic axis, without dropping one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Histogram

_SERIES: tuple[tuple[float, ...], ...] = (
    (1, 1.06, 1.12, 1.18, 1.25, 1.32, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2, 2.12, 2.24, 2.36, 2.5, 2.65, 2.8, 3, 3.15,
     3.35, 3.55, 3.75, 4, 4.25, 4.5, 4.75, 5, 5.3, 5.6, 6, 6.3, 6.7, 7.1, 7.5, 8, 8.5, 9, 9.5),
    (1, 1.12, 1.25, 1.4, 1.6, 1.8, 2, 2.24, 2.5, 2.8, 3.15, 3.55, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9),
    (1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8),
    (1, 1.5, 2, 3, 5, 7),
    (1, 1.6, 2.5, 4, 6.3),
    (1, 2, 5),
    (1, 3),
    (1,),
)  # fmt: skip
"""Preferred numbers in a decade (ISO 3's R40, R20, R10, one of six, R5; then 1-2-5), finest first."""
_TOP = 14
"""Decades above 1 ns that an axis may reach."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A histogram in rows: row i holds the buckets whose middle is in [edges_ns[i], edges_ns[i + 1])."""

    edges_ns: NDArray[np.float64]
    counts: Counts

    def row_of(self, value_ns: float) -> int:
        """The row that a value belongs to."""
        return int(self.rows_of(np.array([value_ns]))[0])

    def rows_of(self, values_ns: NDArray[np.float64]) -> Counts:
        """The row that each value belongs to, -1 for NaN; same shape."""
        index = np.searchsorted(self.edges_ns, np.maximum(values_ns, 1.0), side="right") - 1
        return np.where(np.isnan(values_ns), -1, np.clip(index, 0, len(self.counts) - 1))


def rows_of(histogram: Histogram, most: int) -> Rows:
    """At most ``most`` (>= 1) rows whose counts add up to the histogram's, empty rows between others included.

    The finest axis is taken that fits and whose rows are not narrower than the buckets, so that a coarse histogram
    (powers of two) does not get gaps that are not in the data.
    """
    counts = histogram.counts.astype(np.int64)
    if not counts.size:
        return Rows(np.array([1.0, 10.0]), np.zeros(1, dtype=np.int64))
    middles = _middles(histogram)
    for edges in _axes(_coarseness(histogram)):
        first = int(np.searchsorted(edges, middles[0], side="right")) - 1
        last = int(np.searchsorted(edges, middles[-1], side="right")) - 1
        if last - first < most:
            return _merged(edges[first : last + 2], middles, counts)
    return _merged(np.array([middles[0], 10 * middles[-1]]), middles, counts)


def rows_of_both(histogram: Histogram, other: Histogram, most: int) -> tuple[Rows, Counts]:
    """Rows as ``rows_of`` makes them, on an axis that has room for two histograms; and the other's counts in them."""
    low, high = (
        np.concatenate(pair) for pair in ((histogram.low_ns, other.low_ns), (histogram.high_ns, other.high_ns))
    )
    order = np.argsort(low, kind="stable")
    edges = rows_of(Histogram(low[order], high[order], np.ones(len(low), np.int64)), most).edges_ns
    one, two = (_merged(edges, _middles(each), each.counts.astype(np.int64)) for each in (histogram, other))
    return one, two.counts


def _middles(histogram: Histogram) -> NDArray[np.float64]:
    return np.maximum((histogram.low_ns + histogram.high_ns - 1) / 2, 1.0)


def _merged(edges: NDArray[np.float64], middles: NDArray[np.float64], counts: Counts) -> Rows:
    index = np.clip(np.searchsorted(edges, middles, side="right") - 1, 0, len(edges) - 2)
    out = np.zeros(len(edges) - 1, dtype=np.int64)
    np.add.at(out, index, counts)
    return Rows(edges, out)


def _coarseness(histogram: Histogram) -> float:
    """How wide the buckets are: the median of high / low, where low is large enough for that to mean something."""
    low, high = histogram.low_ns.astype(np.float64), histogram.high_ns.astype(np.float64)
    usable = low >= 64
    return float(np.median(high[usable] / low[usable])) if usable.any() else 1.0


def _axes(coarseness: float) -> list[NDArray[np.float64]]:
    """The axes from fine to coarse, each over all decades."""
    fine, coarse = _all_axes()
    wide = [each for series, each in zip(_SERIES, fine, strict=True) if 10 ** (1 / len(series)) * 1.1 >= coarseness]
    return wide + coarse


@lru_cache(maxsize=1)
def _all_axes() -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """One of each series, and those of some decades only."""
    fine = [np.array([value * 10.0**decade for decade in range(_TOP) for value in series]) for series in _SERIES]
    return fine, [np.array([10.0**decade for decade in range(0, _TOP + 1, step)]) for step in (2, 3, 7)]


def enclosing(low: float, high: float) -> tuple[float, float]:
    """Limits of a log axis around two positive values: from the 1-2-5 series, at least a factor of 4 apart."""
    bottom, top = _below(low), _above(high)
    if top / bottom < 4:
        bottom, top = _below(bottom * 0.99), _above(top * 1.01)
    return bottom, top


def ticks(bottom: float, top: float, most: int) -> list[float]:
    """Round values on a log axis, at most ``most``: 1-2-5, else 1-3, else decades or every few, else the ends."""
    for series, step in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3), ((1,), 6)):
        values = [s * 10.0**d for d in range(0, _TOP, step) for s in series]
        inside = [value for value in values if bottom * 0.999 <= value <= top * 1.001]
        if 2 <= len(inside) <= most:
            return inside
    return [bottom, top]


def _below(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return max(each for each in (decade, 2 * decade, 5 * decade) if each <= value * (1 + 1e-9))


def _above(value: float) -> float:
    decade = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return min(each for each in (decade, 2 * decade, 5 * decade, 10 * decade) if each >= value * (1 - 1e-9))
