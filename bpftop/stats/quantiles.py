"""Percentiles from bucket counts: nearest rank. The q-quantile of n values is the ceil(q*n)-th smallest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Histogram, Summary
from bpftop.stats import buckets

QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


def nearest_rank(counts: Counts, quantiles: tuple[float, ...] = QUANTILES) -> Counts:
    """The bucket index of each quantile (0 < q <= 1). ``counts`` has shape (buckets,), its sum is not 0.

    Returns int64 of shape (quantiles,).
    """
    running = np.cumsum(counts)
    # 0.999 * 1000 is 999.0000000000001 in binary: without the small step back its ceiling would be 1000.
    ranks = np.ceil(np.asarray(quantiles) * int(running[-1]) * (1 - 1e-12))
    return np.searchsorted(running, np.maximum(ranks, 1), side="left").astype(np.int64)


def summarize(counts: Counts, span_s: float) -> Summary:
    """The summary of one measure over a window of ``span_s`` seconds; each figure is the middle of its bucket."""
    n = int(counts.sum())
    if n == 0:
        return Summary(0, 0.0)
    indices = nearest_rank(counts, (*QUANTILES, 1.0))
    p50, p90, p95, p99, p999, top = (int(v) for v in buckets.middle(indices))
    filled = np.flatnonzero(counts)
    total = int(np.dot(buckets.middle(filled), counts[filled]))
    return Summary(n, n / span_s if span_s > 0 else 0.0, p50, p90, p95, p99, p999, top, total)


def histogram(counts: Counts) -> Histogram:
    """The non-empty buckets of ``counts`` (shape (buckets,))."""
    index = np.flatnonzero(counts)
    return Histogram(buckets.lower_edge(index), buckets.upper_edge(index), counts[index].astype(np.int64))


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
