"""What a user does in each pane: read, sort, filter, look at one alone, come back."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from tests.ui import builders
from tests.ui.driving import drive, text_of
from tests.ui.states import state

PANES = {
    # pane: the column that the first s sorts by, a word that one row has and one that then is gone
    "Routes": ("p99▼", "/orders", "/users/:id"),
    "Syscalls": ("Count▼", "openat", "writev"),
    "Upstream": ("Count▼", "9002", "9001"),
    "Event loop": ("Count▼", "4244", "4243"),
    "Scheduler": ("Count▼", "4244", "4243"),
    "Disk": ("Count▼", "nvme", "vda"),
    "TCP": ("Count▼", "9002", "9001"),
}


@pytest.mark.parametrize("title", PANES)
def test_a_pane_is_sorted_filtered_and_a_row_looked_at_alone(title: str) -> None:
    column, word, gone = PANES[title]

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        async def after(*keys: str) -> str:
            await pilot.press(*keys)
            await pilot.pause()
            return text_of(app)

        main = app.main
        assert main is not None
        main.action_pane([each.TITLE for each in main.panes].index(title))
        first = await after()
        assert word in first
        assert gone in first
        by = await after("s")
        assert column in by
        assert column not in first
        assert column.replace("▼", "▲") in await after("S")
        filtered = await after("slash", *word, "enter")
        assert f"filter {word}  1 of " in filtered
        table = filtered.split("filter ")[1]
        assert word in table.split("\n", 1)[1]
        assert gone not in table.split("\n", 3)[2]
        alone = await after("enter")
        assert f" {title} › " in alone
        assert word in alone
        assert "Esc back" in alone
        assert f"filter {word}  1 of " in await after("escape")
        everything = await after("escape")
        assert "filter " not in everything.replace("/ Filter", "")
        assert gone in everything

    drive(state("normal"), steps, size=(100, 40), options=UiOptions(refresh_s=60.0))


def test_latency_is_read_in_every_way() -> None:
    """The next measure, bars on a log scale, the curve, a longer window."""
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for keys in (("2",), ("v",), ("l",), ("c",), ("plus",)):
            await pilot.press(*keys)
            await pilot.pause()
            seen.append(text_of(app))

    drive(builders.live(), steps, options=UiOptions(refresh_s=60.0))
    first, other, log, curve, window = seen
    assert "Request latency" in first
    assert "bars linear" in first
    assert "Response time" in other
    assert "bars log" in log
    assert curve != log
    assert "5 min" in window
