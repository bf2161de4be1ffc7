"""The processes of this host, seen again and again: what is new is read at once, all of it every now and then."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bpftop import procfs
from bpftop.procfs import PROC, Seen


class Known:
    """What ``resolve`` remembers from one call to the next.

    A process that was there when all were read is not read again until they all are, STALE_S later: until then it may
    have become another program or have opened a port. One that came since is read every time.
    """

    STALE_S = 10.0
    WHOLE = 6
    """Kernel threads are looked at again every so many times: a number is soon another process's only where thousands
    start every second."""

    def __init__(self, proc: Path = PROC, clock: Callable[[], float] = time.monotonic) -> None:
        self._proc, self._clock = proc, clock
        self._stale_s, self._times = 0.0, 0
        self._old: dict[int, Seen | None] = {}
        """As they were when all were read; None: a kernel thread, or a zombie."""
        self._ports: dict[int, set[int]] = {}

    def processes(self) -> list[Seen]:
        """All processes, as ``procfs.processes``; some of them as they were a few seconds ago."""
        now, pids = self._clock(), procfs.pids(self._proc)
        if now >= self._stale_s:
            self._stale_s = now + self.STALE_S
            self._ports = {}
            dead = {pid for pid, each in self._old.items() if each is None} if self._times % self.WHOLE else set()
            self._times += 1
            self._old = {pid: None if pid in dead else procfs.read(pid, self._proc) for pid in pids}
            found = list(self._old.values())
        else:
            self._old = {pid: self._old[pid] for pid in pids if pid in self._old}
            found = [self._old[pid] if pid in self._old else procfs.read(pid, self._proc) for pid in pids]
        return [each for each in found if each is not None]

    def ports(self, pid: int, read: Callable[[int], set[int]]) -> set[int]:
        """The ports that a process listens on as ``read`` tells: now if it is new, else as when all were read."""
        if pid not in self._old:
            return read(pid)
        if pid not in self._ports:
            self._ports[pid] = read(pid)
        return self._ports[pid]
