"""The kernel's clock and people's clock.

CLOCK_BOOTTIME is the clock of bpftrace's ``nsecs``: nobody sets it, and it goes on while the machine is suspended. Unix
time can be set at any moment, an hour back or forth. So every moment is kept in boot time, and nothing else is
subtracted from anything; Unix time is boot time plus an offset, for people.
"""

from __future__ import annotations

import time

_MOVED_NS = 2_000_000
"""The two clocks cannot be read at once; a larger difference is a clock that was set."""
_APART_NS = 100_000
"""Two readings of one clock so far apart: this process had to wait in between."""
_TRIES = 5


def boot_ns() -> int:
    """The clock of bpftrace's ``nsecs``."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _offset_ns() -> int:
    """Unix time minus boot time, from the tightest of a few readings."""
    best = 1 << 62
    offset = 0
    for _ in range(_TRIES):
        before, unix, after = boot_ns(), time.time_ns(), boot_ns()
        if after - before < best:
            best, offset = after - before, unix - (before + after) // 2
        if best < _APART_NS:
            break
    return offset


class WallClock:
    """Unix time of this host, as far as somebody has looked."""

    def __init__(self) -> None:
        self.steady_ns = self.offset_ns = _offset_ns()
        """``offset_ns``: Unix time minus boot time as it is now. ``steady_ns``: as it was at the start, and stays: for
        an order of moments that no setting of the clock disturbs."""

    def look(self) -> int:
        """See whether the clock was set; the offset of now."""
        offset_ns = _offset_ns()
        if abs(offset_ns - self.offset_ns) > _MOVED_NS:
            self.offset_ns = offset_ns
        return self.offset_ns


WALL = WallClock()
"""The one of this process: what is shown together uses one offset."""


def steady_unix_ns() -> int:
    """Unix time now by the clock as it was when this process began: it never goes back, and may be subtracted."""
    return boot_ns() + WALL.steady_ns
