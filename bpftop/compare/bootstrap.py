"""How much a percentile changed, and what of that may be noise: a percentile bootstrap of the ratio of two percentiles.

The k-th smallest of n values drawn again, with replacement, is the value of the original at the rank n * U, where U ~
Beta(k, n - k + 1): the distribution of an order statistic (Maritz and Jarrett 1978; Efron 1979). So a draw costs one
Beta number instead of n new samples, and counts of buckets do as well as samples. Both sides are drawn independently.
The draws are seeded: the same files give the same figures.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from bpftop.compare.model import QUANTILES, Change, Figures
from bpftop.model import Histogram
from bpftop.stats.quantiles import nearest_rank

DRAWS = 5000
TAIL = 0.01
"""What an interval leaves out on each side."""
UNBOUNDED = 0.05
_SEED = 1
_FEWEST = 30


def least_samples(quantile: float) -> int:
    """The number of samples from which on a percentile can be bounded from above.

    With fewer, the true percentile is above the largest sample with a probability of more than UNBOUNDED (Wilks 1941):
    299 for p99, 2995 for p99.9.
    """
    return max(_FEWEST, math.ceil(math.log(UNBOUNDED) / math.log(quantile)))


def figures(histogram: Histogram) -> Figures:
    """The percentiles of a distribution, each the middle of its bucket."""
    n = int(histogram.counts.sum())
    if not n:
        return Figures(0, dict.fromkeys(QUANTILES), None)
    indices = nearest_rank(histogram.counts, (*QUANTILES.values(), 1.0))
    middles = ((histogram.low_ns[indices] + histogram.high_ns[indices] - 1) // 2).tolist()
    return Figures(n, dict(zip(QUANTILES, middles[:-1], strict=True)), middles[-1])


def same(one: Histogram, other: Histogram) -> bool:
    """The very same counts."""
    mine, theirs = ((h.low_ns, h.high_ns, h.counts) for h in (one, other))
    return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


def interval(base: Histogram, current: Histogram, quantile: str, point: float, enough: bool) -> Change:
    """The interval of a percentile's change; ``point`` is the change itself. Neither distribution is empty."""
    random = np.random.default_rng(_SEED)
    q = QUANTILES[quantile]
    ratios = _draws(current, q, random) / _draws(base, q, random) - 1
    low, high = (float(end) for end in np.quantile(ratios, (TAIL, 1 - TAIL)))
    # A percentile is shown as the middle of its bucket and drawn from all of it: it stays inside its own interval.
    return Change(quantile, point, min(low, point), max(high, point), enough)


def _draws(histogram: Histogram, q: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Bootstrapped values (ns, at least 1) of the q-quantile, shape (DRAWS,); within a bucket they spread evenly."""
    running = np.cumsum(histogram.counts)
    n = int(running[-1])
    k = max(math.ceil(q * n * (1 - 1e-12)), 1)
    ranks = random.beta(k, n - k + 1, DRAWS) * n
    index = np.minimum(np.searchsorted(running, ranks, side="left"), len(running) - 1)
    inside = np.clip(1 - (running[index] - ranks) / histogram.counts[index], 0.0, 1.0)
    low, high = histogram.low_ns[index], histogram.high_ns[index] - 1
    values: NDArray[np.float64] = np.maximum(low + inside * (high - low), 1.0)
    return values
