"""What else a watch knew at each tick, for looks at the past: accounts, own cost, target."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field

from bpftop.model import Accounting, Overhead, Standstill, Target
from bpftop.stats.difference import accounts_between
from bpftop.stats.series import KEPT_SLICES


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick."""

    boot_ns: int
    accounting: Accounting
    overhead: Overhead
    target: Target
    standstill: Standstill = field(default_factory=Standstill)


class Moments:
    """The ticks of the slices that are kept, oldest first."""

    def __init__(self, before: Moment | None = None) -> None:
        """``before``: the last one of those that were forgotten."""
        self._kept: deque[Moment] = deque(maxlen=KEPT_SLICES)
        self._before = before

    def add(self, moment: Moment) -> None:
        """Take the newest."""
        self._kept.append(moment)

    @property
    def last(self) -> Moment | None:
        """The newest."""
        return self._kept[-1] if self._kept else self._before

    def within(self, now: Moment | None, length_ns: int) -> tuple[Accounting, int]:
        """The accounts of the time up to ``now`` alone, and the hits that were missed in it."""
        if now is None:
            return Accounting(), 0
        first = self.at(now.boot_ns - length_ns)
        if first is None or first.boot_ns > now.boot_ns - length_ns:
            first = self._before
        if first is None:
            return now.accounting, now.overhead.missed
        missed = now.overhead.missed - first.overhead.missed
        return accounts_between(first.accounting, now.accounting), missed if missed >= 0 else now.overhead.missed

    def at(self, until_ns: int) -> Moment | None:
        """The last one until a moment (boot time), or the oldest kept; None before the first tick."""
        if not self._kept:
            return None
        return self._kept[max(0, bisect_right(self._kept, until_ns, key=lambda each: each.boot_ns) - 1)]
