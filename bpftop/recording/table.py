"""Keys with counts of several frames as columns: dense when most keys come in most frames, else one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts
from bpftop.recording.codec import MAX_RAW, Damaged, pack
from bpftop.stats.distinct import distinct

_DENSE, _SPARSE = 1, 0
_MOST = 1 << 50
_MAX_CELLS = MAX_RAW // 2

Pair = tuple[NDArray[np.generic], Counts]
"""Keys (64 bits, ascending) and their counts, both of shape (entries,)."""


def pack_tables(tables: Sequence[Pair]) -> bytes:
    """One pair a frame."""
    keys = [np.ascontiguousarray(each).view(np.uint64) for each, _ in tables]
    union = distinct(np.concatenate(keys))[0] if keys else np.zeros(0, np.uint64)
    entries = sum(map(len, keys))
    if len(union) * len(tables) > min(3 * entries + 64, _MAX_CELLS):
        lengths = np.array([len(each) for each in keys], np.int64)
        steps = [_steps(each) for each in keys]
        return pack([np.array([_SPARSE]), lengths, np.concatenate(steps), np.concatenate([c for _, c in tables])])
    cells = np.zeros((len(union), len(tables)), np.int64)
    for place, (each, (_, counts)) in enumerate(zip(keys, tables, strict=True)):
        cells[np.searchsorted(union, each), place] = counts
    return pack([np.array([_DENSE]), _steps(union), cells.reshape(-1)])


def _steps(keys: NDArray[np.uint64]) -> Counts:
    """The differences of ascending keys; the first from 0."""
    return np.diff(keys, prepend=np.uint64(0)).view(np.int64)


def _summed(steps: Counts) -> NDArray[np.uint64]:
    return np.cumsum(steps.view(np.uint64), dtype=np.uint64)


def tables_of(columns: Iterator[Counts], frames: int) -> Iterator[tuple[NDArray[np.uint64], Counts]]:
    """The pairs again, with keys as uint64: ascending, each once, counts not 0. Raises Damaged."""
    shape = next(columns, np.zeros(0, np.int64))
    if len(shape) != 1:
        raise Damaged("a table has no shape")
    yield from _dense(columns, frames) if shape[0] == _DENSE else _sparse(columns, frames)


def _dense(columns: Iterator[Counts], frames: int) -> Iterator[tuple[NDArray[np.uint64], Counts]]:
    keys, flat = _summed(_column(columns)), _column(columns)
    if len(flat) != len(keys) * frames:
        raise Damaged("a table has too few cells")
    _check(keys)
    _check_counts(flat)
    cells = flat.reshape(len(keys), frames)
    for place in range(frames):
        there = np.flatnonzero(cells[:, place])
        yield keys[there], cells[there, place]


def _sparse(columns: Iterator[Counts], frames: int) -> Iterator[tuple[NDArray[np.uint64], Counts]]:
    lengths, steps, counts = _column(columns), _column(columns), _column(columns)
    if len(lengths) != frames or (lengths < 0).any() or (lengths > len(steps)).any():
        raise Damaged("a table has impossible lengths")
    if int(lengths.sum()) != len(steps) or len(steps) != len(counts):
        raise Damaged("a table has columns of different lengths")
    _check_counts(counts)
    at = 0
    for length in lengths.tolist():
        keys = _summed(steps[at : at + length])
        _check(keys)
        yield keys, counts[at : at + length].copy()
        at += length


def _column(columns: Iterator[Counts]) -> Counts:
    found = next(columns, None)
    if found is None:
        raise Damaged("a table lacks a column")
    return found


def _check_counts(counts: Counts) -> None:
    if len(counts) and not 0 <= counts.min() <= counts.max() <= _MOST:
        raise Damaged("a table has impossible counts")


def _check(keys: NDArray[np.uint64]) -> None:
    if len(keys) > 1 and not (keys[1:] > keys[:-1]).all():
        raise Damaged("the keys of a table are not in order")
