"""Log-linear counts in the coarse buckets of a classic Prometheus histogram."""

from __future__ import annotations

import numpy as np

from bpftop.model import Histogram

_STEPS = (100, 150, 200, 250, 350, 500, 750)
BOUNDS_NS = (*(step * 10**decade for decade in range(2, 8) for step in _STEPS), 10**10)
"""10 µs to 10 s, 43 bounds, none more than 1.5 times the one before."""


def bounds_s() -> list[float]:
    """The same in seconds, as short as they can be written."""
    return [bound / 1e9 for bound in BOUNDS_NS]


def cumulative(histogram: Histogram) -> list[int]:
    """How many values are at most each of BOUNDS_NS.

    A bucket of ours counts where its middle lies, so a bound is off by at most 0.8 %.
    """
    middles = (histogram.low_ns + histogram.high_ns - 1) // 2
    running = np.concatenate(([0], np.cumsum(histogram.counts)))
    return [int(count) for count in running[np.searchsorted(middles, BOUNDS_NS, side="right")]]
