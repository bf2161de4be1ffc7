"""Some seconds of one track as the payload of a block, and back: the very frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from itertools import islice
from typing import Any

import numpy as np

from bpftop import wire
from bpftop.figures import Frame, Status
from bpftop.model import Accounting, Counts
from bpftop.recording import told
from bpftop.recording.asked import Told
from bpftop.recording.codec import Damaged, pack, seal, unpack, unseal
from bpftop.recording.table import pack_tables, tables_of
from bpftop.stats.buckets import BUCKETS, CLIENT_BUCKETS
from bpftop.stats.tick import Keys, Named, Slice

TIMES, COUNTS, CLIENTS, EVENTS, WORDS = 1, 2, 3, 4, 5
MAX_FRAMES = 4096
_PART, _FINAL, _OVERFLOWED = 1, 2, 4
_ACCOUNTS = 7
_FIRST_ACCOUNTS = 6
"""The first recordings did not know of time in which nothing was seen."""
_LATEST = 1 << 62
"""ns since 1970: the year 2116."""
_MOST = 1 << 60
Records = tuple[tuple[int, tuple[int, ...]], ...]


def encode(frames: Sequence[Frame], extra: dict[str, Any] | None = None) -> bytes:
    """The payload. ``extra``: more words for the reader of the block."""
    return seal(sections_of(frames, extra))


def sections_of(frames: Sequence[Frame], extra: dict[str, Any] | None = None) -> dict[int, bytes]:
    """What the payload is made of, by number."""
    parts = [frame.part or Slice(0, 0) for frame in frames]
    words: dict[str, Any] = {"status": [], "names": [], "extra": extra or {}}
    for place, frame in enumerate(frames):
        if frame.status is not None:
            words["status"].append([place, told.status_to(frame.status)])
        if frame.part is not None and (names := told.names_to(frame.part.names)):
            words["names"].append([place, names])
    return {
        TIMES: pack(_times(frames, parts)),
        COUNTS: pack_tables([(part.places, part.counts) for part in parts]),
        CLIENTS: pack_tables([(part.client_keys, part.client_counts) for part in parts]),
        EVENTS: pack(_events([part.records for part in parts])),
        WORDS: told.dump(words),
    }


def _times(frames: Sequence[Frame], parts: Sequence[Slice]) -> Iterator[Counts]:
    flags = [
        (frame.part is not None) * _PART | part.final * _FINAL | part.overflowed * _OVERFLOWED
        for frame, part in zip(frames, parts, strict=True)
    ]
    yield np.array(flags, np.int64)
    yield _differences([frame.unix_ns for frame in frames])
    yield _differences([part.boot_ns for part in parts])
    yield np.array([part.span_ns for part in parts], np.int64)
    accounts = np.array([astuple(part.accounting) for part in parts], np.int64).reshape(-1, _ACCOUNTS)
    for column in accounts.T:
        yield np.diff(column, prepend=np.int64(0))


def _differences(values: Sequence[int]) -> Counts:
    found = np.array(values, np.int64)
    found[1:] -= found[:-1].copy()
    return found


def _events(records: Sequence[Records]) -> Iterator[Counts]:
    """For each stream: its number and width, its events in each frame, and its fields as columns."""
    streams = sorted({(stream, len(numbers)) for each in records for stream, numbers in each})
    for stream, width in streams:
        rows = [[n for s, n in each if (s, len(n)) == (stream, width)] for each in records]
        table = np.array([n for each in rows for n in each], np.int64).reshape(-1, width)
        yield np.array([stream, width])
        yield np.array([len(each) for each in rows], np.int64)
        yield np.diff(table[:, 0], prepend=np.int64(0))
        yield from np.ascontiguousarray(table[:, 1:].T)


def decode(payload: bytes, measures: int) -> list[Frame]:
    """The frames of a block, for that many measures. Raises Damaged."""
    sections = unseal(payload)
    columns = list(unpack(sections.get(TIMES, b"")))
    if (
        len(columns) not in (4 + _FIRST_ACCOUNTS, 4 + _ACCOUNTS)
        or len(columns[0]) > MAX_FRAMES
        or len({len(each) for each in columns}) != 1
    ):
        raise Damaged("a block has no times")
    size = len(columns[0])
    flags, unix, boot, spans = (
        columns[0].tolist(),
        *(np.cumsum(each).tolist() for each in columns[1:3]),
        columns[3].tolist(),
    )
    accounts = np.cumsum(np.array(columns[4:]), axis=1)
    if (accounts < 0).any() or (accounts > _MOST).any() or not all(0 <= t <= _LATEST for t in (*unix, *boot, *spans)):
        raise Damaged("a block has impossible times or accounts")
    accounts = accounts.T.tolist()
    counts = _counts(sections, size, measures)
    clients = _clients(sections, size, measures)
    records = _records(sections.get(EVENTS, b""), size)
    statuses, names = words_of(sections.get(WORDS, b""), size)
    frames = []
    for i in range(size):
        part = Slice(
            boot[i], spans[i], *counts[i], *clients[i], bool(flags[i] & _OVERFLOWED), records[i],
            Accounting(*accounts[i]), names.get(i, Named()), bool(flags[i] & _FINAL),
        ) if flags[i] & _PART else None  # fmt: skip
        frames.append(Frame(unix[i], part, statuses.get(i)))
    return frames


def _counts(sections: dict[int, bytes], size: int, measures: int) -> list[tuple[Counts, Counts]]:
    found = []
    for keys, counts in tables_of(unpack(sections.get(COUNTS, b"")), size):
        places = keys.view(np.int64)
        if len(places) and not 0 <= places[0] <= places[-1] < measures * BUCKETS:
            raise Damaged("a count belongs to no measure")
        found.append((places, counts))
    return found


def _clients(sections: dict[int, bytes], size: int, measures: int) -> list[tuple[Keys, Counts]]:
    found = list(tables_of(unpack(sections.get(CLIENTS, b"")), size))
    for keys, _ in found:
        measure = (keys >> np.uint64(wire.CLIENT_MEASURE_SHIFT)) & np.uint64(wire.CLIENT_MEASURE_MASK)
        bucket = keys & np.uint64(wire.CLIENT_BUCKET_MASK)
        if len(keys) and (measure.min() < 1 or measure.max() > measures or bucket.max() >= CLIENT_BUCKETS):
            raise Damaged("a count by key belongs to no measure")
    return found


def _records(data: bytes, size: int) -> list[Records]:
    """The events of each frame."""
    found: list[list[tuple[int, tuple[int, ...]]]] = [[] for _ in range(size)]
    columns = unpack(data)
    for head in columns:
        if len(head) != 2 or not 2 <= head[1] <= 32:
            raise Damaged("a stream of events has no head")
        stream, width = head.tolist()
        lengths, *fields = [column for _, column in zip(range(width + 1), columns, strict=False)]
        if len(fields) != width or len(lengths) != size or (lengths < 0).any():
            raise Damaged("a stream of events lacks a column")
        if any(len(field) != lengths.sum() for field in fields):
            raise Damaged("a stream of events has columns of different lengths")
        times = np.cumsum(fields[0])
        if len(times) and not 0 <= times.min() <= times.max() <= _LATEST:
            raise Damaged("an event has an impossible time")
        rows = zip(times.tolist(), *(field.tolist() for field in fields[1:]), strict=True)
        for place, length in enumerate(lengths.tolist()):
            found[place] += [(stream, numbers) for numbers in islice(rows, length)]
    return [tuple(each) for each in found]


def words_of(data: bytes, size: int) -> tuple[dict[int, Status], dict[int, Named]]:
    """States and names by the place of their frame."""
    words = told.load(data)
    statuses = {_place(each, size): told.status_of(each.each()[1]) for each in words["status"].each()}
    return statuses, {_place(each, size): told.names_of(each.each()[1]) for each in words["names"].each()}


def _place(pair: Told, size: int) -> int:
    found = pair.each()
    if len(found) != 2:
        raise Damaged("a word has no place")
    return found[0].whole(0, size - 1)


def earlier(payload: bytes) -> tuple[Records, Named]:
    """The events and the names of a block, nothing else: all that a later moment needs of it. Raises Damaged."""
    sections = unseal(payload, frozenset({TIMES, EVENTS, WORDS}))
    size = len(next(unpack(sections.get(TIMES, b"")), ()))
    _, names = words_of(sections.get(WORDS, b""), size)
    records = _records(sections.get(EVENTS, b""), size)
    whole: dict[str, dict[int, Any]] = {sort: {} for sort in Named.__dataclass_fields__}
    for each in names.values():
        for sort, known in whole.items():
            known.update(getattr(each, sort))
    return tuple(record for each in records for record in each), Named(**whole)


def extra_of(payload: bytes) -> Told:
    """The words that were added for the reader."""
    return told.load(unseal(payload, frozenset({WORDS})).get(WORDS, b""))["extra"]
