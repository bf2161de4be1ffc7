"""The palette on a terminal without room for it."""

from __future__ import annotations

import asyncio

import pytest
from textual.command import CommandPalette

from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.heatmap import HeatMap
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


def test_the_palette_holds_every_action_of_every_pane_and_does_it_there() -> None:
    """By name those of the pane in front and of the screen; with the pane's title those of the others."""

    async def keys() -> None:
        app = BpftopApp(FakeSession(state("normal")), save=lambda _: "saved", options=UiOptions(refresh_s=60.0))
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            main = app.main
            assert main is not None
            all_ = list(app.get_system_commands(app.screen))
            commands = {each.title: each for each in all_}
            assert len(commands) == len(all_), "no two have one name"
            wanted = {each.binding.description for each in main.active_bindings.values() if not each.binding.system} - {
                "palette"
            }
            wanted = {name for name in wanted if not name.startswith("Pane ")} | {
                f"Pane: {p.TITLE}" for p in main.panes
            }
            for pane in main.panes[1:]:
                own = {each.description for each in type(pane).__dict__["BINDINGS"]}
                assert own, pane.TITLE
                wanted |= {f"{pane.TITLE}: {name}" for name in own if name != "Over budget"}
            assert wanted <= commands.keys()
            assert "Scripts: Over budget" not in commands  # nothing was stopped by its budget
            heat = next(pane for pane in main.panes if isinstance(pane, HeatMap))
            commands["Heat map: Hottest slow"].callback()
            for _ in range(100):
                await pilot.pause(0.02)
                if heat.cursor is not None:
                    break
            assert main.in_front is heat
            assert heat.cursor is not None
            assert "Heat map: Hottest slow" not in {each.title for each in app.get_system_commands(app.screen)}

    asyncio.run(keys())
