"""Looking for a target again and again, without taking the host's time for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from bpftop import procfs
from bpftop.model import Target


class Sparing:
    """Calls ``resolve`` when a process has come since then, else every STALE_S; between, its last answer stays.

    An answer that is equal to the last one is the last one.

    Reading /proc takes ten milliseconds on most hosts and half a second where thousands of processes run, so it never
    takes more than SHARE of the time, and LITTLE of it where that needs no longer pause than PAUSE_S.
    """

    SHARE, LITTLE = 0.005, 0.002
    LEAST_S, PAUSE_S = 1.9, 6.0
    STALE_S = 10.0
    """A process that is there already may become the target, or open a port."""

    def __init__(
        self,
        resolve: Callable[[], Target],
        clock: Callable[[], float] = time.monotonic,
        newest: Callable[[], int] = procfs.newest,
    ) -> None:
        self._resolve = resolve
        self._clock = clock
        self._newest = newest
        self._answer: Target | None = None
        self._known = 0
        self._due = self._stale = 0.0

    def __call__(self) -> Target:
        """The target, as fresh as it may be."""
        began = self._clock()
        if self._answer is None or (began >= self._due and (began >= self._stale or self._newest() != self._known)):
            self._known = self._newest()
            found = self._resolve()
            if found != self._answer:
                self._answer = found
            ended = self._clock()
            took = ended - began
            pause = max(took / self.SHARE, min(took / self.LITTLE, self.PAUSE_S), self.LEAST_S)
            self._due, self._stale = ended + pause, ended + self.STALE_S
        return self._answer
