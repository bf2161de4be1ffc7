"""The last events of one stream, in a ring of fixed size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SIZE = 16_384
_SIGN = 1 << 63


class EventRing:
    """The newest ``size`` records of one stream; each record is ``width`` numbers, the first its boot time in ns."""

    def __init__(self, width: int, size: int = SIZE) -> None:
        self._rows = np.zeros((size, width), np.int64)
        self._next = 0
        self.taken = 0
        """Records taken since the start."""

    def append(self, numbers: tuple[int, ...]) -> bool:
        """Take one record; False when it has not the right number of numbers."""
        if len(numbers) != self._rows.shape[1] or any(not -_SIGN <= n < _SIGN for n in numbers):
            return False
        self._rows[self._next] = numbers
        self._next = (self._next + 1) % len(self._rows)
        self.taken += 1
        return True

    def slowest(self, since_boot_ns: int, most: int, until_boot_ns: int | None = None) -> NDArray[np.int64]:
        """The records of a span with the largest second number (latency), slowest first; at most ``most`` rows."""
        rows = self._rows[: min(self.taken, len(self._rows))]
        rows = rows[rows[:, 0] >= since_boot_ns]
        if until_boot_ns is not None:
            rows = rows[rows[:, 0] <= until_boot_ns]
        if len(rows) > most:
            rows = rows[np.argpartition(rows[:, 1], -most)[-most:]]
        return rows[np.argsort(-rows[:, 1], kind="stable")]
