"""Live, recorded, replayed: the same figures. Torn, flipped and hostile files: the last good block or a sentence."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bpftop.model import Snapshot, State
from bpftop.recording import writer
from bpftop.recording.reader import Recording
from bpftop.recording.writer import Recorder
from bpftop.replay import Replay
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.tracer.simulate import SimulatedSource, comm_of, scenario_of, simulated_target
from tests.recorded import StoryRun, as_replayed, differences

WINDOWS = (10.0, 60.0, 300.0, None, 7.0)


def new_file(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def simulated(speed: float) -> Session:
    found = scenario_of()
    target = simulated_target(found)
    program = compose([script for script in catalog().values() if script.default], target)
    return Session(SimulatedSource(program, found, speed=speed), program, target, comm_of=comm_of(found))


@contextmanager
def recorded(session: Session, path: Path, keep: bool = False) -> Iterator[Recorder]:
    """The session runs and is recorded from its first tick on."""
    recorder = Recorder(keep)
    try:
        if not keep:
            recorder.begin(new_file(path), str(path))
        recorder.attach(session)
        session.start()
        yield recorder
        session.stop()
        recorder.end()
    finally:
        session.stop()
        recorder.close()


LONG_S = 1000
Whole = tuple[Path, list[Snapshot]]
Closes = Callable[[Replay], None]


@pytest.fixture
def closes() -> Iterator[Closes]:
    """Closes each at the end."""
    with ExitStack() as stack:

        def close_later(replay: Replay) -> None:
            stack.callback(replay.close)

        yield close_later


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Snapshot]]:
    """A recording of 25 minutes, and snapshots taken live meanwhile."""
    path = tmp_path_factory.mktemp("recording") / "whole.bpftop"
    taken: list[Snapshot] = []
    run = StoryRun(0.2)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(writer, "SUM_NS", 100 * 10**9)
    recorder = Recorder()
    recorder.begin(new_file(path), str(path))
    recorder.attach(run)
    for _ in range(LONG_S // 100):
        run.run(100)
        taken += [run.snapshot(window) for window in WINDOWS]
    assert recorder.end().problem == ""
    recorder.close()
    monkeypatch.undo()
    return path, taken


def test_a_replay_gives_the_snapshots_that_were_taken_live(whole: Whole, closes: Closes) -> None:
    path, taken = whole
    recording = Recording(path)
    assert (recording.problem, recording.ended) == ("", True)
    replay = Replay(recording)
    closes(replay)
    assert taken[-2].measures["request_latency"].summary.count > 10_000
    jumps = [taken[-1], taken[0], taken[-6], taken[11]]
    for live in [*taken, *jumps]:
        found = replay.at(live.unix_ns, live.window.length_s)
        assert differences(as_replayed(live), found) == []


def test_a_live_session_and_its_recording(tmp_path: Path, closes: Closes) -> None:
    """The same through the threads of a session: every snapshot that was seen."""
    taken: list[Snapshot] = []
    path = tmp_path / "live.bpftop"
    with recorded(session := simulated(5), path):
        end = time.monotonic() + 3
        while time.monotonic() < end:
            taken += [session.snapshot(window) for window in WINDOWS]
            time.sleep(0.2)
    taken += [session.snapshot(window) for window in WINDOWS]
    assert taken[-1].tracer.state is State.STOPPED
    assert taken[-1].ticks > 5
    replay = Replay(Recording(path))
    closes(replay)
    for live in taken:
        found = replay.at(live.unix_ns, live.window.length_s)
        if replay.position.at_end:  # what was looked at later is as it was at the end
            found = replace(found, unix_ns=live.unix_ns, quiet_s=live.quiet_s)
        assert differences(as_replayed(live), found) == []
