"""Global counts over time: one slice a tick, running totals for the windows. Memory does not depend on the rate."""

from __future__ import annotations

from collections import deque
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Trend
from bpftop.stats import buckets
from bpftop.stats.quantiles import nearest_rank

WINDOWS_S = (10, 60, 300)
"""Windows with running totals, besides the whole run. A slice is one second."""
KEPT_SLICES = 600
Piece = tuple[NDArray[np.intp], Counts]
"""The places of one slice that are not 0, and their counts."""


class GlobalSeries:
    """The counts of all measures: cumulative in, slices and windows out."""

    def __init__(self, measures: int) -> None:
        self._shape = (measures, buckets.BUCKETS)
        self._last = np.zeros(self._shape, np.int64)
        self.forget()

    def forget(self) -> None:
        """Begin again at 0; the cumulative counts of the source go on."""
        self.total = np.zeros(self._shape, np.int64)
        """Everything since the start, over restarts of bpftrace; shape (measures, buckets)."""
        self._windows = {length: np.zeros(self._shape, np.int64) for length in WINDOWS_S}
        self._slices: deque[Piece] = deque(maxlen=KEPT_SLICES)
        self._points: deque[tuple[int, float, NDArray[np.float64]]] = deque(maxlen=KEPT_SLICES)
        self._stacked: tuple[Counts, NDArray[np.float64], NDArray[np.float64]] | None = None
        """The points as arrays, until the next tick: every measure's trend is cut from them."""

    def source_restarted(self) -> None:
        """The next cumulative counts begin at 0 again."""
        self._last = np.zeros(self._shape, np.int64)

    @property
    def begun(self) -> bool:
        """The run of bpftrace has printed a count."""
        return bool(self._last.any())

    def add(self, boot_ns: int, span_s: float, cumulative: Counts | None) -> Counts:
        """Take the cumulative counts of a tick (None: none printed); returns what is new, shape (measures, buckets)."""
        new = self._news(cumulative)
        self.add_new(boot_ns, span_s, new)
        return new

    def _news(self, cumulative: Counts | None) -> Counts:
        if cumulative is None:
            new = np.zeros(self._shape, np.int64)
        else:
            new = cumulative - self._last
            if (new < 0).any():  # the counters began again: all of it is new
                new = cumulative
            self._last = cumulative
        return new

    def add_new(self, boot_ns: int, span_s: float, new: Counts) -> None:
        """Take what one tick counted; shape (measures, buckets)."""
        flat = new.reshape(-1)
        index = np.flatnonzero(flat)
        piece = (index, flat[index])
        self.total += new
        self._slices.append(piece)
        for length, window in self._windows.items():
            window.reshape(-1)[index] += piece[1]
            if len(self._slices) > length:
                old_index, old_counts = self._slices[-1 - length]
                window.reshape(-1)[old_index] -= old_counts
        self._points.append((boot_ns, span_s, _point(new)))
        self._stacked = None

    def add_earlier(self, places: Counts, counts: Counts) -> None:
        """Take counts from before all slices: they are in the total only. Two int64 arrays of one shape (entries,)."""
        np.add.at(self.total.reshape(-1), places, counts)

    def later(self, until_ns: int | None) -> int:
        """How many of the newest slices ended after a moment (boot time); 0 for None."""
        if until_ns is None:
            return 0
        ends = self._stack()[0]
        return len(ends) - int(np.searchsorted(ends, until_ns, side="right"))

    def window(self, length_s: float | None, skip: int = 0) -> tuple[Counts, float]:
        """The counts of a window, shape (measures, buckets), and the seconds that they cover (-1 for everything).

        ``skip``: so many of the newest slices are left out, for a window that ended in the past.
        """
        end = len(self._slices) - skip
        if length_s is None:
            return (self.total - self._sum(end, end + skip) if skip else self.total), -1.0
        slices = int(length_s)
        begin = max(0, end - slices)
        span = sum(point[1] for point in islice(self._points, begin, end))
        if slices in self._windows and not skip:
            return self._windows[slices], span
        return self._sum(begin, end), span

    def _sum(self, begin: int, end: int) -> Counts:
        counts = np.zeros(self._shape, np.int64)
        flat = counts.reshape(-1)
        for index, piece in islice(self._slices, begin, end):
            flat[index] += piece
        return counts

    def slices(self, skip: int = 0) -> tuple[tuple[int, ...], tuple[float, ...], tuple[Piece, ...]]:
        """Ends (boot time, ns), lengths (s) and contents of the kept slices but the ``skip`` newest, oldest first."""
        points = tuple(islice(self._points, len(self._points) - skip))
        pieces = tuple(islice(self._slices, len(self._slices) - skip))
        return tuple(point[0] for point in points), tuple(point[1] for point in points), pieces

    def trend(self, measure: int, now_boot_ns: int, skip: int = 0) -> Trend:
        """One point per kept slice, but the ``skip`` newest, of the measure at position ``measure``."""
        boot_ns, spans, points = self._stack()
        kept = len(boot_ns) - skip
        boot_ns, spans, points = boot_ns[:kept], spans[:kept], points[:kept]
        values = points[:, measure]
        with np.errstate(invalid="ignore", divide="ignore"):
            rates = np.where(spans > 0, values[:, 0] / spans, np.nan)
        return Trend((now_boot_ns - boot_ns) / 1e9, rates, values[:, 1], values[:, 2])

    def _stack(self) -> tuple[Counts, NDArray[np.float64], NDArray[np.float64]]:
        """Boot times (ns) and spans (s) of the kept slices, shape (slices,), and their points (slices, measures, 3)."""
        if self._stacked is None:
            boot_ns = np.array([boot for boot, _, _ in self._points], np.int64)
            spans = np.array([span for _, span, _ in self._points], np.float64)
            points = np.array([row for _, _, row in self._points]).reshape(-1, self._shape[0], 3)
            self._stacked = boot_ns, spans, points
        return self._stacked


def _point(new: Counts) -> NDArray[np.float64]:
    """Count, p50 and p99 (ns) of each measure in one slice; shape (measures, 3), NaN where nothing came."""
    out = np.full((len(new), 3), np.nan)
    out[:, 0] = new.sum(axis=1)
    for row in np.flatnonzero(out[:, 0]):
        out[row, 1:] = buckets.middle(nearest_rank(new[row], (0.5, 0.99)))
    return out
