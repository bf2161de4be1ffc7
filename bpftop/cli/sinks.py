"""Where ``bpftop record`` writes: a recording, or single events as CSV."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bpftop import units
from bpftop.cli.record import refused
from bpftop.errors import Inconclusive
from bpftop.export.events_csv import EventTable, Record
from bpftop.export.files import open_new
from bpftop.export.table import Cell, to_csv
from bpftop.recording.writer import Recorder

if TYPE_CHECKING:
    from bpftop.figures import Frame
    from bpftop.model import Snapshot
    from bpftop.session import Session

MAX_WAITING = 1_000_000
"""Events that wait for a slow reader of the CSV."""
_AT_ONCE = 20_000


@contextmanager
def recording(path: Path) -> Iterator[RecordingSink]:
    """A new recording; ended on the way out whatever happens."""
    sink = RecordingSink(path)
    try:
        yield sink
    finally:
        sink.close()


class RecordingSink:
    """Everything, to be replayed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        fd = open_new(path)
        self._recorder = Recorder()
        self._recorder.begin(fd, str(path))

    def attach(self, session: Session, name: str = "") -> None:
        """Record it."""
        self._recorder.attach(session, name)

    def write(self) -> None:
        """The recorder has a thread of its own; see whether it still can."""
        if problem := self._recorder.progress.problem:
            raise refused(self._path, problem)

    def finish(self) -> None:
        """End the file."""
        self._recorder.end()
        self.write()

    def size(self) -> str:
        """Bytes on disk."""
        return units.size(self._recorder.progress.size)

    def told(self, final: Snapshot) -> str:
        """Where it is and what to do with it."""
        what = f"{final.window.span_s:.0f} s of {final.target.name}, {self.size()}"
        return f"{self._path}: {what}; bpftop replay {self._path}"

    def close(self) -> None:
        """End the file if it is not ended."""
        self._recorder.close()


@contextmanager
def csv_file(path: Path | None) -> Iterator[CsvSink]:
    """A new CSV file, or stdout."""
    sink = CsvSink(path)
    try:
        yield sink
    finally:
        sink.close()


class CsvSink:
    """Single events, a row each. Frames come from the thread that reads bpftrace and are written by the main one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd = open_new(path) if path is not None else -1
        self._lock = threading.Lock()
        self._waiting: deque[Record] = deque()
        self._offset_ns = 0
        self._table: EventTable | None = None
        self._size = 0
        self._rows = 0
        self.unwritten = 0
        """Events that came faster than somebody read the CSV."""

    def attach(self, session: Session, name: str = "") -> None:
        """Take its events; writes the header."""
        self._table = EventTable(session.declared.measures, session.declared.streams, session.names)
        self._put([self._table.header()])
        session.tap(self._take)

    def _take(self, frame: Frame) -> None:
        with self._lock:
            if frame.status is not None:
                self._offset_ns = frame.status.offset_ns
            if frame.part is not None:
                room = max(0, MAX_WAITING - len(self._waiting))
                self._waiting.extend(frame.part.records[:room])
                self.unwritten += max(0, len(frame.part.records) - room)

    def write(self) -> None:
        """Write what waits."""
        while self._waiting and self._table is not None:
            with self._lock:
                some = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
            self._put(self._table.rows(some, self._offset_ns))
            self._rows += len(some)

    def _put(self, rows: Iterator[Sequence[Cell]] | list[Sequence[Cell]]) -> None:
        text = to_csv(rows)
        if self._fd < 0:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            data = text.encode()
            self._append(data)
            self._size += len(data)

    def _append(self, data: bytes) -> None:
        """All of it, or no half row: what does not fit is taken back."""
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise refused(self._path, f"{error.strerror}: the rows so far are whole") from error

    def finish(self) -> None:
        """Everything is on disk. Raises Inconclusive when events had to be left out."""
        if self._fd >= 0:
            try:
                os.fsync(self._fd)
            except OSError as error:
                raise refused(self._path, f"{error.strerror}: the last rows may be missing on disk") from error
        if self.unwritten:
            raise Inconclusive(f"{self.unwritten:,} events came faster than the CSV was read and are not in it")

    def size(self) -> str:
        """Rows so far."""
        return f"{self._rows:,} rows"

    def told(self, final: Snapshot) -> str:
        """How many rows, and how many events are not among them."""
        a = final.accounting
        said = f"{self._rows:,} of {a.produced:,} events are in the CSV"
        if a.lost or a.rejected:
            said += f", {a.lost + a.rejected:,} were lost"
        if a.suppressed:
            said += f"; {a.suppressed:,} were held back in the kernel: these are the slowest, not a sample of all"
            said += " (--every-event sends all)"
        return said

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
