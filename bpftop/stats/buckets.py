"""Log-linear buckets: one rule here and in ``bt/lib/counts.bt``.

A value below 2**(bits+1) has a bucket of its own; above, each octave [2**p, 2**(p+1)) is cut in 2**bits equal parts, so
a bucket is at most 1/2**bits of its value wide: 1.6 % with 6 bits (its middle is within 0.8 %), 6.2 % with 4 bits
(within 3.1 %). This is HdrHistogram's layout with a binary precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bpftop.model import Counts

GLOBAL_BITS = 6
"""64 buckets per octave: global series."""
CLIENT_BITS = 4
"""16 buckets per octave: per client."""
OCTAVES = 40
"""Up to 2**40 ns = 18 minutes; what is longer counts in the last bucket."""
GLOBAL_BUCKETS = OCTAVES << GLOBAL_BITS
CLIENT_BUCKETS = OCTAVES << CLIENT_BITS


def bucket_of(value: ArrayLike, bits: int = GLOBAL_BITS) -> Counts:
    """The bucket index of each value (ns, >= 0). Any shape; int64 of the same shape."""
    v = np.maximum(np.asarray(value, dtype=np.int64), 0)
    _, exponent = np.frexp(v.astype(np.float64))
    # Above 2**53 a float64 can round up into the next octave; those values are in the last bucket anyway.
    p = np.maximum(exponent.astype(np.int64) - 1, bits)
    index = (p << bits) + ((v >> (p - bits)) - (1 << bits))
    index = np.where(v < (2 << bits), v, index)
    return np.minimum(index, (OCTAVES << bits) - 1)


def lower_edge(index: ArrayLike, bits: int = GLOBAL_BITS) -> Counts:
    """The smallest value (ns) of each bucket. Any shape; int64 of the same shape."""
    i = np.asarray(index, dtype=np.int64)
    p = np.maximum(i >> bits, bits)
    edge = ((1 << bits) + (i & ((1 << bits) - 1))) << (p - bits)
    return np.where(i < (2 << bits), i, edge)


def upper_edge(index: ArrayLike, bits: int = GLOBAL_BITS) -> Counts:
    """The smallest value (ns) above each bucket. Any shape; int64 of the same shape."""
    return lower_edge(np.asarray(index, dtype=np.int64) + 1, bits)


def middle(index: ArrayLike, bits: int = GLOBAL_BITS) -> Counts:
    """The value (ns) that stands for each bucket: the middle of the values it can hold."""
    return (lower_edge(index, bits) + upper_edge(index, bits) - 1) // 2
