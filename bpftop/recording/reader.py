"""A recording as it lies on disk: opened to the last good block, read piece by piece. All of it is foreign data."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from bpftop.errors import FileError
from bpftop.figures import Frame
from bpftop.recording.blocks import Block, Kind, Scanned, scan
from bpftop.recording.codec import Damaged
from bpftop.recording.frames import MAX_FRAMES, Records, decode, earlier
from bpftop.recording.header import Header, Track, header_of, track_of
from bpftop.recording.sums import Sum, Summing, difference, sum_of
from bpftop.stats.events import SIZE
from bpftop.stats.tick import Named
from bpftop.text import safe

_MAX_TRACKS = 64


@dataclass(slots=True)
class TrackFile:
    """One track: what it measured and where its blocks are."""

    about: Track
    blocks: list[Block] = field(default_factory=list)
    sums: list[Block] = field(default_factory=list)
    ended_unix_ns: int | None = None
    """When it was taken away, if it was."""

    @property
    def measures(self) -> int:
        """How many."""
        return len(self.about.declared.measures)


class Recording:
    """An open recording. Raises FileError when it cannot be read; what is damaged at the end is left out and said."""

    def __init__(self, path: Path) -> None:
        self.path = safe(str(path))
        self.place = path
        self._file: BinaryIO
        try:
            if not os.path.isfile(path):
                said = f"{self.path} is not a file" if os.path.exists(path) else f"there is no {self.path}"
                raise FileError(said, "bpftop record nginx -d 60 -o FILE.bpftop")
            self._file = open(path, "rb")  # noqa: SIM115 - closed by close()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise FileError(f"{self.path} cannot be read: {why}", "ls -l") from error
        try:
            self._index(scan(self._file))
        except Damaged as error:
            self._file.close()
            raise FileError(f"{self.path} {error}", "bpftop record --help") from error
        except BaseException:
            self._file.close()
            raise

    def _index(self, scanned: Scanned) -> None:
        self.size = scanned.size
        self.problem = scanned.problem
        """What is wrong with it, in words: cut off, damaged; empty when it is whole."""
        self.ended = False
        """It was ended properly."""
        self.tracks: dict[int, TrackFile] = {}
        if not scanned.blocks or scanned.blocks[0].kind is not Kind.HEADER:
            raise Damaged(f"has no header: {self.problem or 'it was cut'}")
        self.header: Header = header_of(self._payload(scanned.blocks[0]))
        for block in scanned.blocks[1:]:
            try:
                self._place(block)
            except Damaged as error:
                self.problem = f"not readable from byte {block.offset:,} on: {error}"
                break
        if not any(track.blocks for track in self.tracks.values()):
            raise Damaged(f"holds nothing yet: {self.problem or 'it ended before the first figures'}")

    def _place(self, block: Block) -> None:
        if self.ended:
            raise Damaged("something stands behind its end")
        if block.kind is Kind.END:
            self.ended = True
        elif block.kind is Kind.TRACK:
            if block.track in self.tracks or len(self.tracks) >= _MAX_TRACKS:
                raise Damaged("a track is there twice")
            self.tracks[block.track] = TrackFile(track_of(self._payload(block)))
        elif (track := self.tracks.get(block.track)) is None or track.ended_unix_ns is not None:
            raise Damaged("a block belongs to no track")
        elif block.kind is Kind.FRAMES:
            last = track.blocks[-1].last_unix_ns if track.blocks else 0
            if (
                not 0 < block.frames <= MAX_FRAMES
                or not 0 < block.last_unix_ns < 1 << 62
                or block.first_unix_ns > block.last_unix_ns
                or block.first_unix_ns < last
            ):
                raise Damaged("its times go backwards")
            track.blocks.append(block)
        elif block.kind is Kind.SUM:
            track.sums.append(block)
        elif block.kind is Kind.TRACK_END:
            track.ended_unix_ns = block.last_unix_ns
        else:
            raise Damaged("a second header")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def start_ns(self) -> int:
        """Unix time of the first frame."""
        return min(track.blocks[0].first_unix_ns for track in self.tracks.values() if track.blocks)

    @property
    def end_ns(self) -> int:
        """Unix time of the last frame."""
        return max(track.blocks[-1].last_unix_ns for track in self.tracks.values() if track.blocks)

    def _payload(self, block: Block) -> bytes:
        self._file.seek(block.offset)
        payload = self._file.read(block.length)
        if len(payload) != block.length:
            raise Damaged("the file has become shorter")
        return payload

    def frames(self, track: TrackFile, block: Block) -> list[Frame]:
        """The frames of one block, accounts since the beginning of the recording. Raises Damaged."""
        base = track.about.base
        frames = decode(self._payload(block), track.measures)
        if len(frames) != block.frames:
            raise Damaged("a block has another number of frames than it says")
        return [
            frame
            if frame.part is None
            else replace(frame, part=replace(frame.part, accounting=difference(frame.part.accounting, base)))
            for frame in frames
        ]

    def sum_before(self, track: TrackFile, limit_ns: int) -> tuple[Sum | None, int]:
        """The last sum at or before a moment, and the place of the first block behind it. Raises Damaged."""
        for block in reversed(track.sums):
            if block.last_unix_ns <= limit_ns:
                found = sum_of(self._payload(block), track.measures)
                part = replace(found.part, accounting=difference(found.part.accounting, track.about.base))
                place = sum(each.last_unix_ns <= block.last_unix_ns for each in track.blocks)
                return replace(found, part=part), place
        return None, 0

    def earlier(self, track: TrackFile, place: int) -> tuple[Records, Named]:
        """The last events and all names of the blocks in front of a place. Raises Damaged."""
        rings: dict[int, deque[tuple[int, tuple[int, ...]]]] = {}
        known: dict[str, dict[int, object]] = {sort: {} for sort in Named.__dataclass_fields__}
        for block in track.blocks[:place]:
            records, names = earlier(self._payload(block))
            for record in records:
                rings.setdefault(record[0], deque(maxlen=SIZE)).append(record)
            for sort, each in known.items():
                each.update(getattr(names, sort))
        return tuple(record for ring in rings.values() for record in ring), Named(**known)  # type: ignore[arg-type]

    def total(self, track: TrackFile) -> Sum | None:
        """Everything that was counted in the whole recording. Raises Damaged."""
        found, place = self.sum_before(track, track.blocks[-1].last_unix_ns if track.blocks else 0)
        if found is not None and place == len(track.blocks):
            return found
        summing = Summing(track.measures) if found is None else Summing.from_sum(found, track.measures)
        for frame in self.all_frames(track, place):
            summing.add(frame)
        return summing.sum

    def all_frames(self, track: TrackFile, place: int = 0) -> Iterator[Frame]:
        """One after the other, from a block on. Raises Damaged."""
        for block in track.blocks[place:]:
            yield from self.frames(track, block)
