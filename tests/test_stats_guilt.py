"""Who is named for slow observations: nobody on healthy traffic of any shape, the guilty ones otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bpftop.model import ClientRow, Recent, Summary
from bpftop.stats.guilt import Part, guilty

MS = 1_000_000


def row(name: str, n: int, slow: int) -> ClientRow:
    return ClientRow(name, n, n / 10, MS, 500 * MS, 500 * MS, n * MS, slow)


def found(counts: list[tuple[int, int]], said: tuple[str, ...] = ()) -> list[Part]:
    """Of (all, slow) of each of some clients."""
    rows = tuple(row(f"10.0.0.{i}", n, slow) for i, (n, slow) in enumerate(counts))
    n, slow = (sum(column) for column in zip(*counts, strict=True))
    return guilty(rows, Recent(Summary(n, n / 10), Summary(0, 0.0), 40 * MS, slow, rows), said)


def names(parts: list[Part]) -> list[str]:
    return [each.row.client for each in parts]


@pytest.mark.parametrize(
    ("counts", "who"),
    [
        ([(50, 56), (950, 44)], ["10.0.0.0"]),
        ([(50, 30), (50, 32), (900, 38)], ["10.0.0.1", "10.0.0.0"]),
        ([(100, 60), (100, 19), (800, 21)], ["10.0.0.0"]),
        ([(9000, 90), (1000, 10)], []),
        ([(9000, 99), (1000, 1)], []),
        ([(50, 20), (950, 80)], []),
        ([(500, 60), (500, 40)], []),
        ([(1, 1), (999, 7)], []),
        ([(10, 7), (90, 0)], []),
        ([(100, 9), (900, 1)], []),
        ([(1000, 100)], []),
        ([(0, 50), (1000, 50)], []),
    ],
    ids=[
        "56 % from 5 %", "two share it", "the second is within chance", "90 % of all has 90 % of the slow",
        "90 % of all has all of the slow", "too little of the whole", "more than its half", "one", "too few",
        "ten in all prove nothing", "the only one", "nothing of all is known of it",
    ],
)  # fmt: skip
def test_who_is_guilty(counts: list[tuple[int, int]], who: list[str]) -> None:
    assert names(found(counts)) == who


def test_what_was_said_needs_less_to_stay() -> None:
    little = [(100, 28), (900, 72)]
    assert not found(little)
    assert names(found(little, ("10.0.0.0",))) == ["10.0.0.0"]
    assert not found([(100, 22), (900, 78)], ("10.0.0.0",))


def shares(random: np.random.Generator, clients: int) -> NDArray[np.float64]:
    """Traffic of clients that are nearly alike, or one of which has most of it."""
    weights = random.pareto(random.uniform(0.6, 4.0), clients) + 0.05
    return np.asarray(weights / weights.sum(), np.float64)


def healthy(random: np.random.Generator) -> list[tuple[int, int]]:
    """Ten seconds of traffic in which every request has the same chance to be slow, whoever sends it; in half of the
    cases the slow ones come in bursts: a moment of the server in which a client may send several requests."""
    share = shares(random, int(random.integers(2, 60)))
    n = random.multinomial(int(random.integers(300, 20_000)), share)
    if random.random() < 0.5:
        slow = random.binomial(n, random.choice([0.01, 0.02, 0.1, 0.5]))
    else:
        bursts = random.multinomial(int(random.integers(4, 60)), share)
        slow = np.minimum(n, random.poisson(bursts * random.uniform(1.0, 3.0)))
    return list(zip(n.tolist(), slow.tolist(), strict=True))


def test_nobody_is_named_on_healthy_traffic() -> None:
    random = np.random.default_rng(3)
    named = [sample for sample in (healthy(random) for _ in range(4000)) if found(sample)]
    assert len(named) <= 4, f"named in {len(named)} of 4000: {named[:3]}"


def test_the_guilty_one_is_named_and_nobody_else() -> None:
    random, missed, others = np.random.default_rng(4), 0, 0
    for _ in range(500):
        clients = int(random.integers(6, 40))
        n = random.multinomial(3000, [0.05, *(shares(random, clients) * 0.95)])
        slow = [int(random.binomial(n[0], 0.6)), *random.binomial(n[1:], 0.02).tolist()]
        who = names(found(list(zip(n.tolist(), slow, strict=True))))
        missed += "10.0.0.0" not in who
        others += bool(set(who) - {"10.0.0.0"})
    assert (missed, others) == (0, 0)
