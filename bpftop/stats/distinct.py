"""Distinct values, without numpy's ``unique``: that one imports all of ``numpy.ma`` (3 MB) at its first call."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def starts(values: NDArray[Any]) -> NDArray[np.intp]:
    """Where each stretch of equal values begins; for sorted values (n,) that is once for each of them."""
    first = np.ones(len(values), np.bool_)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return np.flatnonzero(first)


def distinct(values: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
    """The distinct ones of ``values`` (n,), sorted, and for each of the n values its place among them."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    at = starts(ordered)
    places = np.zeros(len(values), np.intp)
    places[order] = np.repeat(np.arange(len(at)), np.diff(np.append(at, len(values))))
    return ordered[at], places
