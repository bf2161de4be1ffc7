"""Scripts started and stopped from the Scripts pane."""

from __future__ import annotations

from dataclasses import replace

from textual.pilot import Pilot

from bpftop.model import ScriptStatus, State
from bpftop.ui.app import BpftopApp
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of, until

OFF = ScriptStatus("syscalls", "System calls", State.OFF, 0, "Enter starts it: system calls", "Syscalls")
BEGUN = replace(builders.live(), scripts=(*builders.scripts(), OFF))


class Growing(builders.FakeSession):
    """One script can be started and stopped."""

    def start_script(self, name: str) -> None:
        assert name == "syscalls"
        self.current = builders.with_calls(builders.live())

    def stop_script(self, name: str) -> bool:
        self.current = BEGUN
        return name == "syscalls"


def test_enter_starts_a_script_and_gives_it_a_pane_and_x_takes_both_away() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6", "down", "down")
        seen.append(text_of(app))
        await pilot.press("enter")
        seen.append(await until(app, pilot, "6 Syscalls"))
        await pilot.press("enter")
        seen.append(text_of(app))
        await pilot.press("7", "x")
        seen.append(await until(app, pilot, "6 Scripts"))
        await pilot.press("1", "tab", "tab", "tab", "tab", "tab")
        seen.append(text_of(app))

    drive(Growing(BEGUN), steps, size=(120, 40))
    offered, started, pane, stopped, last = seen
    assert "Enter starts it: system calls" in offered
    assert "7 Scripts" in started
    assert "Own cost" in started  # the cursor stays in the pane in which it was
    assert "writev" in pane
    assert "writev" not in stopped
    assert "Own cost" in last


def test_a_script_from_the_beginning_is_not_stopped() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6", "x")
        await until(app, pilot, "from the beginning")

    drive(Growing(BEGUN), steps, size=(120, 40))


def test_what_is_no_live_watch_says_so() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6", "down", "down", "enter")
        await until(app, pilot, "no live watch")

    drive(BEGUN, steps, size=(120, 40))


def test_many_scripts_scroll_and_leave_room_for_the_accounts() -> None:
    many = tuple(replace(OFF, name=f"script{i}") for i in range(12))
    screen = screen_text(replace(builders.live(), scripts=(*builders.scripts(), *many)), "6", *["down"] * 13)
    assert "script11" in screen
    assert "of 14" in screen
    assert "produced" in screen
