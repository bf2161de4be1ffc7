"""Buckets and accounts as files have them: checked numbers, because anybody may have written them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bpftop.errors import FileError
from bpftop.model import Histogram, Losses

_MOST = 1 << 62


def histogram(buckets: Sequence[tuple[int, int, int]], where: str) -> Histogram:
    """Buckets in any order; those with the same edges are added up. Raises FileError for impossible ones."""
    sums: dict[tuple[int, int], int] = {}
    for low, high, count in buckets:
        if not (0 <= low < high <= _MOST and 0 <= count <= _MOST):
            raise FileError(f"{where} has an impossible bucket: {count} from {low} to {high} ns"[:200])
        if count:
            sums[low, high] = sums.get((low, high), 0) + count
    edges = sorted(sums)
    for (_, high), (low, _) in itertools.pairwise(edges):
        if low < high:
            raise FileError(f"{where} has buckets that overlap at {low} ns: they are of different measurements")
    if sum(sums.values()) > _MOST:
        raise FileError(f"{where} has more than anything can count")
    lows, highs = (np.array([edge[side] for edge in edges], np.int64) for side in (0, 1))
    return Histogram(lows, highs, np.array([sums[edge] for edge in edges], np.int64))


@dataclass(frozen=True, slots=True)
class Accounting:
    """What a file says about what is missing: remarks, and what makes it worthless for a verdict."""

    notes: tuple[str, ...]
    problems: tuple[str, ...]

    @classmethod
    def of(cls, told: Mapping[str, object], observed: int, where: str) -> Accounting:
        """From the quantities of a snapshot or a report. ``observed``: all observations of its measures."""
        produced, lost, rejected, untracked, missed = (
            _quantity(told, name, where) for name in ("produced", "lost", "rejected", "untracked", "missed")
        )
        # Losses are since the start and the window may be shorter; so is what was produced since the start.
        window_s, run_s = _quantity(told, "window_s", where), _quantity(told, "run_s", where)
        hits = _quantity(told, "overhead_hits_per_s", where) * window_s
        unseen_s = _quantity(told, "unseen_s", where)
        found = Losses(lost + rejected, produced, untracked, observed, missed, hits, unseen_s, max(run_s, window_s))
        return cls(found.notes, found.problems)


def _quantity(told: Mapping[str, object], name: str, where: str) -> float:
    """A number that is not negative; 0 where nothing is said. Raises FileError."""
    value = told.get(name)
    if value is None or value == "":
        return 0.0
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise FileError(f"{where}: {name} of the accounting is no number")
    return number
