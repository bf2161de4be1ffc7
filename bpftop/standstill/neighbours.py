"""Upstreams on this very machine: which processes they are, and how long they had no CPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bpftop import procfs
from bpftop.model import Neighbour
from bpftop.procfs import PROC
from bpftop.sockdiag import LISTEN
from bpftop.standstill.sockets import Socket, place
from bpftop.standstill.waits import Waits

AGAIN_S = 30.0
"""Who listens is asked again after this, or when there is a new upstream."""
LOOK_S = 0.1
"""Asking all processes for their sockets ends after so much of a CPU: then some upstreams are not known."""
MOST = 16


class Neighbours:
    """Those of one target. Upstreams of other network namespaces and unix sockets are not known."""

    def __init__(self, proc: Path = PROC, cost: Callable[[], float] = time.thread_time) -> None:
        self._proc, self._cost = proc, cost
        self._ports: dict[str, int] = {}
        """By the name of an upstream: its port."""
        self._holders: dict[int, list[int]] = {}
        self._asked_s = -AGAIN_S
        self._asked: frozenset[int] = frozenset()
        self._waits: dict[str, Waits] = {}

    def look(self, found: Iterable[Socket], ports: Iterable[int], now_s: float) -> tuple[Neighbour, ...]:
        """The upstreams that a connection was seen to, the longest waits first. ``found``: all sockets of the
        target's network, or none at this time."""
        found = list(found)
        self._ports.update(_upstreams(found, frozenset(ports)))
        while len(self._ports) > MOST:
            del self._ports[next(iter(self._ports))]
        wanted = frozenset(self._ports.values())
        if found and wanted and (now_s - self._asked_s >= AGAIN_S or not wanted <= self._asked):
            self._holders = self._listeners({each.inode: each.port for each in found if each.state == LISTEN}, wanted)
            self._asked_s, self._asked = now_s, wanted
        self._waits = {name: self._waits.get(name) or Waits(self._proc) for name in self._ports}
        known = (
            Neighbour(name, self._waits[name].look(self._holders.get(port, ()), now_s))
            for name, port in self._ports.items()
        )
        return tuple(sorted(known, key=lambda each: -max(each.cpu.longest_s, each.cpu.throttled_s)))

    def _listeners(self, inodes: Mapping[int, int], wanted: frozenset[int]) -> dict[int, list[int]]:
        """The processes that hold a listening socket, by its port."""
        holders: dict[int, list[int]] = {}
        looked_for = {inode for inode, port in inodes.items() if port in wanted}
        began = self._cost()
        for pid in procfs.pids(self._proc):
            for inode in looked_for & (procfs.socket_inodes(pid, self._proc) or frozenset()):
                holders.setdefault(inodes[inode], []).append(pid)
            if self._cost() - began > LOOK_S:
                break
        return holders


def _upstreams(found: Iterable[Socket], ours: frozenset[int]) -> Iterable[tuple[str, int]]:
    """Connections of which both ends are in this network, from a port that is none of the target's to one that somebody
    else listens on."""
    found = list(found)
    ends = {(each.port, each.peer_port) for each in found}
    listening = {each.port for each in found if each.state == LISTEN} - ours
    for each in found:
        if each.peer_port in listening and each.port not in ours and (each.peer_port, each.port) in ends:
            yield place(each), each.peer_port
