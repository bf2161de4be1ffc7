"""A snapshot out of a store that was told every observation: six clients, one of them slow in one second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bpftop.model import Snapshot
from tests.stored import CODES, Seen, snapshot_of, stored
from tests.ui import builders

SLOW_S = 70
"""In this second one client was slow."""


def observations() -> list[Seen]:
    """90 seconds of calm requests of six clients; in one second 12 requests of the second client take 500 ms."""
    rng = np.random.default_rng(8)
    seen: list[Seen] = []
    for second in range(1, 91):
        for code, n in zip(CODES, (20, 2, 9, 7, 5, 3), strict=True):
            seen += [(second, 1, code, int(value)) for value in rng.normal(1e6, 5e4, n)]
        if second == SLOW_S:
            seen += [(second, 1, CODES[1], 500_000_000 + 1000 * i) for i in range(12)]
    return seen


def shot(seen: list[Seen]) -> Snapshot:
    """The snapshot of a store that was told these."""
    told = snapshot_of(stored(seen))
    names = ("unix_ns", "window", "measures", "counters", "slow", "histories")
    return replace(builders.live(), **{name: getattr(told, name) for name in names})


SHOT = shot(observations())
CALM = shot([each for each in observations() if each[3] < 400_000_000])
"""The same without the slow ones."""
