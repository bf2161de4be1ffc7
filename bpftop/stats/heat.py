"""Time by latency: how many observations of a measure fell where, from the seconds that the store keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Histogram, History
from bpftop.stats import buckets
from bpftop.stats.quantiles import histogram

PAUSE_S = 2.5
"""A slice is a second; a longer one than this says that bpftrace stood still."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The counts of one measure in columns of equal length, oldest first. Columns without a tick are all zero."""

    starts_unix_ns: Counts
    """When each column begins; shape (columns,)."""
    length_ns: int
    counts: Counts
    """Shape (columns, buckets)."""
    untold: NDArray[np.bool_]
    """Columns inside a pause of bpftrace: what they counted is in the column that ends it; shape (columns,)."""

    def total(self) -> Histogram:
        """All columns together."""
        return histogram(self.counts.sum(axis=0))

    def rows(self, edges_ns: NDArray[np.float64]) -> Counts:
        """The counts merged to rows: row i has the buckets whose middle is in [edges_ns[i], edges_ns[i + 1]).

        Values outside go to the first or last row. Shape (columns, rows).
        """
        middles = np.maximum(buckets.middle(np.arange(buckets.BUCKETS)), 1)
        row = np.clip(np.searchsorted(edges_ns, middles, side="right") - 1, 0, len(edges_ns) - 2)
        out = np.zeros((len(self.counts), len(edges_ns) - 1), np.int64)
        column, bucket = np.nonzero(self.counts)
        np.add.at(out, (column, row[bucket]), self.counts[column, bucket])
        return out

    def quantiles(self, *qs: float) -> list[NDArray[np.float64]]:
        """These quantiles of each column (nearest rank, ns); NaN where nothing was. Each of shape (columns,)."""
        used = np.flatnonzero(self.counts.any(axis=0))
        running = np.cumsum(self.counts[:, used], axis=1)
        n = running[:, -1] if len(used) else np.zeros(len(running), np.int64)
        middles = buckets.middle(np.append(used, buckets.BUCKETS - 1)).astype(np.float64)
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
    dense = np.zeros((count, buckets.BUCKETS), np.int64)
    starts = (np.arange(count) + (last - count + 1)) * step
    untold = np.zeros(count, np.bool_)
    for end_ns, span_s in zip(history.unix_ns, history.spans_s, strict=False):
        if span_s > PAUSE_S:
            untold |= (starts >= end_ns - span_s * 1e9) & (starts + step <= end_ns - 500_000_000)
    if measure in history.measures:
        base = history.measures.index(measure) * buckets.BUCKETS
        for end_ns, (index, counts) in zip(history.unix_ns, history.pieces, strict=True):
            # A tick reports the second that it ends.
            column = (end_ns - 500_000_000) // step - (last - count + 1)
            if 0 <= column < count:
                low, high = np.searchsorted(index, (base, base + buckets.BUCKETS))
                dense[column, index[low:high] - base] += counts[low:high]
    return Columns(starts, step, dense, untold)
