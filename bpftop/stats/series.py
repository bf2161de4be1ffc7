"""Global counts over time: one slice a tick, running totals for the windows. Memory does not depend on the rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Trend
from bpftop.stats import buckets
from bpftop.stats.made import Made
from bpftop.stats.points import Points
from bpftop.stats.quantiles import nearest_rank

WINDOWS_S = (10, 60, 300)
"""Windows with running totals, besides the whole run. A slice is one second."""
KEPT_SLICES = 600
Piece = tuple[NDArray[np.intp], Counts]
"""The places of one slice that are not 0, ascending, and their counts; place = measure * BUCKETS + bucket."""
NOTHING: Piece = (np.zeros(0, np.intp), np.zeros(0, np.int64))
_SMALL = np.int32


class GlobalSeries:
    """The counts of all measures: cumulative in, slices and windows out."""

    def __init__(self, measures: int) -> None:
        self._shape = (measures, buckets.BUCKETS)
        self._begins = np.arange(measures + 1) * buckets.BUCKETS
        """Where the places of each measure begin, and the last ones end."""
        self.source_restarted()
        self.forget()

    def forget(self) -> None:
        """Begin again at 0; the cumulative counts of the source go on."""
        self.total = np.zeros(self._shape, np.int64)
        """Everything since the start, over restarts of bpftrace; shape (measures, buckets)."""
        self.sums = np.zeros(self._shape[0], np.int64)
        """How much that is of each measure; shape (measures,)."""
        self._windows = {length: np.zeros(self._shape, np.int64) for length in WINDOWS_S}
        self._slices: deque[Piece] = deque(maxlen=KEPT_SLICES)
        self._points = Points(self._shape[0], KEPT_SLICES)
        self.newest: list[Piece] = []
        """What the last slice has of each measure, with buckets for places."""
        self._spans: dict[tuple[int, int], float] = {}
        """Of windows, until the next slice."""

    def source_restarted(self) -> None:
        """The next cumulative counts begin at 0 again."""
        self._last = np.zeros(self._shape[0] * self._shape[1], np.int64)
        self._filled = 0

    @property
    def begun(self) -> bool:
        """The run of bpftrace has printed a count."""
        return self._filled > 0

    def add(self, boot_ns: int, span_s: float, cumulative: Piece | None) -> Piece:
        """Take the cumulative counts of a tick, places ascending, each once (None: none printed); what is new."""
        new = NOTHING if cumulative is None else self._news(*cumulative)
        self.add_new(boot_ns, span_s, new)
        return new

    def _news(self, places: NDArray[np.intp], counts: Counts) -> Piece:
        before = self._last[places]
        new = counts - before
        if np.count_nonzero(before) < self._filled or (new < 0).any():  # the counters began again: all of it is new
            self._last[:] = 0
            new = counts
        self._last[places] = counts
        self._filled = int(np.count_nonzero(counts))
        (there,) = new.nonzero()
        return places[there], new[there]

    def add_new(self, boot_ns: int, span_s: float, new: Piece) -> None:
        """Take what one tick counted."""
        index, counts = new
        self.total.reshape(-1)[index] += counts
        self._slices.append(_small(new))
        for length, window in self._windows.items():
            flat = window.reshape(-1)
            flat[index] += counts
            if len(self._slices) > length:
                old_index, old_counts = self._slices[-1 - length]
                flat[old_index] -= old_counts
        self.newest = self._by_measure(new)
        self._points.add(boot_ns, span_s, self._point(span_s))
        self._spans.clear()

    def _by_measure(self, piece: Piece) -> list[Piece]:
        index, counts = piece
        cuts = index.searchsorted(self._begins).tolist()
        begins = self._begins.tolist()
        return [
            (index[low:high] - begin, counts[low:high])
            for low, high, begin in zip(cuts, cuts[1:], begins, strict=False)
        ]

    def _point(self, span_s: float) -> NDArray[np.float64]:
        """Rate, p50 and p99 (ns) of each measure in the last slice; shape (measures, 3), NaN where nothing came."""
        out = np.full((self._shape[0], 3), np.nan)
        for measure, (index, counts) in enumerate(self.newest):
            n = int(counts.sum())
            self.sums[measure] += n
            if span_s > 0:
                out[measure, 0] = n / span_s
            if n:
                out[measure, 1:] = buckets.middle(index[nearest_rank(counts, (0.5, 0.99))])
        return out

    def add_earlier(self, places: Counts, counts: Counts) -> None:
        """Take counts from before all slices: they are in the total only. Two int64 arrays of one shape (entries,)."""
        np.add.at(self.total.reshape(-1), places, counts)
        self.sums[:] = self.total.sum(axis=1)

    def later(self, until_ns: int | None) -> int:
        """How many of the newest slices ended after a moment (boot time); 0 for None."""
        if until_ns is None:
            return 0
        ends = self._points.boot_ns
        return len(ends) - int(ends.searchsorted(until_ns, side="right"))

    def window(self, length_s: float | None, skip: int = 0) -> tuple[Counts, float]:
        """The counts of a window, shape (measures, buckets), and the seconds that they cover (-1 for everything).

        ``skip``: so many of the newest slices are left out, for a window that ended in the past.
        """
        end = len(self._slices) - skip
        if length_s is None:
            return (self.total - self._sum(end, end + skip) if skip else self.total), -1.0
        slices = int(length_s)
        span = self._span_s(slices, skip)
        if slices in self._windows and not skip:
            return self._windows[slices], span
        return self._sum(max(0, end - slices), end), span

    def _span_s(self, slices: int, skip: int) -> float:
        found = self._spans.get((slices, skip))
        if found is None:
            spans = self._points.spans_s
            end = len(spans) - skip
            found = self._spans[slices, skip] = sum(spans[max(0, end - slices) : end].tolist())
        return found

    def _sum(self, begin: int, end: int) -> Counts:
        counts = np.zeros(self._shape, np.int64)
        flat = counts.reshape(-1)
        for index, piece in islice(self._slices, begin, end):
            flat[index] += piece
        return counts

    def slices(self, skip: int = 0) -> tuple[Counts, Sequence[float], tuple[Piece, ...]]:
        """Ends (boot time, ns), lengths (s) and contents of the kept slices but the ``skip`` newest, oldest first.

        The ends are of shape (slices,).
        """
        kept = len(self._slices) - skip
        spans = self._points.spans_s[:kept]
        return self._points.boot_ns[:kept], Made(lambda: tuple(spans.tolist())), tuple(islice(self._slices, kept))

    def trend(self, measure: int, now_boot_ns: int, skip: int = 0) -> Trend:
        """One point per kept slice, but the ``skip`` newest, of the measure at position ``measure``."""
        return self._points.trend(measure, now_boot_ns, skip)


def _small(piece: Piece) -> Piece:
    """The same in half the room, as long as the counts are small enough: hundreds of them are kept."""
    places, counts = piece
    if len(counts) and counts.max() > np.iinfo(_SMALL).max:
        return piece
    return places.astype(_SMALL), counts.astype(_SMALL)
