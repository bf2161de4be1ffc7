"""One look after the other at a target's processes and connections: as often as it may cost, and no oftener."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from bpftop.model import Standstill, Target
from bpftop.standstill.connections import Connections, Sockets
from bpftop.standstill.processes import Processes
from bpftop.standstill.scarcity import Scarcity
from bpftop.standstill.sockets import Socket, sockets_of
from bpftop.standstill.waits import sent_again

PAUSE_S, CALM_PAUSE_S = 1.0, 2.0
COST = 0.005
"""Of a CPU: with many connections there are fewer looks at them."""


WAIT_S = 2.5
"""While answers are late all connections are looked at again after this at the latest, whatever it costs."""


class Looks:
    """What stands still in one target. Call it about once a second; the answer may be the one before."""

    def __init__(
        self,
        sockets: Sockets = sockets_of,
        clock: Callable[[], float] = time.monotonic,
        cost: Callable[[], float] = time.thread_time,
        again: Callable[[int], int | None] = sent_again,
    ) -> None:
        self._clock, self._cost = clock, cost
        self._processes, self._scarcity, self._connections = Processes(), Scarcity(), Connections(sockets, again)
        self._due = self._paid_s = 0.0
        """When to look again; when all looks so far are paid for, and the dear part may be looked at again."""
        self._dear = False
        """Whether the last look was at all connections."""
        self._last = Standstill()

    def __call__(self, target: Target) -> Standstill:
        """What the kernel says now, or said a moment ago. Never raises: what it does not tell is not there.

        While nothing changes it is the same object.
        """
        now = self._clock()
        if now >= self._due:
            began, affordable = self._cost(), now >= self._paid_s
            found = self._look(target, now, affordable)
            if found != self._last:
                self._last = found
            pay_s = (self._cost() - began) / COST
            self._paid_s = max(self._paid_s, now) + pay_s
            if found.open:
                self._paid_s = min(self._paid_s, now + WAIT_S)
            pause_s = (PAUSE_S if found != Standstill() else CALM_PAUSE_S) - 0.1
            self._due = now + (pause_s if self._dear else max(pause_s, pay_s))
        return self._last

    def _look(self, target: Target, now: float, affordable: bool) -> Standstill:
        """``affordable``: to look at all connections."""
        connections = self._connections

        def everything() -> list[Socket]:
            return connections.everything(target) if affordable else []

        held = self._processes.held(target.pids, now)
        if connections.due(target, now) or held or self._last.backlogs:
            everything()
        scarce = self._scarcity.look(target, everything, now)
        self._dear = connections.asked
        return replace(connections.look(target, now), held=held, scarce=scarce)
