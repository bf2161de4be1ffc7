"""One point a tick of every measure, for lines over time, in arrays of which a snapshot can hold pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts, Trend


class Points:
    """The newest ``kept`` points. What was handed out never changes: new points go behind it, or into new arrays."""

    def __init__(self, measures: int, kept: int) -> None:
        self._measures, self._kept = measures, kept
        self._begin = self._end = 0
        self._make()

    def _make(self) -> None:
        room = 2 * self._kept
        self._boot_ns = np.zeros(room, np.int64)
        self._spans_s = np.zeros(room)
        self._figures = np.zeros((self._measures, 3, room))
        """Rate, p50 and p99 of each measure."""

    def __len__(self) -> int:
        return self._end - self._begin

    def add(self, boot_ns: int, span_s: float, figures: NDArray[np.float64]) -> None:
        """Take the next one. ``figures``: rate (1/s), p50 and p99 (ns), shape (measures, 3); NaN where nothing was."""
        if self._end == len(self._boot_ns):
            self._move()
        self._boot_ns[self._end], self._spans_s[self._end] = boot_ns, span_s
        self._figures[:, :, self._end] = figures
        self._end += 1
        self._begin = max(0, self._end - self._kept)

    def _move(self) -> None:
        old, mine = (self._boot_ns, self._spans_s, self._figures), slice(self._begin, self._end)
        self._make()
        for array, before in zip((self._boot_ns, self._spans_s, self._figures), old, strict=True):
            array[..., : len(self)] = before[..., mine]
        self._begin, self._end = 0, len(self)

    @property
    def boot_ns(self) -> Counts:
        """When each slice ended, oldest first; shape (points,)."""
        return self._boot_ns[self._begin : self._end]

    @property
    def spans_s(self) -> NDArray[np.float64]:
        """How long each was; shape (points,)."""
        return self._spans_s[self._begin : self._end]

    def trend(self, measure: int, now_boot_ns: int, skip: int) -> Trend:
        """The points of the measure at this position, but the ``skip`` newest."""
        end = self._end - skip
        rate, p50, p99 = self._figures[measure, :, self._begin : end]
        return Trend((now_boot_ns - self._boot_ns[self._begin : end]) / 1e9, rate, p50, p99)
