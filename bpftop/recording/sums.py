"""The sum of all frames of one track up to a moment, so that a reader can begin there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bpftop.figures import Frame, Status
from bpftop.model import Accounting
from bpftop.recording.codec import Damaged
from bpftop.recording.frames import decode, encode, extra_of
from bpftop.stats.buckets import BUCKETS
from bpftop.stats.tick import Named, Slice
from bpftop.stats.totals import KeyedTotals


@dataclass(frozen=True, slots=True)
class Sum:
    """Everything that was counted so far. ``part`` ends where the last tick ended; it has no events and no names."""

    part: Slice
    status: Status
    first_ns: int
    """Boot time at which the first tick began."""
    last_seen_ns: int
    """Boot time of the last tick in which anything was counted."""
    ticks: int


class Summing:
    """Adds frames up."""

    def __init__(self, measures: int) -> None:
        self._counts = np.zeros(measures * BUCKETS, np.int64)
        self._clients = KeyedTotals()
        self._last = Slice(0, 0)
        self._first_ns = self._last_seen_ns = self._ticks = 0
        self._unix_ns = 0
        self._status: Status | None = None

    @classmethod
    def from_sum(cls, found: Sum, measures: int) -> Summing:
        """Go on from there."""
        new = cls(measures)
        new._counts[found.part.places] = found.part.counts
        new._clients.add(found.part.client_keys, found.part.client_counts)
        new._clients.folded = found.part.overflowed
        new._last, new._status = found.part, found.status
        new._first_ns, new._last_seen_ns, new._ticks = found.first_ns, found.last_seen_ns, found.ticks
        return new

    def add(self, frame: Frame) -> None:
        """Add one."""
        self._unix_ns = frame.unix_ns
        self._status = frame.status or self._status
        part = frame.part
        if part is None:
            return
        self._counts[part.places] += part.counts
        self._clients.add(part.client_keys, part.client_counts)
        self._clients.folded |= part.overflowed
        self._last = part
        self._first_ns = self._first_ns or part.boot_ns - part.span_ns
        self._last_seen_ns = part.boot_ns if len(part.places) else self._last_seen_ns
        self._ticks += not part.final

    @property
    def sum(self) -> Sum | None:
        """The sum; None before the first tick."""
        if self._status is None or not self._first_ns:
            return None
        places = np.flatnonzero(self._counts)
        kept = self._clients.counts != 0
        part = replace(
            self._last,
            places=places,
            counts=self._counts[places],
            client_keys=self._clients.keys[kept],
            client_counts=self._clients.counts[kept],
            overflowed=self._clients.folded,
            records=(),
            names=Named(),
        )
        return Sum(part, self._status, self._first_ns, self._last_seen_ns, self._ticks)

    def payload(self) -> bytes | None:
        """For a block; None before the first tick."""
        found = self.sum
        if found is None:
            return None
        extra = {"first_ns": found.first_ns, "last_seen_ns": found.last_seen_ns, "ticks": found.ticks}
        return encode([Frame(self._unix_ns, found.part, found.status)], extra)


def sum_of(payload: bytes, measures: int) -> Sum:
    """What ``payload`` wrote. Raises Damaged."""
    frames, extra = decode(payload, measures), extra_of(payload)
    if len(frames) != 1 or frames[0].part is None or frames[0].status is None:
        raise Damaged("a sum is not whole")
    first, seen, ticks = (extra[name].whole(0, (1 << 63) - 1) for name in ("first_ns", "last_seen_ns", "ticks"))
    return Sum(frames[0].part, frames[0].status, first, seen, ticks)


def difference(now: Accounting, base: Accounting) -> Accounting:
    """What came after ``base``."""
    return Accounting(
        now.produced - base.produced,
        now.shown - base.shown,
        now.suppressed - base.suppressed,
        now.lost - base.lost,
        now.rejected - base.rejected,
        now.untracked - base.untracked,
        now.unseen_ns - base.unseen_ns,
    )
