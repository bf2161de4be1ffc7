"""One sample a row: ``timestamp_ns,latency_ns,event,...``, a million rows in a fraction of a second.

A chunk of the file is one array of bytes. Where its commas and line feeds are gives the cells, and a column of numbers
is read digit by digit for all rows at once. bpftrace's own words between the rows (``Attaching 3 probes...``, maps that
it prints at its end) are passed over; what it says about lost events is counted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bpftop.compare.cells import Cells
from bpftop.compare.model import Run
from bpftop.errors import FileError
from bpftop.model import Histogram, too_much
from bpftop.text import safe

COLUMN = "latency_ns"
NAMELESS = "latency"
"""The measure of a file without a column ``event``."""
MOST_MEASURES = 64
_CHUNK = 1 << 20
_LONGEST = 8 << 20
_COMMA, _FEED, _QUOTE, _ZERO, _NINE = b',\n"09'
_OWN_WORDS = re.compile(rb"\s*$|Attach(?:ing|ed) (?:to )?\d+ probe|@|(?:WARNING: )?Lost \d+ events?|Lost \d+ event")
_LOST = re.compile(rb"(?:WARNING: )?Lost (\d{1,18}) events?")


def read_samples(path: str, file: BinaryIO, header: Sequence[str]) -> Run:
    """The rows behind the header, which is read already. Raises FileError for what is no such file."""
    reader = _Reader(path, header)
    rest = b""
    while chunk := file.read(_CHUNK):
        whole, feed, rest = (rest + chunk).rpartition(b"\n")
        if feed:
            reader.take(whole + feed)
        elif len(rest) > _LONGEST:
            raise FileError(f"{path} has a line of more than {_LONGEST >> 20} MB: it is no CSV of samples")
    return reader.run(rest)


class _Reader:
    def __init__(self, path: str, header: Sequence[str]) -> None:
        self._path = path
        self._columns = len(header)
        self._latency = header.index(COLUMN)
        self._event = header.index("event") if "event" in header else None
        if header[0] not in (COLUMN, "timestamp_ns"):
            raise FileError(f"{path}: the first column has to be timestamp_ns, not {safe(header[0], 30)}")
        self._events: dict[bytes, list[NDArray[np.int64]]] = {}
        self._line = 1
        self._lost = 0
        self._notes: list[str] = []
        self._problems: list[str] = []

    # --- chunks ---

    def take(self, data: bytes) -> None:
        """Whole lines."""
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if b'"' in data:
            self._slowly(data)
            return
        text = np.frombuffer(data, np.uint8)
        ends = _separators(text)
        feeds = ends[text[ends] == _FEED]
        starts = np.concatenate((feeds[:1] * 0, feeds[:-1] + 1))
        digit = (text[starts] >= _ZERO) & (text[starts] <= _NINE)
        if not digit.all():
            for row in np.flatnonzero(~digit).tolist():
                self._other(data[starts[row] : feeds[row]], self._line + 1 + row)
            text = text[np.repeat(digit, feeds - starts + 1)]
            ends = _separators(text)
        if len(text):
            self._rows(text, ends, digit)
        self._line += len(digit)

    def _rows(self, data: NDArray[np.uint8], ends: NDArray[np.intp], chosen: NDArray[np.bool_]) -> None:
        """Lines that begin with a digit. ``ends``: of the cells; ``chosen``: which of the chunk's lines they are."""
        rows = int(np.count_nonzero(chosen))
        if len(ends) != rows * self._columns or not (data[ends[self._columns - 1 :: self._columns]] == _FEED).all():
            raise self._wrong_row(data, chosen)
        table = ends.reshape(rows, self._columns)
        starts = np.concatenate(([0], ends[:-1] + 1)).reshape(table.shape)
        cells = Cells(data)
        values, good = cells.numbers(starts[:, self._latency], table[:, self._latency])
        if not good.all():
            raise self._no_number(self._number_of(int(np.argmin(good)), chosen))
        if self._event is None:
            self._add(NAMELESS.encode(), values)
        else:
            self._by_event(cells, starts[:, self._event], table[:, self._event], values)

    def _by_event(
        self, cells: Cells, starts: NDArray[np.intp], ends: NDArray[np.intp], values: NDArray[np.int64]
    ) -> None:
        """Share out the values by the words of the column: one pass a word, and there are few."""
        while len(values):
            alike = cells.like_first(starts, ends)
            self._add(cells.text(starts[0], ends[0]), values[alike])
            starts, ends, values = starts[~alike], ends[~alike], values[~alike]

    def _add(self, event: bytes, values: NDArray[np.int64]) -> None:
        if event not in self._events and len(self._events) == MOST_MEASURES:
            raise FileError(f"{self._path}: the column event has more than {MOST_MEASURES} different words")
        self._events.setdefault(event, []).append(values)

    # --- single lines ---

    def _slowly(self, data: bytes) -> None:
        """Lines with quotes in them, one by one."""
        found: dict[bytes, list[int]] = {}
        for line in data.split(b"\n")[:-1]:
            self._line += 1
            if not line[:1].isdigit():
                self._other(line, self._line)
                continue
            cells = _cells(line)
            if len(cells) != self._columns:
                raise self._not_whole(self._line, len(cells))
            if (value := _number(cells[self._latency])) is None:
                raise self._no_number(self._line)
            event = NAMELESS if self._event is None else cells[self._event]
            found.setdefault(event.encode("utf-8", "surrogateescape"), []).append(value)
        for word, values in found.items():
            self._add(word, np.array(values, np.int64))

    def _other(self, line: bytes, number: int) -> None:
        """A line that is no row."""
        if not _OWN_WORDS.match(line):
            said = safe(line.decode("utf-8", "replace"), 40)
            raise FileError(f"{self._path}: line {number} is neither a sample nor a word of bpftrace: {said}")
        if lost := _LOST.match(line):
            self._lost += int(lost[1])

    def _last(self, line: bytes) -> None:
        """What stands behind the last line feed: whole, or the file was cut."""
        line = line.removesuffix(b"\r")
        if not line[:1].isdigit():
            if line and not _OWN_WORDS.match(line):
                self._torn()
            return
        cells = _cells(line)
        value = _number(cells[self._latency]) if len(cells) == self._columns else None
        event = NAMELESS if self._event is None else cells[self._event] if value is not None else ""
        word = event.encode("utf-8", "surrogateescape")
        if value is None or (self._event == self._columns - 1 and word not in self._events):
            self._torn()
        elif self._latency == self._columns - 1:
            self._notes.append("the last line has no line feed, its number may be cut: left out")
        else:
            self._add(word, np.array([value], np.int64))

    def _torn(self) -> None:
        self._problems.append("its last line is cut off and was left out: the run is partial")

    # --- the end ---

    def run(self, rest: bytes) -> Run:
        """Everything that was read; ``rest``: what stands behind the last line feed."""
        self._last(rest)
        parts: dict[str, list[NDArray[np.int64]]] = {}
        for word, found in self._events.items():
            parts.setdefault(safe(word.decode("utf-8", "replace")) or NAMELESS, []).extend(found)
        measures = {name: histogram_of(np.concatenate(found)) for name, found in parts.items()}
        read = sum(int(h.counts.sum()) for h in measures.values())
        if too_much(self._lost, read + self._lost):
            self._problems.append(f"{self._lost:,} of {read + self._lost:,} events were lost: more than 0.1 %")
        elif self._lost:
            self._notes.append(f"{self._lost:,} of {read + self._lost:,} events were lost")
        return Run(self._path, "samples", measures, tuple(self._notes), tuple(self._problems))

    def _number_of(self, row: int, chosen: NDArray[np.bool_]) -> int:
        """The place in the file of a line of this chunk."""
        return self._line + 1 + int(np.flatnonzero(chosen)[row])

    def _wrong_row(self, data: NDArray[np.uint8], chosen: NDArray[np.bool_]) -> FileError:
        """Names the first line with too many or too few cells."""
        each = data.tobytes().split(b"\n")[:-1]
        row = next(i for i, line in enumerate(each) if line.count(b",") != self._columns - 1)
        return self._not_whole(self._number_of(row, chosen), each[row].count(b",") + 1)

    def _not_whole(self, line: int, cells: int) -> FileError:
        return FileError(f"{self._path}: line {line} has {cells} cells, the first line has {self._columns}")

    def _no_number(self, line: int) -> FileError:
        return FileError(f"{self._path}: line {line} has no whole number of nanoseconds in the column {COLUMN}")


def _separators(data: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Where cells end."""
    return np.flatnonzero((data == _COMMA) | (data == _FEED))


def histogram_of(values: NDArray[np.int64]) -> Histogram:
    """Samples as the buckets of their values. Twice as fast as np.unique."""
    ordered = np.sort(values)
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(ordered) > 0))
    found = ordered[last]
    return Histogram(found, found + 1, np.diff(last, prepend=-1).astype(np.int64))


def _number(cell: str) -> int | None:
    return int(cell) if re.fullmatch(r"[0-9]{1,18}", cell) else None


def _cells(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode("utf-8", "surrogateescape")]), [])
    except csv.Error:
        return []
