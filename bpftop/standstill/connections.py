"""Who waits on a target's connections: asked as often as the answer may have changed, and as it may cost."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from bpftop import procfs
from bpftop.model import Backlog, Standstill, Target, Waiting
from bpftop.sockdiag import LISTEN
from bpftop.standstill.processes import LINGER_S
from bpftop.standstill.resends import Resends
from bpftop.standstill.sockets import CLOSE_WAIT, OPEN, Socket, place

LATE_MS = 5000
"""An answer is late after this."""
TOP = 4
USUAL_S, YOUNG_S = 60.0, 10.0
"""What is usual is the median of the looks between so long ago."""
Sockets = Callable[[int, bool], list[Socket]]
"""From a process to the sockets of its network: all of them, or those that listen."""


class Connections:
    """Those of one target, look after look.

    Accept queues are cheap to ask for. All connections cost milliseconds, because the kernel walks through a large
    table: while all is well they are asked for when the first answer may be late, and when something was sent again.
    """

    def __init__(self, sockets: Sockets, again: Callable[[int], int | None]) -> None:
        """``again``: how many segments were sent again in the network of a process so far; None when nobody knows."""
        self._sockets, self._sent_again = sockets, again
        self._resends, self._resent = Resends(), -1
        self._next_s = 0.0
        """When the first answer may be late."""
        self._found: list[Socket] | None = None
        """At this look; None while they were not asked for."""
        self._earlier: deque[tuple[float, int, int]] = deque()
        self._backlogs: dict[int, tuple[float, Backlog]] = {}
        self._last = Standstill()

    def due(self, target: Target, now: float) -> bool:
        """Whether there may be something new about all connections."""
        again = self._sent_again(target.pids[0]) if target.pids else 0
        if again is None or again != self._resent:
            self._resent, self._next_s = -1 if again is None else again, now
        return now >= self._next_s or self._last != Standstill()

    @property
    def asked(self) -> bool:
        """Whether all of them were asked for at this look."""
        return self._found is not None

    def everything(self, target: Target) -> list[Socket]:
        """All sockets of the target's network; the kernel is asked once in a look."""
        if self._found is None:
            self._found = self._ask(target, True)
        return self._found

    def _ask(self, target: Target, all_of_them: bool) -> list[Socket]:
        with suppress(OSError, ValueError):
            return self._sockets(target.pids[0], all_of_them) if target.pids else []
        return []

    def look(self, target: Target, now: float) -> Standstill:
        """What is known of them at the end of a look."""
        found, self._found = self._found, None
        if found is not None:
            self._last = self._judge(target, found, now)
        self._earlier.append((now, self._last.open, self._last.unread))
        queues = self._ask(target, False) if found is None else found
        return replace(self._last, backlogs=self._full(queues, target.ports, now))

    def _judge(self, target: Target, found: list[Socket], now: float) -> Standstill:
        resent = self._resends.look(found, target.ports, now)
        found = [each for each in found if each.state in OPEN]
        usual, usual_unread = self._usual(now)
        ours = set(target.ports)
        clients = [each for each in found if each.port in ours]
        waiting = [each for each in clients if each.state != CLOSE_WAIT and (each.unread > 0 or each.asked)]
        asking = [each for each in found if each.port not in ours and each.asking]
        self._next_s = now + _first_late_s([each.received_ms for each in waiting] + [each.sent_ms for each in asking])
        late = [each for each in waiting if each.received_ms >= LATE_MS]
        silent = [each for each in asking if each.sent_ms >= LATE_MS]
        owners = _owners(target.pids) if late or silent else {}
        return Standstill(
            open=len(late),
            unread=sum(each.unread > 0 for each in late),
            oldest_s=max((each.received_ms for each in late), default=0) // 1000,
            given_up=sum(each.state == CLOSE_WAIT and each.unread > 1 for each in clients),
            connections=len(clients) if late else 0,
            clients=_most(((each.peer, each.received_ms) for each in late), Counter(each.peer for each in clients)),
            workers=_most((str(owners[each.inode]), each.received_ms) for each in late if each.inode in owners),
            upstreams=_most((place(each), each.sent_ms) for each in silent if each.inode in owners),
            usual=usual if late else None,
            usual_unread=usual_unread if late else 0,
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


def _first_late_s(ages_ms: Iterable[int]) -> float:
    """In how many seconds an answer may be late for the first time, when so long ago somebody asked."""
    return (LATE_MS - max((age for age in ages_ms if age < LATE_MS), default=0)) / 1000


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
