"""The recorder: takes the frames of running sessions, keeps the last minutes in memory, writes them to a file.

One thread does all of it, so that neither the reading of bpftrace nor the screen ever waits for a disk.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from dataclasses import replace
from functools import partial

from bpftop.figures import Frame
from bpftop.model import State
from bpftop.recording import told
from bpftop.recording.blocks import MAGIC, Block, Kind
from bpftop.recording.codec import seal
from bpftop.recording.frames import decode
from bpftop.recording.header import Header, Track
from bpftop.recording.jobs import Jobs
from bpftop.recording.kept import Kept
from bpftop.recording.live_track import BLOCK_NS, LiveTrack, Progress, Recorded
from bpftop.recording.sums import Summing

SUM_NS = 600 * 10**9
MAX_WAITING = 2_000
"""Frames that wait for the disk."""
KEPT_NS = 600 * 10**9
KEPT_BYTES = 32 << 20
LARGE = 4096
"""Keys of a frame that does not wait for its turn."""


class Recorder:
    """Records sessions. ``keep``: hold the last ten minutes in memory, so that a file can begin in the past."""

    def __init__(self, keep: bool = False) -> None:
        self._keep = keep
        self._jobs = Jobs()
        self._woken_ns = 0
        """When frames were looked at for the last time (by their clock)."""
        self._tracks: dict[int, LiveTrack] = {}
        self._kept: deque[Kept] = deque()
        self._kept_bytes = 0
        self._next = 0
        self._leaving = False
        self._fd = -1
        self._crc = 0
        self.progress = Progress()
        self._thread = threading.Thread(target=self._run, name="bpftop-recorder", daemon=True)
        self._thread.start()

    # --- from any thread ---

    def attach(self, session: Recorded, name: str = "") -> None:
        """Record this session from now on; the first one is the main one."""
        track = LiveTrack(self._next, name, session)
        self._next += 1
        self._jobs.put(partial(self._add_track, track))
        track.base = session.tap(partial(self._frame_came, track)).accounting

    def begin(self, fd: int, path: str) -> None:
        """Write to this file, with what is kept of the past. Takes the descriptor over."""
        self.progress = Progress(path, True)
        self._jobs.put(partial(self._begin, fd, path))

    def end(self, reason: str = "ended", timeout_s: float = 20.0) -> Progress:
        """Finish the file; waits for it. The recorder can begin another one."""
        done = threading.Event()
        self._jobs.put(partial(self._end, reason))
        self._jobs.put(done.set)  # a job of its own: what went wrong with the end is known by then
        if not done.wait(timeout_s):
            self.progress = replace(self.progress, problem="the disk did not take the end of the recording in time")
        return self.progress

    def leaving(self) -> None:
        """From now on a session that stops was not stopped by the user: it ends with all others, its figures stay."""
        self._leaving = True

    def close(self) -> None:
        """End the thread, and the file when there is one."""
        if self.progress.active:
            self.end()
        self._jobs.put(None)
        self._thread.join(2.0)

    def _frame_came(self, track: LiveTrack, frame: Frame) -> None:
        """From the thread that reads bpftrace. Without a file frames are looked at when a block may be full."""
        if len(self._jobs) < MAX_WAITING:
            wake = self.progress.active or frame.unix_ns - self._woken_ns >= BLOCK_NS or _is_large(frame)
            self._woken_ns = frame.unix_ns if wake else self._woken_ns
            self._jobs.put(partial(self._frame, track, frame), wake)
        else:
            self._jobs.put(partial(self._fail, "the disk is too slow: the recording ends here"))

    # --- the thread ---

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError as error:
                empty = self.progress.active and not self.progress.first_unix_ns
                rest = "nothing was written" if empty else "what was written so far can be read"
                self._fail(f"{error.strerror or error}: {rest}")
            except Exception as error:  # the boundary of the thread: a defect must end the recording, not the watch
                self._fail(f"recording failed: {type(error).__name__}: {error}")

    def _add_track(self, track: LiveTrack) -> None:
        for other in list(self._tracks.values()):
            if track.name and other.name == track.name:  # one that was stopped begins anew
                self._drop(other)
        self._tracks[track.number] = track
        if self._fd >= 0:
            self._write_track(track)

    def _frame(self, track: LiveTrack, frame: Frame) -> None:
        if track.number not in self._tracks or not (self._keep or self._fd >= 0):
            return
        if track.frames and track.full(frame):
            self._flush(track)
        track.add(frame)
        if track.summing is not None:
            track.summing.add(frame)
        tracer = frame.status.tracer if frame.status is not None else None
        # On the screen the user has stopped it; without one, or when all are told to, it is the end of everything.
        over = tracer is not None and tracer.state is State.STOPPED and not tracer.budget
        if track.number and over and self._keep and not self._leaving:
            self._drop(track)

    def _flush(self, track: LiveTrack) -> None:
        if not track.frames:
            return
        last = next((f.part.accounting for f in reversed(track.frames) if f.part is not None), track.base)
        block, sections = track.block()
        if self._fd >= 0:
            block = replace(block, payload=seal(sections))
        if self._keep:
            self._kept.append(kept := Kept.of(block, sections, last))
            self._kept_bytes += kept.size
            self._forget(block.last_unix_ns)
        if self._fd >= 0:
            self._write(block)
            if block.last_unix_ns - track.summed_unix_ns >= SUM_NS:
                self._write_sum(track, block.last_unix_ns)

    def _forget(self, now_unix_ns: int) -> None:
        """Drop what is older than ten minutes, or too much."""
        while self._kept:
            oldest = self._kept[0]
            if now_unix_ns - oldest.block.last_unix_ns <= KEPT_NS and self._kept_bytes <= KEPT_BYTES:
                break
            self._kept.popleft()
            self._kept_bytes -= oldest.size
            if oldest.block.track in self._tracks:
                self._tracks[oldest.block.track].base = oldest.accounting

    def _drop(self, track: LiveTrack) -> None:
        """A script that was stopped: its figures go."""
        self._flush(track)
        if self._fd >= 0:
            self._write(Block(Kind.TRACK_END, track.number, 0, self.progress.last_unix_ns, self.progress.last_unix_ns))
        del self._tracks[track.number]
        self._kept = deque(each for each in self._kept if each.block.track != track.number)
        self._kept_bytes = sum(each.size for each in self._kept)

    # --- the file ---

    def _begin(self, fd: int, path: str) -> None:
        self._fd, self._crc = fd, 0
        self.progress = Progress(path, True)
        self._append(MAGIC)
        self._write(Block(Kind.HEADER, payload=Header.of_this_host().payload()))
        for track in self._tracks.values():
            self._flush_kept(track)
            self._write_track(track)
        for kept in self._kept:
            block = kept.whole()
            self._write(block)
            summing = self._tracks[block.track].summing
            if summing is not None:
                for frame in decode(block.payload, len(self._tracks[block.track].session.declared.measures)):
                    summing.add(frame)

    def _flush_kept(self, track: LiveTrack) -> None:
        fd, self._fd = self._fd, -1  # into memory only: it is written with the others
        try:
            self._flush(track)
        finally:
            self._fd = fd

    def _write_track(self, track: LiveTrack) -> None:
        known = track.session.known()
        about = Track(track.name, track.session.declared, track.session.origin, known.names, track.base)
        track.summing = Summing(len(about.declared.measures))
        track.summed_unix_ns = track.frames[0].unix_ns if track.frames else known.unix_ns
        self._write(Block(Kind.TRACK, track.number, payload=about.payload()))

    def _write_sum(self, track: LiveTrack, unix_ns: int) -> None:
        payload = track.summing.payload() if track.summing is not None else None
        if payload is not None:
            self._write(Block(Kind.SUM, track.number, 0, unix_ns, unix_ns, payload))
            track.summed_unix_ns = unix_ns

    def _end(self, reason: str) -> None:
        if self._fd >= 0:
            for track in self._tracks.values():
                self._flush(track)
                self._write_sum(track, self.progress.last_unix_ns)
            self._write(Block(Kind.END, payload=seal({1: told.dump({"reason": reason})})))
            os.fsync(self._fd)
            self._close()

    def _write(self, block: Block) -> None:
        data, self._crc = block.sealed(self._crc)
        self._append(data)
        if block.kind is Kind.FRAMES:
            known = self.progress
            first = min(known.first_unix_ns or block.first_unix_ns, block.first_unix_ns)
            last = max(known.last_unix_ns, block.last_unix_ns)
            self.progress = replace(known, first_unix_ns=first, last_unix_ns=last)
            with contextlib.suppress(OSError):  # pipes and some file systems know no such thing
                os.fdatasync(self._fd)

    def _append(self, data: bytes) -> None:
        """All of it, or nothing: a block that does not fit is taken back."""
        whole = self.progress.size
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, whole)
            raise
        self.progress = replace(self.progress, size=whole + len(data))

    def _fail(self, problem: str) -> None:
        if self.progress.active:
            if not self.progress.first_unix_ns:
                self._take_back()
            self.progress = replace(self.progress, problem=problem)
            self._close()

    def _take_back(self) -> None:
        """Away with a file without a single figure, unless its name is somebody else's by now."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(self._fd), os.lstat(self.progress.path)):
                os.unlink(self.progress.path)

    def _close(self) -> None:
        self.progress = replace(self.progress, active=False)
        for track in self._tracks.values():
            track.summing = None
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


def _is_large(frame: Frame) -> bool:
    """Ten seconds of such frames are better not kept as they are."""
    return frame.part is not None and len(frame.part.client_keys) > LARGE
