"""Whether chance alone explains a share: Chernoff's bound on a binomial tail (Hoeffding 1963, theorem 1)."""

from __future__ import annotations

import math

BURSTS = 3.0
"""Slow requests and lost segments come in bursts: so many of them count as one."""
ALPHA = 1e-3
"""The chance, so bounded, of saying something for nothing."""


def evidence(n: int, seen: float, expected: float) -> float:
    """Of ``n`` a share was ``seen`` and another ``expected``: -log of the bound on the chance of that; 0 when not more
    than expected was seen, infinite when nothing else was possible."""
    return n / BURSTS * _relative_entropy(seen, expected)


def _relative_entropy(seen: float, expected: float) -> float:
    """Of two coins; 0 when the first falls no oftener."""
    if seen <= expected or expected <= 0:
        return 0.0
    rest = (1 - seen) * math.log((1 - seen) / (1 - expected)) if seen < 1 else 0.0
    return seen * math.log(seen / expected) + rest
