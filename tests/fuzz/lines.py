"""Mutated lines of real runs through everything that bpftrace's output goes through, with exact books."""

from __future__ import annotations

import random
import resource
import time
from collections import Counter
from dataclasses import dataclass, field

from bpftop.model import Record, Rejected
from bpftop.tracer.decode import LineSplitter
from tests.fuzz import corpus
from tests.fuzz.mutate import mutated, renumbered
from tests.fuzz.ways import Run, Watch

ROUND = 20_000
"""Lines of one run of bpftrace; then another begins, and its books are closed."""
LIMIT = 1 << 14
"""Of the splitter, so that some lines are too long."""


@dataclass
class Books:
    """Where every line went."""

    lines: int = 0
    blank: int = 0
    oversize: int = 0
    read: int = 0
    """Gave at least one message, none of them a refusal."""
    refused: int = 0
    """Gave a refusal, which is counted and shown."""
    records: int = 0
    """Events that were decoded."""
    shown: int = 0
    """Events that came into the figures."""
    misfits: int = 0
    """Events with numbers that no stream declares: counted as rejected in the accounts."""
    kinds: Counter[str] = field(default_factory=Counter)
    grown_kb: int = 0
    """How much larger the process became after its first round."""

    def problems(self) -> list[str]:
        """What does not add up."""
        out = []
        if self.lines != self.blank + self.oversize + self.read + self.refused:
            out.append(f"{self.lines} lines, {self.blank + self.oversize + self.read + self.refused} accounted for")
        if self.records != self.shown + self.misfits:
            out.append(f"{self.records} events, {self.shown} shown and {self.misfits} rejected")
        return out


def run(seed: int, lines: int, seconds: float | None = None) -> Books:
    """So many lines, or until the time is over. Raises AssertionError with the seed and the line."""
    chance, books = random.Random(seed), Books()
    end = time.monotonic() + seconds if seconds is not None else float("inf")
    size = 0
    while books.lines < lines and time.monotonic() < end:
        _round(seed, chance, books, min(ROUND, lines - books.lines), end)
        size = size or _size_kb()
    books.grown_kb = _size_kb() - size
    return books


def _round(seed: int, chance: random.Random, books: Books, lines: int, end: float) -> None:
    """One run of bpftrace, cut into chunks of any size as a pipe does it."""
    material = corpus.lines()
    splitter, watch, other = LineSplitter(LIMIT), Watch(), Run()
    before = books.records
    for _ in range(lines // 50):
        if time.monotonic() > end:
            break
        made = [_made(chance, material) for _ in range(50)]
        if chance.random() < 0.1:
            made[0] = made[0] * (1 + LIMIT // max(len(made[0]), 1))
        text = b"".join(line.replace(b"\n", b" ") + b"\n" for line in made)
        books.lines += len(made)
        cut = chance.randrange(len(text))
        for one in [*splitter.feed(text[:cut]), *splitter.feed(text[cut:])]:
            try:
                _line(books, one, watch, other, chance.random() < 0.5)
            except Exception as error:
                raise AssertionError(f"seed {seed}, about line {books.lines}: {one!r}") from error
    books.oversize += splitter.oversize
    watch.check()
    other.check()
    shown = sum(ring.taken for ring in watch.store.events.rings)
    books.shown += shown
    books.misfits += watch.store.accounting.rejected - watch.refused
    assert books.records - before >= shown


def _made(chance: random.Random, material: tuple[bytes, ...]) -> bytes:
    one = chance.choice(material)
    return renumbered(chance, one) if chance.random() < 0.5 else mutated(chance, one, chance.choice(material))


def _line(books: Books, one: bytes, watch: Watch, other: Run, twice: bool) -> None:
    messages = watch.line(one)
    other.line(one, twice)
    books.kinds.update(type(message).__name__ for message in messages)
    books.records += sum(isinstance(message, Record) for message in messages)
    if not messages:
        books.blank += 1
    elif any(isinstance(message, Rejected) for message in messages):
        books.refused += 1
    else:
        books.read += 1


def _size_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
