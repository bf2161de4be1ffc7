"""One look after the other at a target's processes and connections: as often as it may cost, and no oftener."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from bpftop import procfs
from bpftop.model import Backlog, Standstill, Target, Waiting
from bpftop.standstill.processes import LINGER_S, Processes
from bpftop.standstill.resends import Resends
from bpftop.standstill.scarcity import Scarcity
from bpftop.standstill.sockets import CLOSE_WAIT, LISTEN, OPEN, Socket, place, sockets_of

LATE_MS = 5000
"""An answer is late after this."""
TOP = 4
PAUSE_S, CALM_PAUSE_S = 1.0, 2.0
COST = 0.005
"""Of a CPU: with many connections there are fewer looks."""
USUAL_S, YOUNG_S = 60.0, 10.0
"""What is usual is the median of the looks between so long ago."""


class Looks:
    """What stands still in one target. Call it about once a second; the answer may be the one before."""

    def __init__(
        self,
        sockets: Callable[[int], list[Socket]] = sockets_of,
        clock: Callable[[], float] = time.monotonic,
        cost: Callable[[], float] = time.thread_time,
    ) -> None:
        self._sockets, self._clock, self._cost = sockets, clock, cost
        self._processes = Processes()
        self._scarcity, self._resends = Scarcity(), Resends()
        self._due = 0.0
        self._earlier: deque[tuple[float, int, int]] = deque()
        self._backlogs: dict[int, tuple[float, Backlog]] = {}
        self._last = Standstill()

    def __call__(self, target: Target) -> Standstill:
        """What the kernel says now, or said a moment ago. Never raises: what it does not tell is not there."""
        now = self._clock()
        if now >= self._due:
            began = self._cost()
            self._last = self._look(target, now)
            pause = PAUSE_S if self._last != Standstill() else CALM_PAUSE_S
            self._due = now + max(pause - 0.1, (self._cost() - began) / COST)
        return self._last

    def _look(self, target: Target, now: float) -> Standstill:
        pids = target.pids
        held = self._processes.held(pids, now)
        found: list[Socket] = []
        if pids:
            with suppress(OSError, ValueError):
                found = self._sockets(pids[0])
        scarce, resent = self._scarcity.look(target, found, now), self._resends.look(found, target.ports, now)
        found = [each for each in found if each.state in (*OPEN, LISTEN)]
        usual, usual_unread = self._usual(now)
        clients = _clients(found, target.ports)
        late = [each for each in clients if each.state != CLOSE_WAIT and _late(each)]
        unread = sum(each.unread > 0 for each in late)
        self._earlier.append((now, len(late), unread))
        asking = [each for each in found if each.port not in target.ports and each.asking and each.sent_ms >= LATE_MS]
        owners = _owners(pids) if late or asking else {}
        return Standstill(
            held=held,
            open=len(late),
            unread=unread,
            oldest_s=max((each.received_ms for each in late), default=0) // 1000,
            given_up=sum(each.state == CLOSE_WAIT and each.unread > 1 for each in clients),
            connections=len(clients) if late else 0,
            clients=_most(((each.peer, each.received_ms) for each in late), Counter(each.peer for each in clients)),
            workers=_most((str(owners[each.inode]), each.received_ms) for each in late if each.inode in owners),
            upstreams=_most((place(each), each.sent_ms) for each in asking if each.inode in owners),
            usual=usual if late else None,
            usual_unread=usual_unread if late else 0,
            backlogs=self._full(found, target.ports, now),
            scarce=scarce,
            resent=resent,
        )

    def _full(self, found: Iterable[Socket], ports: Iterable[int], now: float) -> tuple[Backlog, ...]:
        """The full accept queues, those that were full a moment ago too: they fill and empty by turns."""
        self._backlogs |= {each.port: (now, each) for each in _full(found, ports)}
        self._backlogs = {port: each for port, each in self._backlogs.items() if now - each[0] <= LINGER_S}
        return tuple(each for _, each in sorted(self._backlogs.values(), key=lambda known: known[1].port))

    def _usual(self, now: float) -> tuple[int | None, int]:
        while self._earlier and self._earlier[0][0] < now - USUAL_S:
            self._earlier.popleft()
        old = [(late, unread) for when, late, unread in self._earlier if when <= now - YOUNG_S]
        if not old:
            return None, 0
        late, unread = (sorted(column)[len(column) // 2] for column in zip(*old, strict=True))
        return late, unread


def _clients(found: Iterable[Socket], ports: Iterable[int]) -> list[Socket]:
    ours = set(ports)
    return [each for each in found if each.state != LISTEN and each.port in ours]


def _late(each: Socket) -> bool:
    """What came is unread, or unanswered, for too long; what arrives bit by bit is not."""
    return each.received_ms >= LATE_MS and (each.unread > 0 or each.asked)


def _full(found: Iterable[Socket], ports: Iterable[int]) -> Iterable[Backlog]:
    queues = {each.port: Backlog(each.port, each.unread, each.unsent) for each in found if each.state == LISTEN}
    return (each for port, each in sorted(queues.items()) if port in set(ports) and each.full)


def _owners(pids: Iterable[int]) -> dict[int, int]:
    """Which of the processes holds a socket, by its inode; of none where we may not look."""
    return {inode: pid for pid in pids for inode in procfs.socket_inodes(pid) or ()}


def _most(waits: Iterable[tuple[str, int]], connections: Mapping[str, int] | None = None) -> tuple[Waiting, ...]:
    """The names with the most waits."""
    count: Counter[str] = Counter()
    oldest: dict[str, int] = {}
    for name, ms in waits:
        count[name] += 1
        oldest[name] = max(oldest.get(name, 0), ms)
    known = connections or {}
    return tuple(Waiting(name, n, oldest[name] // 1000, known.get(name, 0)) for name, n in count.most_common(TOP))
