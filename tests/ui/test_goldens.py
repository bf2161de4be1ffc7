"""Every pane as text, compared exactly. ``BPFTOP_GOLDENS=write pytest tests/ui/test_goldens.py`` writes them anew."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bpftop.model import Snapshot, State, TracerStatus
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.registry import panes_for
from tests.ui import builders
from tests.ui.driving import screen_text
from tests.ui.shots import SHOT

GOLDENS = Path(__file__).parent / "goldens"
SIZES = ((80, 24), (120, 40))

_CASES: dict[str, tuple[Snapshot, tuple[str, ...], UiOptions]] = {
    **{
        pane.TITLE.lower().replace(" ", "-"): (builders.live(), (str(number),), UiOptions(refresh_s=60.0))
        for number, pane in enumerate(panes_for(builders.live()), 1)
    },
    "help": (builders.live(), ("4", "question_mark"), UiOptions(refresh_s=60.0)),
    "empty": (builders.empty(), (), UiOptions(refresh_s=60.0)),
    "failed": (builders.failed(builders.live()), (), UiOptions(refresh_s=60.0)),
    "heat-map-cell": (builders.live(), ("3", "n"), UiOptions(refresh_s=60.0, no_color=True)),
    "pinned-map": (SHOT, ("3", "n", "shift+left", "shift+down", "enter"), UiOptions(refresh_s=60.0, no_color=True)),
    "pinned-latency": (SHOT, ("3", "n", "enter", "2", "c"), UiOptions(refresh_s=60.0)),
    "pinned-clients": (SHOT, ("3", "n", "enter", "4"), UiOptions(refresh_s=60.0)),
    "networks": (SHOT, ("4", "a"), UiOptions(refresh_s=60.0)),
    "drill": (SHOT, ("4", "s", "enter"), UiOptions(refresh_s=60.0, no_color=True)),
    "script": (builders.with_calls(builders.live()), ("6",), UiOptions(refresh_s=60.0)),
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
    shown = screen_text(snapshot, *keys, size=size, options=options)
    path = GOLDENS / f"{name}-{size[0]}x{size[1]}.txt"
    if os.environ.get("BPFTOP_GOLDENS") == "write":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"{path.name} differs; BPFTOP_GOLDENS=write writes it anew"
    assert all(len(line) <= size[0] for line in shown.splitlines())
