"""Whether one key has more of the slow observations than its part of the traffic explains.

Were slow observations anybody's, a key with a share p of all n would have about the share p of the slow ones. By the
Chernoff bound the chance that it has a share s > p of k slow ones is at most exp(-k D), with the relative entropy
D = s ln(s/p) + (1-s) ln((1-s)/(1-p)) (Hoeffding 1963, theorem 1). Slow ones come in bursts, so k counts for a third;
and as at most 1/p keys have so much traffic, the chance that any of them does is at most 1/p times as large.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bpftop.model import ClientRow, Recent
from bpftop.model.chance import ALPHA, evidence

STILL_ALPHA = 0.3
"""In place of ALPHA: what was said once needs less to stay said."""
LEAST_ALL, LEAST_OWN = 8, 5
"""Slow observations in all, and of one key: fewer prove nothing."""
TIMES, STILL_TIMES = 2.0, 1.5
"""The share of the slow ones is so many times the share of all; once said, it needs less to stay said."""
EXCESS, STILL_EXCESS = 0.25, 0.15
"""What is said of one key or of several together explains so much of the slow ones beyond their share of all."""
MOST_KEYS = 3
"""Said by name."""
BESIDE = 1 / 3
"""A second key is worth a word when it has so much of what the first one has."""
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Part:
    """What one key has of the slow observations and of all."""

    row: ClientRow
    of_slow: float
    of_all: float

    @property
    def excess(self) -> float:
        """The part of the slow ones that its part of the traffic does not explain."""
        return self.of_slow - self.of_all


def guilty(rows: Iterable[ClientRow], recent: Recent, said: Sequence[str] = ()) -> list[Part]:
    """The keys behind the slow observations, the most slow first; those in ``said`` need less. Often nobody is."""
    parts = [part_of(row, recent) for row in rows]
    return proven([each for each in parts if each.row.client != OTHERS], recent.slow, said)


def part_of(row: ClientRow, recent: Recent) -> Part:
    """What one row has of the last ten seconds."""
    return Part(row, share(row.slow, recent.slow), share(row.count, recent.now.count))


def proven(parts: Sequence[Part], slow: int, said: Sequence[str] = ()) -> list[Part]:
    """Those of whom so much is no chance; ``slow``: all slow observations."""
    if slow < LEAST_ALL or len(parts) < 2:
        return []
    found = [each for each in parts if beyond_chance(each, slow, each.row.client in said)]
    found.sort(key=lambda each: -each.of_slow)
    found = [each for each in found[:MOST_KEYS] if each.of_slow >= BESIDE * found[0].of_slow]
    enough = STILL_EXCESS if any(each.row.client in said for each in found) else EXCESS
    return found if sum(each.excess for each in found) >= enough else []


def share(slow: int | None, of: int) -> float:
    """Of the slow ones, at most all: counts by key are of a slightly other moment than those of all."""
    return min((slow or 0) / max(of, 1), 1.0)


def beyond_chance(part: Part, slow: int, said: bool) -> bool:
    """Whether one key has twice its share of the slow ones, and so many of them that it is no chance."""
    if part.of_all <= 0:  # of what is sent again: handshakes, before anything was sent; of requests: counted later
        return False
    if (part.row.slow or 0) < LEAST_OWN or part.of_slow < (STILL_TIMES if said else TIMES) * part.of_all:
        return False
    alpha = STILL_ALPHA if said else ALPHA
    return evidence(slow, part.of_slow, part.of_all) >= -math.log(alpha * part.of_all)
