"""Every pane as text, compared exactly. ``BPFTOP_GOLDENS=write pytest tests/ui/test_goldens.py`` writes them anew."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from bpftop.model import Snapshot, State, TracerStatus
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.registry import panes_for
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of
from tests.ui.shots import SHOT

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


def failed_script() -> Snapshot:
    """One script could not start; the others go on."""
    snapshot = builders.with_calls(builders.live(), 0)
    *others, script = snapshot.scripts
    broken = replace(script, state=State.FAILED, detail="ERROR: no probes to attach")
    return replace(snapshot, scripts=(*others, broken))


_STATES: dict[str, tuple[Snapshot, tuple[str, ...]]] = {
    "empty": (builders.with_calls(builders.empty(), 0), ()),
    "attaching": (builders.with_calls(builders.empty(State.ATTACHING), 0), ()),
    "normal": (builders.with_calls(builders.live()), ()),
    "flood": (builders.with_calls(builders.live(200_000, 200, 99_800)), ()),
    "failed-script": (failed_script(), ()),
    "paused": (builders.with_calls(builders.live()), ("space",)),
}
_RUNS = [(state, size) for state in _STATES for size in (*SIZES, (160, 50))] + [("normal", (60, 15))]


@pytest.mark.parametrize(("state", "size"), _RUNS, ids=[f"{state}-{w}x{h}" for state, (w, h) in _RUNS])
def test_all_panes_are_as_they_were(state: str, size: tuple[int, int]) -> None:
    """One run of the app that opens every pane by its number key."""
    snapshot, keys = _STATES[state]
    shown: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press(*keys)
        for number, pane in enumerate(panes_for(snapshot), 1):
            await pilot.press(str(number))
            await pilot.pause()
            shown.append(f"==== {number} {pane.TITLE}\n{text_of(app)}")

    drive(snapshot, steps, size=size, options=UiOptions(refresh_s=60.0))
    compare(f"all-{state}-{size[0]}x{size[1]}.txt", "".join(shown), size[0])


def compare(name: str, shown: str, width: int) -> None:
    """With the golden of this name; no line is wider than the terminal."""
    path = GOLDENS / name
    if os.environ.get("BPFTOP_GOLDENS") == "write":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{path.name} differs; BPFTOP_GOLDENS=write writes it anew"
    assert all(len(line) <= width for line in shown.splitlines())
