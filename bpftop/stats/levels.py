"""The calm level of each measure, and whether its last seconds are beyond it: with hysteresis, whatever the rate.

A state begins when 3 of the last 5 seconds are bad and ends after 5 good ones in a row; one bad second changes nothing.
What a measure shows while it is in a state never becomes part of its level, so a level is what was before the trouble.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Summary
from bpftop.model.chance import ALPHA, evidence
from bpftop.stats import buckets
from bpftop.stats.quantiles import nearest_rank, summarize
from bpftop.stats.series import Piece

NOW_S = 10
"""What ``now`` is: the last so many seconds."""
FIRE, OF, CLEAR = 3, 5, 5
CALM_SLICES, CALM_LEAST, CALM_OBSERVATIONS = 60, 10, 100
"""A level is of the last so many calm seconds; it is known from so many seconds and observations on."""
EARLY_LEAST, EARLY = 5, 2.0
"""Until then from so many seconds: what is beyond it by so many times as much is bad, too."""
RISEN_TIMES, RISEN_NS, RISEN_SHARE = 3, 5_000_000, 0.02
"""A second is bad when this share of it is beyond the level's p99 by this factor and by this time."""
LATE_NS, LATE_SHARE = 20_000_000, 0.1
"""A queue is bad by itself when this share of a second waits longer than this: nobody queues so long in a server that
keeps up, whatever its level was."""
_LATE_FROM = buckets.bucket_of_one(LATE_NS)
BUSY_TIMES, BUSY_PER_S = 3.0, 50.0
"""More traffic than before: so many times the level's rate, and so many a second more."""
FEWER_TIMES, FEWER_PER_S = 0.4, 20.0
"""Less traffic than before: at most so many times the level's rate, of at least so many a second."""
TAIL_TIMES, TAIL_NS, TAIL_LEAST = 10, 20_000_000, 100
"""A tail: p99 of ``now`` is so many times its median, and at least so long, of at least so many observations."""
NEW_LEVEL_SLICES = 600
"""What has lasted so long is the level from then on."""
LATE = frozenset({"read_queue_latency", "accept_queue_latency"})
"""Measures of queues."""
KEPT = 600
"""States kept, one a slice."""


@dataclass(frozen=True, slots=True)
class Level:
    """One measure at one tick: what it was in calm seconds, and for how many seconds it has been in which state."""

    before: Summary
    """Of the calm seconds; count 0 while the level is not known yet."""
    slow_from: int
    """The client's bucket from which on an observation is slow."""
    risen_s: float | None = None
    late_s: float | None = None
    busier_s: float | None = None
    fewer_s: float | None = None
    tail_s: float | None = None


class Latch:
    """A state that begins and ends with hysteresis."""

    def __init__(self, share: float, least: int) -> None:
        self._share, self._least = share, least
        self._last: deque[tuple[int, int]] = deque(maxlen=OF)
        self._good = 0
        self.slices = 0
        """How many slices it has been on; 0 is off."""

    def take(self, bad: int, n: int, usual: float = 0.0) -> None:
        """One second: ``bad`` of its ``n`` observations are. A second without observations tells nothing.

        ``usual``: the share that is bad in calm seconds; it begins only with more than chance makes of that.
        """
        self._last.append((bad, n))
        if self.slices:
            self._good = 0 if self._is_bad(bad, n) else self._good + (n > 0)
            self.slices = 0 if self._good >= CLEAR else self.slices + 1
            if not self.slices:
                self._last.clear()
        elif sum(self._is_bad(*each) for each in self._last) >= FIRE and self._enough(usual):
            self.slices, self._good = self._since(), 0

    def _is_bad(self, bad: int, n: int) -> bool:
        return bad > 0 and bad >= self._share * n

    def _enough(self, usual: float) -> bool:
        bad, n = sum(each[0] for each in self._last), sum(each[1] for each in self._last)
        if bad < max(self._least, self._share * n):
            return False
        return usual <= 0 or evidence(n, bad / n, min(usual, 1.0)) >= -math.log(ALPHA)

    def _since(self) -> int:
        """How many slices ago the first bad one of the last few was."""
        return len(self._last) - next(i for i, each in enumerate(self._last) if self._is_bad(*each))


class _Recent(NamedTuple):
    """One measure in the last NOW_S seconds."""

    n: int
    p50_at: int
    """The bucket of p50; 0 without observations."""
    p99_at: int
    """The bucket of p99; that behind the last one without observations."""

    @classmethod
    def of(cls, now: Counts) -> _Recent:
        """``now``: shape (buckets,)."""
        n = int(now.sum())
        return cls(n, *nearest_rank(now, (0.5, 0.99)).tolist()) if n else cls(0, 0, buckets.BUCKETS)

    def tail_from(self) -> int:
        """The bucket that a tail begins at."""
        p50 = int(buckets.middle(self.p50_at)) if self.n else 0
        return buckets.bucket_of_one(max(p50 * TAIL_TIMES, TAIL_NS))


class MeasureLevel:
    """One measure, slice after slice."""

    def __init__(self, queue: bool) -> None:
        self._queue = queue
        self._young: deque[tuple[float, NDArray[np.intp], Counts]] = deque()
        self._calm: deque[tuple[float, NDArray[np.intp], Counts]] = deque()
        self._span_s = 0.0
        self._base = np.zeros(buckets.BUCKETS, np.int64)
        self._reset()

    def _reset(self) -> None:
        self._calm.clear()
        self._young.clear()
        self._base[:] = 0
        self._span_s = 0.0
        self.risen = Latch(RISEN_SHARE, 5)
        self.late = Latch(LATE_SHARE, 5)
        self.busier, self.fewer = Latch(0.5, FIRE), Latch(0.5, FIRE)
        self.tail = Latch(0.5, FIRE)
        self._since_tail = self._tail_from = 0

    def take(self, span_s: float, index: NDArray[np.intp], counts: Counts, now: Counts) -> Level:
        """One slice: its buckets and their counts, and the counts (buckets,) of the last NOW_S seconds with it."""
        n, recent = int(counts.sum()), _Recent.of(now)
        before = self._before(CALM_LEAST)
        known = before.count > 0
        early = before if known else self._before(EARLY_LEAST)
        limit = _limit(early, 1.0 if known else EARLY)
        bad = int(counts[index > limit].sum()) if early.count else 0
        self.risen.take(bad, n, (int(self._base[limit + 1 :].sum()) + 1) / (early.count + 1))
        if self._queue:
            self.late.take(int(counts[index > _LATE_FROM].sum()), n)
        else:
            self._take_tail(index, counts, recent)
        if known and span_s > 0:
            rate = n / span_s
            was = before.rate_per_s
            self.busier.take(int(rate >= was * BUSY_TIMES and rate >= was + BUSY_PER_S), 1)
            self.fewer.take(int(was >= FEWER_PER_S and rate <= was * FEWER_TIMES), 1)
        self._learn(span_s, index, counts, doubtful=not known and bad > 0)
        if max(latch.slices for latch in self._latches()) > NEW_LEVEL_SLICES:
            self._reset()
        return self._level(early if self.risen.slices else before, limit, recent)

    def _take_tail(self, index: NDArray[np.intp], counts: Counts, recent: _Recent) -> None:
        self._tail_from = recent.tail_from()
        self.tail.take(int(recent.n >= TAIL_LEAST and recent.p99_at >= self._tail_from), 1)
        self._since_tail = 0 if counts[index >= self._tail_from].any() else self._since_tail + 1

    def _latches(self) -> tuple[Latch, ...]:
        """The states that are no level."""
        return self.risen, self.late, self.busier, self.fewer

    def _before(self, least: int) -> Summary:
        if len(self._calm) < least or self._base.sum() < CALM_OBSERVATIONS:
            return Summary(0, 0.0)
        return summarize(self._base, self._span_s)

    def _learn(self, span_s: float, index: NDArray[np.intp], counts: Counts, doubtful: bool) -> None:
        """Calm seconds become part of the level when they are old enough not to be the beginning of a trouble.

        ``doubtful``: perhaps this second is one, and the level rests on few others: they wait for longer.
        """
        if any(latch.slices for latch in self._latches()):
            self._young.clear()
            return
        self._young.append((span_s, index, counts))
        if doubtful or len(self._young) <= OF:
            return
        self._calm.append(self._young.popleft())
        self._count(self._calm[-1], 1)
        if len(self._calm) > CALM_SLICES:
            self._count(self._calm.popleft(), -1)

    def _count(self, slice_: tuple[float, NDArray[np.intp], Counts], sign: int) -> None:
        span_s, index, counts = slice_
        self._base[index] += sign * counts
        self._span_s += sign * span_s

    def _level(self, before: Summary, limit: int, recent: _Recent) -> Level:
        """Slow is, in a state, what lies beyond the middle (on a log scale) between the limit and the p99 of now: a
        limit near the calm level alone would count ordinary noise. Without a state it is the slowest 1 %."""
        slow_from = recent.p99_at >> buckets.CLIENT_SHIFT
        begun = self._begun(limit)
        if begun is not None:
            begun >>= buckets.CLIENT_SHIFT
            # Buckets are equal on a log scale, so their mean is the middle.
            slow_from = (begun + max(slow_from, begun)) // 2 + 1 if recent.n else begun + 1
        return Level(
            before,
            slow_from,
            _seconds(self.risen),
            _seconds(self.late),
            _seconds(self.busier),
            _seconds(self.fewer),
            _seconds(self.tail) if self._since_tail <= CLEAR else None,
        )

    def _begun(self, limit: int) -> int | None:
        """The bucket that the state begins at; None without one."""
        if self.risen.slices:
            return limit
        if self.late.slices:
            return _LATE_FROM
        return self._tail_from if self.tail.slices else None


class Levels:
    """All measures of a store."""

    def __init__(self, names: Sequence[str]) -> None:
        self._measures = [MeasureLevel(name in LATE) for name in names]
        self._kept: deque[tuple[int, tuple[Level, ...]]] = deque(maxlen=KEPT)

    def take(self, boot_ns: int, span_s: float, new: Sequence[Piece], now: Counts) -> None:
        """One tick: what is new of each measure (buckets and counts), and the counts of the last NOW_S seconds, shape
        (measures, buckets)."""
        levels = [
            measure.take(span_s, *mine, recent) for measure, mine, recent in zip(self._measures, new, now, strict=True)
        ]
        self._kept.append((boot_ns, tuple(levels)))

    def at(self, boot_ns: int | None = None) -> tuple[Level, ...]:
        """The levels of all measures as of the last tick up to a moment (None: the last); empty before the first."""
        for moment, levels in reversed(self._kept):
            if boot_ns is None or moment <= boot_ns:
                return levels
        return ()


def _limit(before: Summary, times: float) -> int:
    """The bucket that is as much as a level's p99 may rise, so many times."""
    if before.p99_ns is None:
        return buckets.BUCKETS
    return buckets.bucket_of_one(int(max(before.p99_ns * RISEN_TIMES, before.p99_ns + RISEN_NS) * times))


def _seconds(latch: Latch) -> float | None:
    """As much as a replay that begins in the middle can know, too."""
    return float(min(latch.slices, NEW_LEVEL_SLICES)) if latch.slices else None
