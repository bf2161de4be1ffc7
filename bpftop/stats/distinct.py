"""Distinct values, without numpy's ``unique``: that one imports all of ``numpy.ma`` (3 MB) at its first call."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts

N = TypeVar("N", np.int64, np.uint64)


def starts(values: NDArray[Any]) -> NDArray[np.intp]:
    """Where each stretch of equal values begins; for sorted values (n,) that is once for each of them."""
    first = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return np.flatnonzero(first)


def merge(keys: NDArray[N], counts: Counts) -> tuple[NDArray[N], Counts]:
    """Sorted unique keys with summed counts."""
    order = keys.argsort()
    ordered, counts = keys[order], counts[order]
    if not (ordered[1:] == ordered[:-1]).any():  # nearly always
        return ordered, counts
    begins = starts(ordered)
    return ordered[begins], np.add.reduceat(counts, begins)


def distinct(values: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """The distinct ones of ``values`` (n,), sorted, and for each of the n values its place among them."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    at = starts(ordered)
    places = np.zeros(len(values), np.intp)
    places[order] = np.repeat(np.arange(len(at)), np.diff(np.append(at, len(values))))
    return ordered[at], places
