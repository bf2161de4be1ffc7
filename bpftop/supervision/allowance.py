"""How often somebody may ask."""

from __future__ import annotations

import time
from collections.abc import Callable


class Allowance:
    """So many at once, and then so many a second (a token bucket)."""

    def __init__(self, per_s: float, at_once: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._at_once = at_once
        self._clock = clock
        self._left = at_once
        self._last = clock()

    def left(self) -> float:
        """How many are left at this moment."""
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._last) * self._per_s)
        self._last = now
        return self._left

    def take(self) -> bool:
        """Take one; False when none is left."""
        if self.left() < 1:
            return False
        self._left -= 1
        return True
