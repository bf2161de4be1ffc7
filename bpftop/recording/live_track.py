"""One session on its way into a recording: its frames as blocks, and how far the file is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Protocol

from bpftop.figures import Declared, Frame, Known, Origin, Status, Tap
from bpftop.model import Accounting
from bpftop.recording.blocks import Block, Kind
from bpftop.recording.frames import sections_of
from bpftop.recording.sums import Summing

BLOCK_NS = 10 * 10**9
"""So much of the last seconds is lost when this process is killed."""
MAX_ENTRIES = 150_000
"""Counts in a block: far below what a reader takes."""


class Recorded(Protocol):
    """What can be recorded: a session."""

    @property
    def declared(self) -> Declared:
        """What it measures."""
        ...

    @property
    def origin(self) -> Origin:
        """Where its figures come from."""
        ...

    def tap(self, tap: Tap) -> Known:
        """Hand it every frame from now on; what is known at this moment."""
        ...

    def known(self) -> Known:
        """What is known at this moment."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording is."""

    path: str = ""
    active: bool = False
    size: int = 0
    """Bytes in the file."""
    first_unix_ns: int = 0
    last_unix_ns: int = 0
    problem: str = ""
    """Why it ended by itself, in one sentence."""

    @property
    def seconds(self) -> float:
        """What it covers."""
        return max(0, self.last_unix_ns - self.first_unix_ns) / 1e9


@dataclass(slots=True)
class LiveTrack:
    """One session on its way to the file."""

    number: int
    name: str
    session: Recorded
    base: Accounting = field(default_factory=Accounting)
    """The accounts in front of everything that is kept."""
    frames: list[Frame] = field(default_factory=list)
    entries: int = 0
    status: Status | None = None
    summing: Summing | None = None
    summed_unix_ns: int = 0

    def add(self, frame: Frame) -> None:
        if not self.frames and frame.status is None and self.status is not None:
            frame = replace(frame, status=self.status)  # each block tells it anew
        self.status = frame.status or self.status
        self.frames.append(frame)
        if frame.part is not None:
            self.entries += len(frame.part.places) + len(frame.part.client_keys) + 8 * len(frame.part.records)

    def full(self, frame: Frame) -> bool:
        """Whether a block ends in front of this frame."""
        late = self.frames and frame.unix_ns - self.frames[0].unix_ns >= BLOCK_NS
        return bool(late) or self.entries > MAX_ENTRIES

    def block(self) -> tuple[Block, dict[int, bytes]]:
        """What has been collected, as a block and its sections; the next block begins empty."""
        frames, self.frames, self.entries = self.frames, [], 0
        first, last = frames[0].unix_ns, frames[-1].unix_ns
        return Block(Kind.FRAMES, self.number, len(frames), first, last), sections_of(frames)
