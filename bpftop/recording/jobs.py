"""What a thread has to do, in order; not everything needs it at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]


class Jobs:
    """From any threads to one."""

    def __init__(self) -> None:
        self._waiting: deque[Job | None] = deque()
        self._wake = threading.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: Job | None, wake: bool = True) -> None:
        """``wake``: with all that is in front of it, now; otherwise when somebody else's turn has come."""
        self._waiting.append(job)
        if wake:
            self._wake.set()

    def get(self) -> Job | None:
        """The next one; waits for it."""
        while not self._waiting:
            self._wake.wait()
            self._wake.clear()
        return self._waiting.popleft()
