"""Whether CPUs are scarce: for the target, for its upstreams on this machine, for anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bpftop.model import CpuWait, Neighbour, Scarce, Target
from bpftop.standstill.neighbours import Neighbours
from bpftop.standstill.sliding import Sliding
from bpftop.standstill.sockets import Socket
from bpftop.standstill.waits import Waits, pressure_us

WAITED_SHARE = 0.05
"""Waits for a CPU below this share of the time are not worth a word."""
PRESSED_SHARE = 0.2
"""From here on it is looked whether upstreams on this machine wait, too: of the time, anything waits."""
AGAIN_S = 5.0
"""While anything waits it is looked for new upstreams again after so long."""


class Scarcity:
    """Of one target, look after look."""

    def __init__(self) -> None:
        self._waits, self._neighbours, self._pressure = Waits(), Neighbours(), Sliding()
        self._asked_s = -AGAIN_S

    def look(self, target: Target, found: Callable[[], Iterable[Socket]], now_s: float) -> Scarce:
        """``found``: asks for all sockets of the target's network, which is dear; it may have none at this time."""
        own, span_s = self._waits.look(target.pids, now_s), self._waits.span_s
        total_us = pressure_us()
        self._pressure.take(now_s, {} if total_us is None else {"some": (total_us,)})
        grown = self._pressure.grown().get("some")
        pressure_s = None if grown is None else round(grown[0] / 1e6, 1)
        pressed = (own.wait_s if pressure_s is None else pressure_s) >= PRESSED_SHARE * span_s
        near: tuple[Neighbour, ...] = ()
        if span_s and (pressed or own.throttled_s):
            near = self._neighbours.look(self._some(found, now_s), target.ports, now_s)
        near = tuple(each for each in near if _much(each.cpu, span_s))
        return Scarce(own, pressure_s, near, round(span_s, 1)) if near or _much(own, span_s) else Scarce()

    def _some(self, found: Callable[[], Iterable[Socket]], now_s: float) -> list[Socket]:
        """All sockets, or none when they were looked at a few seconds ago."""
        if now_s - self._asked_s < AGAIN_S:
            return []
        sockets = list(found())
        if sockets:
            self._asked_s = now_s
        return sockets


def _much(cpu: CpuWait, span_s: float) -> bool:
    return max(cpu.wait_s, cpu.throttled_s) >= max(WAITED_SHARE * span_s, 0.1)
