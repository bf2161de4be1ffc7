"""What else a watch knew at each tick, for looks at the past: accounts, own cost, target."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass

from bpftop.model import Accounting, Overhead, Target
from bpftop.stats.series import KEPT_SLICES


@dataclass(frozen=True, slots=True)
class Moment:
    """One tick."""

    boot_ns: int
    accounting: Accounting
    overhead: Overhead
    target: Target


class Moments:
    """The ticks of the slices that are kept, oldest first."""

    def __init__(self) -> None:
        self._kept: deque[Moment] = deque(maxlen=KEPT_SLICES)

    def add(self, moment: Moment) -> None:
        """Take the newest."""
        self._kept.append(moment)

    def at(self, until_ns: int) -> Moment | None:
        """The last one until a moment (boot time), or the oldest kept; None before the first tick."""
        if not self._kept:
            return None
        return self._kept[max(0, bisect_right(self._kept, until_ns, key=lambda each: each.boot_ns) - 1)]
