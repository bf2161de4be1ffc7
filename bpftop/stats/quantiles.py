"""Percentiles from bucket counts: nearest rank. The q-quantile of n values is the ceil(q*n)-th smallest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Histogram, Summary
from bpftop.stats import buckets

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)
_SUMMARY = (*QUANTILES, 1.0)


def nearest_rank(counts: Counts, quantiles: Sequence[float] = QUANTILES) -> Counts:
    """The bucket index of each quantile (0 < q <= 1). ``counts`` has shape (buckets,), its sum is not 0.

    Returns int64 of shape (quantiles,).
    """
    running = counts.cumsum()
    return running.searchsorted(_ranks(int(running[-1]), quantiles)).astype(np.int64, copy=False)


def _ranks(n: int, quantiles: Sequence[float]) -> list[int]:
    # 0.999 * 1000 is 999.0000000000001 in binary: without the small step back its ceiling would be 1000.
    return [max(math.ceil(quantile * n * (1 - 1e-12)), 1) for quantile in quantiles]


def summarize(counts: Counts, span_s: float) -> Summary:
    """The summary of one measure over a window of ``span_s`` seconds; each figure is the middle of its bucket."""
    (filled,) = counts.nonzero()
    mine, middles = counts[filled], buckets.middle(filled)
    running = mine.cumsum()
    n = int(running[-1]) if len(running) else 0
    if not n:
        return Summary(0, 0.0)
    p50, p90, p95, p99, p999, top = middles[running.searchsorted(_ranks(n, _SUMMARY))].tolist()
    rate_per_s = n / span_s if span_s > 0 else 0.0
    return Summary(n, rate_per_s, p50, p90, p95, p99, p999, top, int(middles.dot(mine)))


def histogram(counts: Counts) -> Histogram:
    """The non-empty buckets of ``counts`` (shape (buckets,))."""
    (index,) = counts.nonzero()
    return Histogram(buckets.lower_edge(index), buckets.upper_edge(index), counts[index].astype(np.int64, copy=False))


def grouped_ranks(counts: Counts, starts: NDArray[np.intp], quantile: float) -> NDArray[np.intp]:
    """The position of a quantile in each of many groups of one array.

    ``counts`` (entries,) holds the groups one after the other, each sorted by bucket; ``starts`` (groups,) is where
    each begins. Returns (groups,): positions in ``counts``.
    """
    running = np.cumsum(counts)
    before = running[starts] - counts[starts]
    ends = np.append(starts[1:], len(counts)) - 1
    totals = running[ends] - before
    ranks = np.maximum(np.ceil(quantile * totals * (1 - 1e-12)), 1)
    positions: NDArray[np.intp] = np.searchsorted(running, before + ranks, side="left")
    return positions
