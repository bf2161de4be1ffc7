"""Every pane as text, compared exactly. ``BPFTOP_GOLDENS=write pytest tests/ui/test_goldens.py`` writes them anew."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from bpftop.anyscript.model import RunSnapshot, RunState
from bpftop.model import Snapshot, State, TracerStatus
from bpftop.ui.anyscript.app import RunApp
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.registry import panes_for
from tests.ui import builders, runs
from tests.ui.driving import drive, screen_text, text_of
from tests.ui.shots import SHOT
from tests.ui.states import FLOOD, MAKERS, state
from tests.ui.test_run_screen import FakeRun
from tests.ui.test_run_screen import drive as drive_run
from tests.ui.test_run_screen import text_of as text_of_run

GOLDENS = Path(__file__).parent / "goldens"
SIZES = ((80, 24), (120, 40))

_CASES: dict[str, tuple[Snapshot, tuple[str, ...], UiOptions]] = {
    "help": (builders.live(), ("4", "question_mark"), UiOptions(refresh_s=60.0)),
    "failed": (builders.failed(builders.live()), (), UiOptions(refresh_s=60.0)),
    "heat-map-cell": (builders.live(), ("3", "n"), UiOptions(refresh_s=60.0, no_color=True)),
    "pinned-map": (SHOT, ("3", "n", "shift+left", "shift+down", "enter"), UiOptions(refresh_s=60.0, no_color=True)),
    "pinned-latency": (SHOT, ("3", "n", "enter", "2", "c"), UiOptions(refresh_s=60.0)),
    "pinned-clients": (SHOT, ("3", "n", "enter", "4"), UiOptions(refresh_s=60.0)),
    "networks": (SHOT, ("4", "a"), UiOptions(refresh_s=60.0)),
    "drill": (SHOT, ("4", "s", "enter"), UiOptions(refresh_s=60.0, no_color=True)),
    "script-counter": (builders.with_calls(builders.live()), ("6", "v", "v"), UiOptions(refresh_s=60.0)),
    "lossy-scripts": (builders.lossy(builders.live()), ("6",), UiOptions(refresh_s=60.0)),
    "simulation": (
        replace(builders.live(), tracer=TracerStatus(State.LIVE, source="simulation")),
        (),
        UiOptions(refresh_s=60.0, banner="simulation: this host cannot trace (not root)"),
    ),
    "ascii": (builders.live(), (), UiOptions(refresh_s=60.0, ascii=True)),
}


@pytest.mark.parametrize("size", SIZES, ids=[f"{w}x{h}" for w, h in SIZES])
@pytest.mark.parametrize("name", _CASES)
def test_the_screen_is_as_it_was(name: str, size: tuple[int, int]) -> None:
    snapshot, keys, options = _CASES[name]
    compare(f"{name}-{size[0]}x{size[1]}.txt", screen_text(snapshot, *keys, size=size, options=options), size[0])


@dataclass(frozen=True)
class FakePosition:
    """A minute after the beginning of a recording of two."""

    paused: bool = False
    now_ns: int = builders.NOON
    start_ns: int = builders.NOON - 60 * 10**9
    end_ns: int = builders.NOON + 60 * 10**9
    speed: float = 1.0
    at_end: bool = False


class Played(builders.FakeSession):
    """A recording that shows always the same moment."""

    position = FakePosition()

    def pause(self, paused: bool) -> None:
        self.position = FakePosition(paused)

    def seek(self, unix_ns: int) -> None: ...

    def step(self, seconds: float) -> None: ...

    def faster(self, steps: int) -> float:
        return 1.0


GRID_SIZES = ((60, 15), *SIZES, (160, 50))
"""60x15 is the narrow one."""
PANES = (
    *(pane.TITLE for pane in panes_for(state("normal"))), "Cell of the map", "Client alone", "Help", "Replay",
    "Run", "Run histogram", "Run table", "Run log",
)  # fmt: skip
"""All there is to see; the first ones are the tabs."""
RUNS: Mapping[str, tuple[Callable[[], RunSnapshot], tuple[str, ...]]] = {
    "empty": (runs.waiting, ()),
    "attaching": (lambda: replace(runs.waiting(), state=RunState.STARTING, probes=0), ()),
    "normal": (runs.live, ()),
    "flood": (runs.lossy, ()),
    "failed-script": (runs.failed, ()),
    "paused": (runs.live, ("space",)),
}
"""The same states of the screen of ``bpftop run``."""


@pytest.mark.parametrize("size", GRID_SIZES, ids=[f"{w}x{h}" for w, h in GRID_SIZES])
@pytest.mark.parametrize("name", MAKERS)
def test_all_panes_are_as_they_were(name: str, size: tuple[int, int]) -> None:
    """One run of the app that opens every pane, and all that opens over or beside them."""
    snapshot, keys = state(name), MAKERS[name][1]
    shown: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        async def see(title: str, *pressed: str) -> None:
            await pilot.press(*pressed)
            await pilot.pause()
            shown.append(f"==== {title}\n{text_of(app)}")

        await pilot.press(*keys)
        assert app.main is not None
        for place, pane in enumerate(app.main.panes):
            app.main.action_pane(place)
            await see(pane.TITLE)
        await see("Cell of the map", "3", "n")
        await see("Client alone", "4", "enter")
        await see("Help", "escape", "question_mark")

    drive(snapshot, steps, size=size, toasts=False)  # they come and go at moments of their own

    async def replayed(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press(*keys)
        await pilot.pause()
        shown.append(f"==== Replay\n{text_of(app)}")

    drive(Played(snapshot), replayed, size=size, options=UiOptions(refresh_s=60.0))
    shown += _run_screen(name, size)
    compare(f"all-{name}-{size[0]}x{size[1]}.txt", "".join(shown), size[0])


def _run_screen(name: str, size: tuple[int, int]) -> list[str]:
    make, keys = RUNS[name]
    shown: list[str] = []

    async def steps(app: RunApp, pilot: Pilot[int]) -> None:
        await pilot.press(*keys)
        for number, title in enumerate(("Run", "Run histogram", "Run table", "Run log"), 1):
            await pilot.press(str(number if number < 3 else number + 1 if number == 3 else 6))
            await pilot.pause()
            shown.append(f"==== {title}\n{text_of_run(app)}")

    drive_run(FakeRun(make()), steps, size)
    return shown


def test_the_grid_has_no_hole() -> None:
    """Every pane x {empty, attaching, normal, flood, failed script, paused} x four sizes, and nothing left over."""
    there = set()
    for path in GOLDENS.glob("all-*.txt"):
        name, _, size = path.stem.removeprefix("all-").rpartition("-")
        lines = path.read_text(encoding="utf-8").splitlines()
        there |= {(line.removeprefix("==== "), name, size) for line in lines if line.startswith("==== ")}
    sizes = [f"{width}x{height}" for width, height in GRID_SIZES]
    assert there == set(itertools.product(PANES, MAKERS, sizes))
    subjects = ("Latency", "Heat map", "Clients", "Slow requests", "Routes", "Syscalls", "TCP", "Event loop")
    assert {*subjects, "Overview", "Scheduler", "Disk", "Upstream", "Scripts"} <= set(PANES)


def test_each_state_is_what_it_is_called() -> None:
    """The names of the states are kept: what each means stands on its screens."""

    def golden(name: str) -> str:
        return (GOLDENS / f"all-{name}-160x50.txt").read_text(encoding="utf-8")

    assert f"{FLOOD:,} clients one by one, others together" in golden("flood")
    assert "31 lost on the way" in golden("flood")
    assert "attaching to nginx" in golden("attaching")
    assert "waiting for the first request of nginx" in golden("empty")
    assert "syscalls failed: ERROR: no probes to attach" in golden("failed-script")
    assert golden("paused").count(" PAUSED ") >= len(PANES) - 4
    assert "PAUSED" not in golden("normal")


def compare(name: str, shown: str, width: int) -> None:
    """With the golden of this name; no line is wider than the terminal."""
    path = GOLDENS / name
    if os.environ.get("BPFTOP_GOLDENS") == "write":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{path.name} differs; BPFTOP_GOLDENS=write writes it anew"
    assert all(len(line) <= width for line in shown.splitlines())
