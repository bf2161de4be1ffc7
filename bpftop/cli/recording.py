"""``R`` on the screen: the last ten minutes are always kept in memory; a file begins with them and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpftop.model import Snapshot
    from bpftop.recording.live_track import Progress
    from bpftop.recording.writer import Recorder
    from bpftop.session import Session
    from bpftop.ui.options import SnapshotSource

_TRIES = 100


@contextmanager
def recording() -> Iterator[LiveRecorder]:
    """A recorder for the screen; a file that is being written is ended on the way out."""
    recorder = LiveRecorder()
    try:
        yield recorder
    finally:
        recorder.close()


class LiveRecorder:
    """The recorder of a watch. It comes to life with the first session: numpy is loaded then."""

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._directory = Path()
        self._source: SnapshotSource | None = None

    def attach(self, session: Session, name: str = "") -> None:
        """Keep what this session says. ``name``: of the script, when it was started beside the first ones."""
        from bpftop.recording.writer import Recorder

        if self._recorder is None:
            self._recorder = Recorder(keep=True)
        self._recorder.attach(session, name)

    def into(self, directory: Path, source: SnapshotSource) -> None:
        """Where files are made; ``source`` tells what they are called after."""
        self._directory, self._source = directory, source

    @property
    def progress(self) -> Progress:
        """Of the last recording."""
        from bpftop.recording.live_track import Progress

        return self._recorder.progress if self._recorder is not None else Progress()

    def toggle(self) -> str:
        """Begin a file, or end it; what happened, in a sentence. Raises FileError."""
        from bpftop import units
        from bpftop.errors import FileError

        assert self._recorder is not None
        assert self._source is not None
        if not self.progress.active:
            path = self._begin(self._source.snapshot(10.0))
            return f"recording to {path}, from what is kept of the last ten minutes on; R ends it"
        done = self._recorder.end("ended with R")
        if done.problem:
            raise FileError(done.problem, "df -h")
        return f"recorded {units.span(done.seconds)}, {units.size(done.size)}: bpftop replay {done.path}"

    def _begin(self, snapshot: Snapshot) -> Path:
        from bpftop.errors import FileError
        from bpftop.export.files import NameTaken, open_new
        from bpftop.export.snapshot_csv import file_stem

        assert self._recorder is not None
        for number in range(1, _TRIES + 1):
            path = self._directory / f"{file_stem(snapshot)}{f'-{number}' if number > 1 else ''}.bpftop"
            try:
                self._recorder.begin(open_new(path), str(path))
            except NameTaken:
                continue
            return path
        raise FileError(f"{self._directory} holds {_TRIES} recordings of this very second; nothing was written")

    def leaving(self) -> None:
        """All sessions are about to stop: what is being written keeps the figures of each."""
        if self._recorder is not None:
            self._recorder.leaving()

    def close(self) -> None:
        """End what is being written."""
        if self._recorder is not None:
            self._recorder.close()
