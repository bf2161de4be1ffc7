"""One target on mutations by chance, in this process: where there is no atheris, and for a moment in every test run."""

from __future__ import annotations

import random
import time

from tests.fuzz.mutate import mutated, renumbered
from tests.fuzz.targets import TARGETS


class Found(AssertionError):
    """An input that a reader does not survive."""

    def __init__(self, name: str, seed: int, data: bytes) -> None:
        super().__init__(f"{name}, seed {seed}: {data!r}")
        self.data = data


def run(name: str, seed: int, seconds: float) -> int:
    """Try until the time is over; how many inputs. Raises Found."""
    target, chance = TARGETS[name], random.Random(seed)
    seeds, tried, end = target.seeds(), 0, time.monotonic() + seconds
    while tried < len(seeds) or time.monotonic() < end:
        data = seeds[tried] if tried < len(seeds) else _made(chance, seeds)
        try:
            target.run(data)
        except Exception as error:
            raise Found(name, seed, data) from error
        tried += 1
    return tried


def _made(chance: random.Random, seeds: list[bytes]) -> bytes:
    one = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 2, 5))):
        one = renumbered(chance, one) if chance.random() < 0.3 else mutated(chance, one, chance.choice(seeds))
    return one
