"""Somebody sets the clock of the host while a watch runs: no figure, no moment and no recording may notice."""

from __future__ import annotations

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from bpftop import clock
from bpftop.clock import WALL, boot_ns, steady_unix_ns
from bpftop.model import Process, Snapshot, Target, TargetKind
from bpftop.recording.reader import Recording
from bpftop.recording.writer import Recorder
from bpftop.replay import Replay
from bpftop.session import Session
from bpftop.tracer.supervisor import BpftraceSource
from bpftop.ui.verdict import Judge
from bpftop.ui.view import Box, View
from tests.fakes import FakeBpftrace, wait_for
from tests.recordings import program

SECOND = 10**9
TARGET = Target("nginx", TargetKind.NAME, "nginx", "nginx", (Process(11, 1, "nginx"),), (80,))
STEPS_S = (3600, -3600, 1, -1, -7200, 7200)
BODY = """
attached()
count = 0
on_signals(lambda number: os._exit(0))
while True:
    count += 10
    event(now())
    counted(count, count // 10)
    time.sleep(0.1)
"""


class SetClock:
    """Unix time as somebody has set it."""

    def __init__(self) -> None:
        self.by_s = 0.0
        self._true = time.time_ns

    def __call__(self) -> int:
        return self._true() + int(self.by_s * SECOND)


@pytest.fixture
def host_clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """The clock of the host, which a test may set."""
    found = SetClock()
    monkeypatch.setattr(time, "time_ns", found)
    monkeypatch.setattr(WALL, "offset_ns", WALL.offset_ns)
    return found


def test_the_offset_follows_a_clock_that_is_set_and_the_steady_one_does_not(host_clock: SetClock) -> None:
    steady, before = WALL.steady_ns, WALL.look()
    for by_s in STEPS_S:
        host_clock.by_s = by_s
        seen = steady_unix_ns()
        assert abs(WALL.look() - before - by_s * SECOND) < SECOND // 10
        assert WALL.steady_ns == steady
        assert 0 <= steady_unix_ns() - seen < 10 * SECOND


def test_a_reader_that_had_to_wait_between_two_clocks_is_no_clock_that_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before, late = WALL.look(), iter([SECOND, 0, 0, 0, 0])

    def slow() -> int:
        moment = boot_ns() + before
        begun = time.monotonic_ns() + next(late) // 20
        while time.monotonic_ns() < begun:
            pass
        return moment

    monkeypatch.setattr(time, "time_ns", slow)
    assert abs(clock._offset_ns() - before) < 2_000_000


def test_a_watch_whose_clock_is_set_counts_on_and_its_recording_has_no_hole(
    tmp_path: Path, host_clock: SetClock
) -> None:
    fake = FakeBpftrace(tmp_path, BODY)
    session = Session(BpftraceSource(program(), str(fake.path)), program(), TARGET)
    recorder, path = Recorder(keep=True), tmp_path / "steps.bpftop"
    recorder.attach(session)
    session.start()
    try:
        assert session.wait_live(60)
        for by_s in STEPS_S:
            host_clock.by_s = by_s
            _ticks(session, 2)
            _whole(session.snapshot(None), by_s)
        # Begun after the steps: what is kept of the time before them is in it all the same.
        recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), str(path))
        host_clock.by_s = -3600.0
        _ticks(session, 2)
    finally:
        session.stop()
    last = session.snapshot(None)
    assert recorder.end().problem == ""
    recorder.close()
    assert recorder.progress.seconds < 600, "an hour was set, it was not recorded"
    recording = Recording(path)
    assert (recording.problem, recording.ended) == ("", True)
    with closing(Replay(recording)) as replay:
        found = replay.at(replay.position.end_ns, None)
        assert found.measures["request_latency"].summary.count == last.measures["request_latency"].summary.count > 0
        assert found.accounting == last.accounting
        assert found.histories[0].spans_s == last.histories[0].spans_s
        assert sum("clock was set" in said for said in found.tracer.stderr) == len(STEPS_S) + 1
        assert "this host's clock was set back by 2 h 00 min; a recording goes on by the old one" in found.tracer.stderr


def _ticks(session: Session, more: int) -> None:
    wanted = session.snapshot(None).ticks + more
    wait_for(lambda: session.snapshot(None).ticks >= wanted, "no ticks", 60)


def _whole(shown: Snapshot, by_s: float) -> None:
    """The moments of a snapshot are by the clock as it is now, the lengths of time as they were."""
    history, accounts = shown.histories[0], shown.accounting
    assert 0 <= shown.unix_ns - history.unix_ns[-1] < 60 * SECOND
    assert abs(shown.unix_ns - time.time_ns()) < 5 * SECOND
    assert abs(shown.unix_ns - boot_ns() - WALL.steady_ns - by_s * SECOND) < 5 * SECOND
    assert list(history.unix_ns) == sorted(history.unix_ns)
    assert 0 < shown.window.span_s < 120
    assert 0 <= shown.quiet_s < 60
    assert (shown.measures["request_latency"].trend.age_s >= 0).all()
    assert accounts.produced == accounts.shown + accounts.suppressed + accounts.lost + accounts.rejected
    assert all(abs(event.unix_ns - shown.unix_ns) < 120 * SECOND for event in shown.slow)


def test_what_is_pinned_and_looked_at_stays_where_it_was(tmp_path: Path, host_clock: SetClock) -> None:
    fake = FakeBpftrace(tmp_path, BODY)
    session = Session(BpftraceSource(program(), str(fake.path)), program(), TARGET)
    session.start()
    try:
        assert session.wait_live(60)
        _ticks(session, 12)
        first = session.snapshot(None)
        moments = first.histories[0].unix_ns
        box = Box("request_latency", moments[2], moments[-2], 1.0, 1e12)
        view = View(first, until_unix_ns=moments[5], box=box)
        before = session.snapshot(None, moments[5])
        host_clock.by_s = 3600.0
        _ticks(session, 2)
        now = session.snapshot(None)
        moved = view.moved(now)
        assert moved.until_unix_ns is not None
        assert moved.box is not None
        by_ns = moved.until_unix_ns - moments[5]
        assert abs(by_ns - 3600 * SECOND) < SECOND
        assert (moved.box.from_unix_ns, moved.box.to_unix_ns) == (moments[2] + by_ns, moments[-2] + by_ns)
        after = session.snapshot(None, moved.until_unix_ns)
        assert after.measures["request_latency"].summary.count == before.measures["request_latency"].summary.count
        judge = Judge()
        judge(first)
        assert 0 <= now.boot_ns - first.boot_ns < 60 * SECOND, "the verdict keeps its memory"
        assert judge(now) is judge(now)
    finally:
        session.stop()
