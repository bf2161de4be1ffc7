"""How ctrl+c ends what is printed and written: in good order the first time, at once the second."""

from __future__ import annotations

import contextlib
import queue
import signal
import time
from collections.abc import Iterator
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
TWICE_S = 0.5


class Stop:
    """Whether the user has had enough, as told by a signal handler.

    A handler runs in the middle of what the main thread does. When that is the wait of a threading.Event, the handler
    hangs on the event's own lock for ever; a SimpleQueue is made for it.
    """

    def __init__(self) -> None:
        self._asked = False
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """The user has."""
        self._asked = True
        self._told.put(None)

    def is_set(self) -> bool:
        """Whether."""
        return self._asked

    def wait(self, timeout_s: float) -> bool:
        """Wait so long at most; whether."""
        if not self._asked:
            with contextlib.suppress(queue.Empty):
                self._told.get(timeout=timeout_s)
        return self._asked


@contextlib.contextmanager
def ctrl_c() -> Iterator[Stop]:
    """The first ctrl+c ends the measurement, the second the program.

    What follows within half a second is the same one: the terminal tells this process and its supervisor, which hands
    it on.
    """
    stop = Stop()
    first = 0.0

    def on_interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if stop.is_set() and time.monotonic() - first > TWICE_S:
            raise KeyboardInterrupt
        first = first or time.monotonic()
        stop.set()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
