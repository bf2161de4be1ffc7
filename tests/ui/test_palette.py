"""The palette on a terminal without room for it."""

from __future__ import annotations

import asyncio

import pytest
from textual.command import CommandPalette

from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from tests.ui.builders import FakeSession
from tests.ui.states import state


@pytest.mark.parametrize("opened", ["command_palette", "change_theme"])
def test_no_key_crashes_a_palette_without_room(opened: str) -> None:
    async def keys() -> None:
        app = BpftopApp(FakeSession(state("normal")), save=lambda _: "saved", options=UiOptions(refresh_s=60.0))
        async with app.run_test(size=(1, 1)) as pilot:
            await app.run_action(opened)
            await pilot.pause()
            for key in ("pageup", "pagedown", "home", "end", "up", "down", "enter"):
                await pilot.press(key)
            assert app.crash is None
            assert isinstance(app.screen, CommandPalette)
            await pilot.resize_terminal(80, 24)
            await pilot.press("escape")
            assert app.crash is None
            assert not isinstance(app.screen, CommandPalette)

    asyncio.run(keys())
