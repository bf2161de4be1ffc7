"""A recording as a session: a clock that can be stopped, sped up and moved, and ``snapshot`` of the moment it shows."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bpftop.ensemble import merged
from bpftop.figures import Figures, Frame, Status
from bpftop.model import Overhead, Snapshot, State, Target, TargetKind, TracerStatus
from bpftop.recording.blocks import Block
from bpftop.recording.codec import Damaged
from bpftop.recording.reader import Recording, TrackFile
from bpftop.stats.devices import device_name
from bpftop.stats.episodes import Episode, Episodes
from bpftop.stats.exclude import Excluded, Network
from bpftop.stats.keys import KeyNames
from bpftop.stats.series import KEPT_SLICES

NEAR_NS = 120 * 10**9
"""So far ahead the frames between are simply played."""
LOOKS = 600
"""At most so many looks for what stood out: in an hour one each 6 s, and a state lasts longer."""
LOOK_S = 10.0
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 60.0)


@dataclass(frozen=True, slots=True)
class Position:
    """Where a replay is."""

    start_ns: int
    """Unix time of the first frame."""
    end_ns: int
    now_ns: int
    speed: float
    paused: bool
    note: str = ""
    """What is wrong with the recording: it was cut, it is damaged."""

    @property
    def at_end(self) -> bool:
        """Nothing follows."""
        return self.now_ns >= self.end_ns


class Replay:
    """A recording that plays. Safe from any thread."""

    def __init__(self, recording: Recording, speed: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._recording = recording
        self._players = [_Player(recording, track) for track in recording.tracks.values() if track.blocks]
        self._clock = clock
        self._lock = threading.Lock()
        self._excluded: Sequence[Network] = ()
        self._speed = speed
        self._paused = False
        self._start_ns = self._now_ns = _first_tick_ns(recording)
        self._looked = clock()
        self._end_ns = recording.end_ns
        self.note = recording.problem or ("" if recording.ended else "cut off: its end is missing")

    @property
    def position(self) -> Position:
        """Where it is now."""
        with self._lock:
            self._advance()
            paused = self._paused
            return Position(self._start_ns, self._end_ns, self._now_ns, self._speed, paused, self.note)

    @property
    def covered_s(self) -> float:
        """How much time the figures of the shown moment cover."""
        return self._players[0].figures.store.span_s(None)

    def exclude(self, networks: Sequence[Network]) -> None:
        """From now on clients in these networks are in the totals and in no table."""
        with self._lock:
            self._excluded = networks
            for player in self._players:
                player.excluded = Excluded(networks)
                player.reset()

    def pause(self, paused: bool) -> None:
        """Stop or go on."""
        with self._lock:
            self._advance()
            self._paused = paused

    def faster(self, steps: int) -> float:
        """So many steps of SPEEDS faster or slower; the speed."""
        with self._lock:
            self._advance()
            speeds = sorted({*SPEEDS, self._speed})
            self._speed = speeds[min(max(speeds.index(self._speed) + steps, 0), len(speeds) - 1)]
            return self._speed

    def seek(self, unix_ns: int) -> None:
        """Go to a moment, or to the nearest end."""
        with self._lock:
            self._looked = self._clock()
            self._now_ns = min(max(unix_ns, self._start_ns), self._end_ns)

    def step(self, seconds: float) -> None:
        """Go on or back."""
        self.seek(self.position.now_ns + int(seconds * 1e9))

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """The figures of the moment that is shown, or of one in the ten minutes before it."""
        with self._lock:
            self._advance()
            return self._at(window_s, until_unix_ns)

    def at(self, unix_ns: int, window_s: float | None) -> Snapshot:
        """The figures as they were at a moment."""
        self.seek(unix_ns)
        with self._lock:
            return self._at(window_s)

    def ticks(self) -> Iterator[int]:
        """Go from the beginning to the end, tick by tick of the main track; the number of ticks so far."""
        self.pause(True)
        self.seek(self._start_ns)
        try:
            for frame in self._recording.all_frames(self._players[0].track):
                if frame.part is not None:
                    self.seek(frame.unix_ns)
                    yield self.snapshot(10.0).ticks
        except Damaged as error:
            self._cut(error)

    def looks(self) -> Iterator[Snapshot]:
        """Go from the beginning to the end, a second at a step, more in a long recording; the last ten seconds of each.

        Leaves it paused.
        """
        self.pause(True)
        start, end = self.position.start_ns, self.position.end_ns
        for moment in range(start, end + 1, max((end - start) // LOOKS, 10**9)):
            yield self.at(moment, LOOK_S)

    def stood_out(self) -> Sequence[Episode]:
        """What stood out in the whole recording, newest first. Reads it once more; this replay stays where it is."""
        episodes = Episodes()
        other = Replay(Recording(self._recording.place))
        try:
            other.exclude(self._excluded)
            for snapshot in other.looks():
                episodes.look(snapshot)
        finally:
            other.close()
        return episodes.episodes

    def close(self) -> None:
        """Close the file."""
        self._recording.close()

    def _advance(self) -> None:
        looked, self._looked = self._looked, self._clock()
        if not self._paused:
            self._now_ns = min(self._now_ns + int((self._looked - looked) * self._speed * 1e9), self._end_ns)

    def _at(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        while True:
            try:
                for player in self._players:
                    player.go(self._now_ns)
                break
            except Damaged as error:
                self._cut(error)
        shown = [each for each in self._players if each.alive(self._now_ns)] or self._players[:1]
        parts = [player.figures.snapshot(window_s, self._now_ns, until_unix_ns) for player in shown]
        return merged(parts[0], parts[1:], [script for part in parts[1:] for script in part.scripts])

    def _cut(self, error: Damaged) -> None:
        """The frames from here on cannot be read: the recording ends in front of them."""
        self.note = f"not readable from here on: {error}"
        self._end_ns = min(self._end_ns, *(player.good_ns for player in self._players))
        self._end_ns = max(self._end_ns, self._start_ns)
        self._now_ns = min(self._now_ns, self._end_ns)
        for player in self._players:
            player.cut(self._end_ns)


class _Player:
    """One track at one moment."""

    def __init__(self, recording: Recording, track: TrackFile) -> None:
        self._recording = recording
        self.track = track
        self._blocks = list(track.blocks)
        self.excluded = Excluded(())
        self.good_ns = 2**63
        """Everything before this moment can be read, as far as is known."""
        self.reset()

    def reset(self) -> None:
        """Back to the beginning."""
        about = self.track.about
        names = KeyNames(device_of=_device, machine=self._recording.header.machine)
        names.adopt(about.names)
        status = Status(Target("", TargetKind.NAME, ""), TracerStatus(State.ATTACHING), _UNKNOWN)
        self.figures = Figures(about.declared, about.origin, status, 65_536, names)
        self.figures.store.excluded = self.excluded
        self._frames: deque[Frame] = deque()
        self._place = 0
        """Of the next block."""
        self._now_ns = 0

    def alive(self, unix_ns: int) -> bool:
        """Whether it has begun and not been taken away."""
        ended = self.track.ended_unix_ns
        return bool(self._blocks) and self._blocks[0].first_unix_ns <= unix_ns and (ended is None or unix_ns < ended)

    def cut(self, end_ns: int) -> None:
        """Forget the blocks that end later."""
        self._blocks = [block for block in self._blocks if block.last_unix_ns <= end_ns]
        self.reset()

    def go(self, unix_ns: int) -> None:
        """Apply every frame up to a moment. Raises Damaged."""
        if unix_ns < self._now_ns or unix_ns > self._now_ns + NEAR_NS:
            self._begin_before(unix_ns)
        self._now_ns = unix_ns
        while True:
            while self._frames and self._frames[0].unix_ns <= unix_ns:
                self.figures.take(_labelled(self._frames.popleft()))
            if self._frames or self._place >= len(self._blocks):
                return
            block = self._blocks[self._place]
            if block.first_unix_ns > unix_ns:
                return
            self._frames.extend(self._read(block))
            self._place += 1

    def _read(self, block: Block) -> list[Frame]:
        try:
            return self._recording.frames(self.track, block)
        except Damaged:
            self.good_ns = block.first_unix_ns - 1
            raise

    def _begin_before(self, unix_ns: int) -> None:
        """Start from the sum in front of all that a snapshot of this moment needs one by one."""
        self.reset()
        frames, place = 0, sum(block.first_unix_ns <= unix_ns for block in self._blocks)
        while place > 0 and frames < KEPT_SLICES + 100:
            place -= 1
            frames += self._blocks[place].frames
        if place == 0:
            return
        found, behind = self._recording.sum_before(self.track, self._blocks[place].first_unix_ns)
        if found is None:
            return
        records, names = self._recording.earlier(self.track, behind)
        part = replace(found.part, records=records, names=names)
        self.figures.store.take_earlier(part, found.first_ns, found.last_seen_ns, found.ticks)
        self.figures.take(_labelled(Frame(0, None, found.status)))
        self._place = behind


def _first_tick_ns(recording: Recording) -> int:
    """When the first figures came: nobody wants to see again how bpftrace compiles."""
    track = next(track for track in recording.tracks.values() if track.blocks)
    try:
        frames = recording.frames(track, track.blocks[0])
    except Damaged:
        return recording.start_ns
    return next((frame.unix_ns for frame in frames if frame.part is not None), recording.start_ns)


_UNKNOWN = Overhead()


def _labelled(frame: Frame) -> Frame:
    """The source of what is shown is a replay, and of a simulation it is said."""
    if frame.status is None:
        return frame
    tracer = frame.status.tracer
    source = "replay" if tracer.source == "bpftrace" else f"replay of {tracer.source}"
    return replace(frame, status=replace(frame.status, tracer=replace(tracer, source=source, rights="")))


def _device(code: int) -> str:
    """Without a look at this host's devices: they are others."""
    return device_name(code, Path("/nonexistent"))
