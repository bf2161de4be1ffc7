"""Keys, clicks and sizes at random: whatever is done, nothing crashes. ``BPFTOP_TEST_KEYS=5000`` presses more keys."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from bpftop.recording.reader import Recording
from bpftop.replay import Replay
from bpftop.ui.anyscript.app import RunApp
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from bpftop.ui.shell import Shell
from screenshots.make import INCIDENT
from tests.ui import runs
from tests.ui.builders import FakeSession
from tests.ui.states import state
from tests.ui.test_growing import Growing
from tests.ui.test_run_screen import FakeRun

KEYS: tuple[str, ...] = (
    *"1234567890pbvVlcamsSnNwxry[]{}()+-<>/?:thjkgGeER,.", "tab", "shift+tab", "up", "down", "left", "right", "home",
    "end", "pageup", "pagedown", "enter", "escape", "space", "backspace", "shift+left", "shift+up", "ctrl+p", "f1",
)  # fmt: skip
"""All keys of the panes, the help, the palette, the filter and the questions, but those that leave."""
SIZES: tuple[tuple[int, int], ...] = ((60, 15), (80, 24), (120, 40), (160, 50), (300, 100), (20, 5), (1, 1), (61, 200))
DONE = int(os.environ.get("BPFTOP_TEST_KEYS", "250"))
"""In each of the four screens: 1,000 in all."""


class Live(FakeSession):
    """A session that forgets when it is asked to."""

    def reset(self) -> None:
        self.current = state("empty")


def _watch(ascii_: bool) -> Shell:
    return BpftopApp(Live(state("normal")), save=lambda _: "saved", options=_options(ascii_))


def _growing(ascii_: bool) -> Shell:
    return BpftopApp(Growing(), save=lambda _: "saved", options=_options(ascii_))


def _run(ascii_: bool) -> Shell:
    return RunApp(FakeRun(runs.live(), runs.ended(runs.live())), save=lambda _: "saved", options=_options(ascii_))


def _replay(ascii_: bool) -> Shell:
    replay = Replay(Recording(INCIDENT), clock=lambda: 0.0)
    replay.seek(replay.position.start_ns + 60 * 10**9)
    return BpftopApp(replay, save=lambda _: "saved", options=_options(ascii_))


def _options(ascii_: bool) -> UiOptions:
    return UiOptions(refresh_s=60.0, ascii=ascii_)


@pytest.mark.parametrize(
    ("make", "ascii_"), [(_watch, False), (_growing, True), (_run, False), (_replay, False)],
    ids=["watch", "growing", "run", "replay"],
)  # fmt: skip
def test_no_key_no_click_and_no_size_crashes_it(
    make: Callable[[bool], Shell], ascii_: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # E writes a folder
    seed = int(os.environ.get("BPFTOP_TEST_SEED", random.randrange(10**6)))
    print(f"BPFTOP_TEST_SEED={seed}")
    chance, done = random.Random(seed), 0
    while done < DONE:  # it may leave, by the palette
        done += asyncio.run(_abused(make(ascii_), chance, DONE - done, seed))


async def _abused(app: Shell, chance: random.Random, most: int, seed: int) -> int:
    """Press, click, resize and poll at random until it leaves or ``most`` is reached; how often."""
    last: list[str] = []
    count = 0
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            while app.is_running and app.return_value is None and count < most:
                last = [*last[-30:], await _one(app, pilot, chance)]
                count += 1
            await pilot.pause()
    except Exception as error:
        raise AssertionError(f"BPFTOP_TEST_SEED={seed}: {error!r} after {last}") from error
    assert app.crash is None, f"BPFTOP_TEST_SEED={seed}: {app.crash!r} after {last}"
    return count


async def _one(app: Shell, pilot: Pilot[int], chance: random.Random) -> str:
    """One thing; its name."""
    what = chance.random()
    if what < 0.06:
        size = chance.choice(SIZES)
        await pilot.resize_terminal(*size)
        return f"{size[0]}x{size[1]}"
    if what < 0.12:
        x, y = chance.randrange(max(app.size.width, 1)), chance.randrange(max(app.size.height, 1))
        await pilot.click(offset=(x, y), times=chance.choice((1, 2)))
        return f"click {x},{y}"
    if what < 0.16:
        app.poll()
        return "poll"
    key = chance.choice(KEYS)
    await pilot.press(key)
    return key


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_crash_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The test above can fail: with a pane that cannot be drawn it does."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bpftop.ui.panes.latency.Latency.draw", broken)
    with pytest.raises(AssertionError, match=r"BPFTOP_TEST_SEED=5: ZeroDivisionError"):
        asyncio.run(_abused(_watch(False), random.Random(5), 400, 5))
