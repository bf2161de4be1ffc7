"""A recording on the screen: where it is, keys through its time, its end; and a recording begun with R."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
from textual.pilot import Pilot

from bpftop.cli.recording import LiveRecorder
from bpftop.recording.reader import Recording
from bpftop.recording.writer import Recorder
from bpftop.replay import Replay
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import SnapshotSource, UiOptions
from screenshots.make import INCIDENT
from tests.recorded import ChanceRun
from tests.ui.driving import text_of, until


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "run.bpftop"
    run, recorder = ChanceRun(), Recorder()
    recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), str(path))
    recorder.attach(run)
    run.run(100)
    assert recorder.end().problem == ""
    recorder.close()
    return path


def drive(
    session: SnapshotSource, steps: Callable[[BpftopApp, Pilot[int]], Awaitable[None]], recorder: LiveRecorder | None
) -> None:
    app = BpftopApp(session, save=lambda _: "", options=UiOptions(refresh_s=60.0), recorder=recorder)

    async def go() -> None:
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(go())


def test_keys_go_through_the_time_of_a_recording(recording: Path) -> None:
    with closing(Replay(Recording(recording))) as replay:
        start, end = replay.position.start_ns, replay.position.end_ns

        async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
            assert " PLAYING " in text_of(app)
            assert " REPLAY " in text_of(app)
            await pilot.press("end")
            shown = await until(app, pilot, " END ")
            assert "the end of the recording" in shown
            assert replay.position.now_ns == end
            await pilot.press("left_square_bracket", "left_curly_bracket", "left_parenthesis")
            await until(app, pilot, " PAUSED ")
            assert replay.position.now_ns == end - 71 * 10**9
            assert app.main is not None
            assert app.main.view.snapshot.ticks == 100 - 71
            await pilot.press("space", "full_stop")
            await until(app, pilot, " PLAYING ")
            assert replay.position.speed == 2
            await pilot.press("home", "space")
            await until(app, pilot, " PAUSED ")
            assert replay.position.now_ns - start < 20 * 10**9

        drive(replay, steps, None)


def test_r_records_what_has_been_and_what_comes(tmp_path: Path) -> None:
    run, recorder = ChanceRun(), LiveRecorder()
    recorder.attach(run)  # type: ignore[arg-type]
    recorder.into(tmp_path, run)
    run.run(30)

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("R")
        await until(app, pilot, "recording to")
        run.run(5)
        app.poll()
        await until(app, pilot, " REC ")
        await pilot.press("R")
        await until(app, pilot, "bpftop replay")

    drive(run, steps, recorder)
    recorder.close()
    (path,) = tmp_path.glob("*.bpftop")
    with closing(Recording(path)) as found:
        assert found.ended
        total = found.total(found.tracks[0])
        assert total is not None
        assert total.ticks == 35


def test_what_stood_out_in_the_whole_recording_is_listed_and_gone_to() -> None:
    with closing(Replay(Recording(INCIDENT))) as replay:
        start = replay.position.start_ns

        async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
            replay.pause(True)
            await pilot.press("w")
            await app.workers.wait_for_complete()
            shown = await until(app, pilot, "it waits for upstream 127.0.0.1:")
            assert "What stood out so far" in shown
            assert replay.position.now_ns < start + 60 * 10**9
            await pilot.press("enter")
            await until(app, pilot, " PAUSED ")
            assert replay.position.now_ns > start
            assert "request latency p99 30" in text_of(app)

        drive(replay, steps, None)
        assert replay.stood_out()[0].ended_ns > start
