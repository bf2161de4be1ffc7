"""Nothing is cut off without a sign: every line fits its room, in every pane, state and size."""

from __future__ import annotations

import pytest

from bpftop.model import Snapshot
from bpftop.ui.paint import EMPTY, Line
from bpftop.ui.panes.registry import panes_for
from bpftop.ui.view import View
from tests.ui import builders
from tests.ui.shots import SHOT
from tests.ui.states import MAKERS, state

ROOMS = ((58, 11), (78, 20), (98, 26), (118, 36), (128, 40), (158, 46), (298, 96))
"""What is left of 60x15, 80x24, 100x30, 120x40, 130x44, 160x50 and 300x100 for a pane."""
SNAPSHOTS: dict[str, Snapshot] = {
    **{name: state(name) for name in MAKERS},
    "shot": SHOT,
    "lossy": builders.lossy(builders.with_calls(builders.live())),
    "troubled": builders.troubled(),
}


@pytest.mark.parametrize("state", SNAPSHOTS)
def test_every_line_has_room(state: str) -> None:
    for pane in panes_for(SNAPSHOTS[state]):
        for width, height in ROOMS:
            pane.view = View(SNAPSHOTS[state])
            lines = pane.lines(width, height)
            where = f"{pane.TITLE} in {width}x{height}"
            assert [each.text for each in lines if each.cells > width] == [], where
            assert len(_filled(lines)) <= height, where


def _filled(lines: list[Line]) -> list[Line]:
    while lines and lines[-1] == EMPTY:
        lines = lines[:-1]
    return lines
