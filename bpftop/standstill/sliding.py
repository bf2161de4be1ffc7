"""What counters have grown by in the last seconds, whoever comes and goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

SPAN_S = 5.0
Reading = Mapping[str, tuple[int, ...]]


class Sliding:
    """Several counters of each of several keys, look after look."""

    def __init__(self, span_s: float = SPAN_S) -> None:
        self._span_s = span_s
        self._looks: deque[tuple[float, Reading]] = deque()

    def take(self, now_s: float, reading: Reading) -> None:
        """One look: all counters of all keys that are there."""
        self._looks.append((now_s, reading))
        while len(self._looks) > 2 and now_s - self._looks[1][0] >= self._span_s:
            self._looks.popleft()

    def grown(self) -> dict[str, tuple[int, ...]]:
        """By how much each counter of each key has grown within the span, or since the key was first seen in it."""
        first: dict[str, tuple[int, ...]] = {}
        for _, reading in self._looks:
            for key, values in reading.items():
                first.setdefault(key, values)
        last = self._looks[-1][1] if self._looks else {}
        return {
            key: tuple(max(now - then, 0) for now, then in zip(values, first[key], strict=True))
            for key, values in last.items()
        }

    @property
    def covered_s(self) -> float:
        """The seconds that ``grown`` is of."""
        return self._looks[-1][0] - self._looks[0][0] if self._looks else 0.0
