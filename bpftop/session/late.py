"""Ticks that bpftrace wrote long after their moment, because it had to stand still: what they say is of later."""

from __future__ import annotations

from bpftop.clock import boot_ns
from bpftop.stats.tick import TickData, together

_LATE_NS = 1_500_000_000
_SHORTEST_NS = 500_000_000


class Lateness:
    """Gives each tick the moment at which its maps were printed.

    The kernel asks for a tick every second, and bpftrace prints the maps when it comes to it. When it was stopped for a
    minute, sixty ticks come at once: the first has all counts of the minute, the others none. So the minute becomes one
    slice, and nobody claims to know what happened in which of its seconds. A reader that was stopped itself finds the
    ticks in the pipe, printed in time: only what is known to have been written late is late.
    """

    def __init__(self) -> None:
        self._read_ns = self._last_ns = 0
        """Until when everything that was written had been read; when the last tick was printed."""
        self._held: TickData | None = None

    def nothing_waits(self) -> None:
        """Whatever is read from now on was written after this moment."""
        self._read_ns = boot_ns()

    def take(self, tick: TickData, started_ns: int) -> TickData | None:
        """The tick with all that was held back; None when it is held back itself, up to the next one.

        ``started_ns``: when this bpftrace began; a tick of an earlier moment is of another clock.
        """
        if self._held is not None:
            tick, self._held = together(self._held, tick), None
        late_ns = max(self._read_ns - _LATE_NS, self._last_ns)
        if not tick.final and started_ns <= tick.boot_ns < late_ns:
            tick = tick.at(max(self._read_ns, self._last_ns))
            if tick.boot_ns - self._last_ns < _SHORTEST_NS:
                self._held = tick
                return None
        self._last_ns = tick.boot_ns
        return tick
