"""Log-linear buckets: one rule here and in ``bt/lib/counts.bt``.

A value below 128 has a bucket of its own; above, each octave [2**p, 2**(p+1)) is cut in 64 equal parts, so a bucket is
at most 1/64 of its values wide and its middle is within 0.8 % of any of them. This is HdrHistogram's layout with a
binary precision. Per client four neighbours are one bucket (``index >> 2``): 16 per octave, within 3.1 %.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from bpftop.model import Counts

BITS = 6
"""64 buckets per octave."""
OCTAVES = 40
"""Up to 2**40 ns = 18 minutes; what is longer counts in the last bucket."""
BUCKETS = (OCTAVES - BITS + 1) << BITS
CLIENT_SHIFT = 2
"""A client's bucket is a global bucket shifted right by this."""
CLIENT_BUCKETS = BUCKETS >> CLIENT_SHIFT


def bucket_of(value_ns: ArrayLike) -> Counts:
    """The bucket index of each value (ns, >= 0). Any shape; int64 of the same shape."""
    v: Counts = np.minimum(np.maximum(np.asarray(value_ns, dtype=np.int64), 0), (1 << OCTAVES) - 1)
    _, exponent = np.frexp(v.astype(np.float64))
    shift: Counts = np.maximum(exponent.astype(np.int64) - 1 - BITS, 0)
    return (shift << BITS) + (v >> shift)


def bucket_of_one(value_ns: int) -> int:
    """The bucket index of one value (ns, >= 0)."""
    value = min(value_ns, (1 << OCTAVES) - 1)
    shift = max(value.bit_length() - 1 - BITS, 0)
    return (shift << BITS) + (value >> shift)


def _edges(index: Counts) -> Counts:
    shift: Counts = np.maximum((index >> BITS) - 1, 0)
    return (index - (shift << BITS)) << shift


# Looked up: a snapshot asks a hundred times. One octave more than there are buckets, then the last one again.
_LOWER = _edges(np.arange(BUCKETS + (1 << BITS) + 1))
_MIDDLE = (_LOWER[:-1] + _LOWER[1:] - 1) // 2
_CLIENT_LOWER = _LOWER[:: 1 << CLIENT_SHIFT]
_CLIENT_MIDDLE = (_CLIENT_LOWER[:-1] + _CLIENT_LOWER[1:] - 1) // 2


def _looked_up(table: Counts, index: ArrayLike) -> Counts:
    found: Counts = table.take(np.asarray(index, np.int64), mode="clip")
    return found


def lower_edge(index: ArrayLike) -> Counts:
    """The smallest value (ns) of each bucket. Any shape; int64 of the same shape."""
    return _looked_up(_LOWER, index)


def upper_edge(index: ArrayLike) -> Counts:
    """The smallest value (ns) above each bucket. Any shape; int64 of the same shape."""
    return _looked_up(_LOWER[1:], index)


def middle(index: ArrayLike) -> Counts:
    """The value (ns) that stands for each bucket: the middle of the whole numbers it can hold."""
    return _looked_up(_MIDDLE, index)


def client_middle(index: ArrayLike) -> Counts:
    """The same for a client's bucket."""
    return _looked_up(_CLIENT_MIDDLE, index)
