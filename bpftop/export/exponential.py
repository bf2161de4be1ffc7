"""Log-linear counts in exponential buckets: Prometheus' native histograms, OpenTelemetry's exponential ones.

Schema (scale) s: bucket i holds the values above b**(i-1) up to b**i with b = 2**(2**-s), in seconds. OpenTelemetry's
index is one less. Ours are cut in 64 equal parts an octave, these in 2**s growing ones, so each of ours moves as a
whole, by its middle: at most 0.8 % off before it is rounded to a bucket that is 4.4 % wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bpftop.model import Histogram

SCHEMA = 4
"""16 buckets an octave, each 4.4 % above the one before."""
FACTOR = 2.0 ** (2.0**-SCHEMA)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Counts by index, without gaps."""

    first: int
    """The index of the first count, in Prometheus' way of counting."""
    counts: tuple[int, ...]
    zeros: int
    """Values of 0 ns."""


def exponential(histogram: Histogram) -> Exponential:
    """The same counts in exponential buckets."""
    middles = (histogram.low_ns + histogram.high_ns - 1) // 2
    some = middles > 0
    zeros = int(histogram.counts[~some].sum())
    if not some.any():
        return Exponential(0, (), zeros)
    index = np.ceil(np.log2(middles[some] / 1e9) * 2**SCHEMA).astype(np.int64)
    first = int(index[0])
    counts = np.zeros(int(index[-1]) - first + 1, np.int64)
    np.add.at(counts, index - first, histogram.counts[some])
    return Exponential(first, tuple(counts.tolist()), zeros)
