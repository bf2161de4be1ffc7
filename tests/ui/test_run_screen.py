"""The screen of ``bpftop run``: values first, then text pictures. ``BPFTOP_GOLDENS=write`` writes them anew."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from bpftop.anyscript.model import RunSnapshot, RunState
from bpftop.ui.anyscript.app import RunApp
from bpftop.ui.options import UiOptions
from tests.ui import runs

GOLDENS = Path(__file__).parent / "goldens"
Steps = Callable[[RunApp, Pilot[int]], Awaitable[None]]


class FakeRun:
    """A run that says what it is told; ``at_end`` is what it says when it has been asked to end."""

    def __init__(self, snapshot: RunSnapshot, at_end: RunSnapshot | None = None) -> None:
        self.current, self._at_end = snapshot, at_end
        self.asked = self.killed = 0

    def snapshot(self) -> RunSnapshot:
        return self.current

    def end(self) -> None:
        self.asked += 1
        self.current = replace(self.current, state=RunState.STOPPING, detail="ending: 3 probes to detach")

    def finish(self) -> None:
        assert self._at_end is not None
        self.current = self._at_end

    def kill(self) -> None:
        self.killed += 1


def text_of(app: RunApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


def drive(run: FakeRun, steps: Steps, size: tuple[int, int] = (80, 24), ascii_only: bool = False) -> RunApp:
    app = RunApp(run, save=lambda snapshot: "saved", options=UiOptions(refresh_s=60.0, ascii=ascii_only))

    async def go() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await steps(app, pilot)

    asyncio.run(go())
    return app


def screen_text(run: RunSnapshot, *keys: str, size: tuple[int, int] = (80, 24), ascii_only: bool = False) -> str:
    shown: list[str] = []

    async def steps(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press(*keys)
        await pilot.pause()
        shown.append(text_of(app))

    drive(FakeRun(run), steps, size, ascii_only)
    return shown[0]


_CASES: dict[str, tuple[RunSnapshot, tuple[str, ...], bool]] = {
    "overview": (runs.live(), (), False),
    "histogram": (runs.live(), ("2",), False),
    "keyed-histogram": (runs.live(), ("3",), False),
    "one-key": (runs.live(), ("3", "down", "enter"), False),
    "table": (runs.live(), ("4", "down"), False),
    "to-come": (runs.live(), ("5",), False),
    "log": (runs.live(), ("6",), False),
    "program": (runs.live(), ("7",), False),
    "waiting": (runs.waiting(), (), False),
    "ended": (runs.ended(runs.live()), (), False),
    "stack": (runs.ended(runs.live()), ("5", "enter"), False),
    "failed": (runs.failed(), (), False),
    "failed-program": (runs.failed(), ("3",), False),
    "lossy": (runs.lossy(), (), False),
    "help": (runs.live(), ("3", "question_mark"), False),
    "ascii": (runs.live(), (), True),
}


_LARGE = ("overview", "table", "ended")


@pytest.mark.parametrize(
    ("name", "size"), [*((name, (80, 24)) for name in _CASES), *((name, (120, 40)) for name in _LARGE)]
)
def test_the_screen_is_as_it_was(name: str, size: tuple[int, int]) -> None:
    run, keys, ascii_only = _CASES[name]
    shown = screen_text(run, *keys, size=size, ascii_only=ascii_only)
    path = GOLDENS / f"run-{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("BPFTOP_GOLDENS") == "write":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{path.name} differs; BPFTOP_GOLDENS=write writes it anew"
    assert all(len(line) <= size[0] for line in shown.splitlines())
    assert not ascii_only or shown.isascii()


def test_percentiles_are_bounds_of_their_buckets() -> None:
    """13,965 observations, worked out by hand: p50 lies in 16..31, p90 too, p99 in 32..63; named usecs, so µs."""
    shown = screen_text(runs.live(), "2")
    assert "count 13,965  p50 16..32 µs  p90 16..32 µs  p99 32..64 µs" in shown
    assert "9,100    65 %" in shown


def test_keys_of_several_parts_are_columns_and_foreign_words_are_harmless() -> None:
    shown = screen_text(runs.live(), "3", size=(160, 40))
    assert shown.splitlines()[4].split()[:2] == ["pid", "comm"]
    assert " hostile ?[31m?,name " in shown


def test_sorting_by_number_and_by_name() -> None:
    first = [line for line in screen_text(runs.live(), "4").splitlines() if line.startswith(" nginx0")]
    assert len(first) == 1
    lines = screen_text(runs.live(), "4", "S").splitlines()
    assert lines[5].startswith(" hostile"), "the least count is first: row 39"
    by_name = screen_text(runs.live(), "4", "s", "s").splitlines()
    names = [line.split()[0] for line in by_name[5:15]]
    assert names == sorted(names)
    assert "comm▼" in by_name[4]


def test_the_filter_shows_only_rows_with_these_words_and_escape_ends_it() -> None:
    async def steps(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press("4", "slash", *"redis", "enter")
        await pilot.pause()
        assert "8 of 40 keys" in text_of(app)
        await pilot.press("6")
        await pilot.pause()
        assert "no line has these words" in text_of(app)
        await pilot.press("4", "s", "q")  # keys are keys again
        await pilot.pause()

    run = FakeRun(runs.live())
    drive(run, steps)
    assert run.asked == 1

    async def escape(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press("4", "slash", *"redis", "escape")
        await pilot.pause()
        assert "40 keys" in text_of(app)
        assert " of 40 keys" not in text_of(app)

    drive(FakeRun(runs.live()), escape)


def test_the_log_stays_where_the_user_is_and_follows_again() -> None:
    async def steps(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press("6", "home")
        await pilot.pause()
        assert "lines 1–" in text_of(app)
        before = text_of(app).splitlines()[2:20]
        app._source.current = replace(runs.live(400), log=(*runs.live(400).log,))  # type: ignore[attr-defined]
        app.poll()
        await pilot.pause()
        assert text_of(app).splitlines()[2:20] == before
        await pilot.press("end")
        await pilot.pause()
        assert "1399 " in text_of(app)

    drive(FakeRun(runs.live()), steps)


def test_q_ends_the_program_shows_its_last_maps_and_leaves() -> None:
    run = FakeRun(runs.live(), runs.ended(runs.live()))

    async def steps(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press("q")
        await pilot.pause()
        assert run.asked == 1
        assert "ending: 3 probes to detach (q again leaves at once)" in text_of(app)
        run.finish()
        app.poll()
        await pilot.pause()
        assert "ended as asked: these are its last figures. q leaves." in text_of(app)
        assert app._exit is False
        await pilot.press("q")

    assert drive(run, steps).return_code == 0
    assert run.asked == 1


def test_q_leaves_when_the_end_brings_nothing_new_and_twice_at_once() -> None:
    run = FakeRun(runs.live(), replace(runs.live(), state=RunState.ENDED, detail="ended as asked"))

    async def steps(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press("p", "q")
        run.finish()
        app.poll()
        await pilot.pause()
        assert app._exit

    drive(run, steps)
    stuck = FakeRun(runs.live())

    async def twice(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press("ctrl+c", "ctrl+c")
        await pilot.pause()
        assert app._exit

    drive(stuck, twice)


def test_pause_freezes_the_screen_only() -> None:
    async def steps(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press("p")
        app._source.current = runs.lossy()  # type: ignore[attr-defined]
        app.poll()
        await pilot.pause()
        assert "PAUSED" in text_of(app)
        assert "lost 0" in text_of(app)
        await pilot.press("p")
        await pilot.pause()
        assert "lost 1,234" in text_of(app)

    drive(FakeRun(runs.live()), steps)


def test_saving_says_where() -> None:
    async def steps(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press("e")
        for _ in range(200):
            await pilot.pause(0.02)
            if "saved" in text_of(app):
                return
        raise AssertionError(text_of(app))

    drive(FakeRun(runs.live()), steps)


@pytest.mark.parametrize("size", [(1, 1), (60, 15), (200, 60)])
def test_any_size_and_any_state(size: tuple[int, int]) -> None:
    states = (runs.lossy(), runs.failed(), runs.ended(runs.live()))
    for run in states:
        shown = screen_text(run, "2", "3", "4", "5", "6", "7", "8", "1", size=size)
        assert size[0] < 60 or "Overview" in shown or "Ove" in shown
    for run in (replace(runs.live(), state=RunState.STARTING, maps=(), log=()), replace(runs.live(), unattached=True)):
        assert screen_text(run, size=size)
