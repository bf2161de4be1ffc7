"""Time by latency: how many observations of a measure fell where, from the seconds that the store keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Histogram, History
from bpftop.stats import buckets

PAUSE_S = 2.5
"""A slice is a second; a longer one than this says that bpftrace stood still."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The counts of one measure in columns of equal length, oldest first. Columns without a tick are all zero."""

    starts_unix_ns: Counts
    """When each column begins; shape (columns,)."""
    length_ns: int
    used: Counts
    """The buckets that any column has something in, ascending; shape (used,)."""
    counts: Counts
    """Shape (columns, used)."""
    untold: NDArray[np.bool_]
    """Columns inside a pause of bpftrace: what they counted is in the column that ends it; shape (columns,)."""

    def total(self) -> Histogram:
        """All columns together."""
        counts = self.counts.sum(axis=0)
        used = self.used[counts > 0]
        return Histogram(buckets.lower_edge(used), buckets.upper_edge(used), counts[counts > 0])

    def rows(self, edges_ns: NDArray[np.float64]) -> Counts:
        """The counts merged to rows: row i has the buckets whose middle is in [edges_ns[i], edges_ns[i + 1]).

        Values outside go to the first or last row. Shape (columns, rows).
        """
        middles = np.maximum(buckets.middle(self.used), 1)
        row = np.clip(np.searchsorted(edges_ns, middles, side="right") - 1, 0, len(edges_ns) - 2)
        out = np.zeros((len(self.counts), len(edges_ns) - 1), np.int64)
        filled, starts = np.unique(row, return_index=True)
        if len(starts):
            out[:, filled] = np.add.reduceat(self.counts, starts, axis=1)
        return out

    def quantiles(self, *qs: float) -> list[NDArray[np.float64]]:
        """These quantiles of each column (nearest rank, ns); NaN where nothing was. Each of shape (columns,)."""
        running = np.cumsum(self.counts, axis=1)
        n = running[:, -1] if len(self.used) else np.zeros(len(running), np.int64)
        middles = buckets.middle(np.append(self.used, buckets.BUCKETS - 1)).astype(np.float64)
        found = []
        for q in qs:
            rank = np.maximum(np.ceil(q * n * (1 - 1e-12)), 1)
            index = (running < rank[:, None]).sum(axis=1)
            found.append(np.where(n > 0, middles[index], np.nan))
        return found


def columns(history: History, measure: str, length_s: float, now_unix_ns: int, most: int) -> Columns:
    """The last ``length_s`` seconds of a measure in at most ``most`` columns.

    A column is a whole number of seconds and begins at a multiple of it, so that columns do not swim as time goes on.
    """
    step_s = max(1, -(-int(length_s) // max(most, 1)))
    step = step_s * 10**9
    last = now_unix_ns // step
    count = max(1, min(most, -(-int(length_s) // step_s)))
    starts = (np.arange(count) + (last - count + 1)) * step
    untold = np.zeros(count, np.bool_)
    for end_ns, span_s in zip(history.unix_ns, history.spans_s, strict=False):
        if span_s > PAUSE_S:
            untold |= (starts >= end_ns - span_s * 1e9) & (starts + step <= end_ns - 500_000_000)
    used, counts = _dense(_pieces(history, measure, step, last - count + 1, count), count)
    return Columns(starts, step, used, counts, untold)


_Piece = tuple[int, NDArray[np.int64], Counts]
"""What a column gets: its place, buckets, and how many fell in each."""


def _pieces(history: History, measure: str, step: int, first: int, count: int) -> list[_Piece]:
    """The seconds of the history in ``count`` columns, of which ``first`` is the oldest."""
    if measure not in history.measures:
        return []
    base = history.measures.index(measure) * buckets.BUCKETS
    ends = np.array((base, base + buckets.BUCKETS))
    found = []
    for end_ns, (index, counts) in zip(history.unix_ns, history.pieces, strict=True):
        column = (end_ns - 500_000_000) // step - first  # a tick reports the second that it ends
        if 0 <= column < count:
            low, high = index.searchsorted(ends).tolist()
            if low < high:
                found.append((column, index[low:high] - base, counts[low:high]))
    return found


def _dense(pieces: Sequence[_Piece], count: int) -> tuple[Counts, Counts]:
    """The buckets that are used, and their counts in each of ``count`` columns."""
    seen = np.zeros(buckets.BUCKETS, np.bool_)
    for _, index, _ in pieces:
        seen[index] = True
    used = np.flatnonzero(seen)
    place = np.cumsum(seen) - 1
    dense = np.zeros((count, len(used)), np.int64)
    for column, index, counts in pieces:
        dense[column, place[index]] += counts
    return used, dense
