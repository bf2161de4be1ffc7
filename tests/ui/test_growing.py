"""Scripts started and stopped from the screen: by opening their pane, and from the Scripts pane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from bpftop.model import ScriptStatus, Snapshot, State
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from bpftop.ui.panes import startable
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of, until

TOOK = "stopped after 4 s: it took 14 % of one CPU, its budget is 5 %"
OFF = ScriptStatus(
    "syscalls", "System calls", State.OFF, 0, "Enter starts it: system calls", "Syscalls", ("syscall_latency",),
    summary="How long the server's system calls take.", cost="0.6 us a system call",
)  # fmt: skip
MORE = tuple(
    ScriptStatus(name, name, State.OFF, 0, "Enter starts it", pane, (f"{name}_latency",))
    for name, pane in (("disk", "Disk"), ("tcp", "TCP"), ("http", "Routes"), ("upstream", "Upstream"),
                       ("eventloop", "Event loop"), ("scheduler", "Scheduler"))
)  # fmt: skip
UNFIT = replace(OFF, name="other", pane="Other", unfit="no such tracepoint", detail="cannot run here")
BEGUN = replace(builders.live(), scripts=(*builders.scripts(), OFF))
ALL = replace(builders.live(), scripts=(*builders.scripts(), OFF, *MORE, UNFIT))


class Growing(builders.FakeSession):
    """One script can be started, takes two looks to come, and can be stopped."""

    def __init__(self, snapshot: Snapshot = BEGUN) -> None:
        super().__init__(snapshot)
        self.started: list[str] = []

    def start_script(self, name: str, free: bool = False) -> None:
        self.started.append(f"{name}, free" if free else name)
        starting = replace(OFF, state=State.ATTACHING, detail="starting")
        self.current = replace(builders.live(), scripts=(*builders.scripts(), starting))

    def arrive(self) -> None:
        self.current = builders.with_calls(builders.live())

    def stop_script(self, name: str) -> bool:
        self.current = BEGUN
        return name == "syscalls"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to read."""
    monkeypatch.setattr(startable, "READ_S", 0.01)


def test_what_a_script_costs_is_said_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startable, "READ_S", 3600.0)
    session, seen = Growing(), []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6")
        seen.append(await until(app, pilot, "syscalls starts in 3600 s"))
        await pilot.press("x")
        seen.append(await until(app, pilot, "syscalls is off"))
        await pilot.press("1", "6")
        await until(app, pilot, "syscalls starts in 3600 s")
        assert session.started == []
        await pilot.press("enter")
        await until(app, pilot, "starting syscalls:")

    drive(session, steps, size=(120, 40))
    assert all("costs 0.6 us a system call" in each for each in seen)
    assert "Enter: now, x: not" in seen[0]
    assert session.started == ["syscalls"]


def test_a_script_does_not_start_when_the_user_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startable, "READ_S", 3600.0)
    due: list[Callable[[], None]] = []
    monkeypatch.setattr(startable.Startable, "set_timer", lambda _self, _wait_s, fire: due.append(fire))
    session = Growing()

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6", "1")
        due.pop()()
        assert session.started == []
        await pilot.press("6")
        due.pop()()
        await until(app, pilot, "starting syscalls:")

    drive(session, steps)
    assert session.started == ["syscalls"]


def test_opening_a_pane_starts_its_script_says_its_cost_and_x_stops_it() -> None:
    session, seen = Growing(), []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6")
        seen.append(await until(app, pilot, "starting syscalls:"))
        session.arrive()
        app.poll()
        seen.append(await until(app, pilot, "writev"))
        await pilot.press("x")
        seen.append(await until(app, pilot, "syscalls is off"))
        assert session.started == ["syscalls"]
        await pilot.press("enter")
        await until(app, pilot, "starting syscalls:")

    drive(session, steps, size=(120, 40))
    starting, running, stopped = seen
    assert "costs 0.6 us a system call" in starting
    assert "How long the server's system calls take." in starting
    assert "starting syscalls:" not in running
    assert "Enter: start" in stopped
    assert session.started == ["syscalls", "syscalls"]


def test_tab_goes_past_a_pane_and_starts_its_script_only_when_it_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Growing()
    monkeypatch.setattr(startable, "LINGER_S", 3600.0)

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("5", "tab")
        assert "syscalls starts in 3600 s" in text_of(app)
        await pilot.press("tab")
        assert session.started == []
        monkeypatch.setattr(startable, "LINGER_S", 0.01)
        await pilot.press("shift+tab")
        await until(app, pilot, "starting syscalls:")

    drive(session, steps)


def test_all_scripts_have_tabs_in_one_order_and_the_last_pane_is_0() -> None:
    small = screen_text(ALL).splitlines()[1]
    assert small.strip() == "1 Overview 2 Latency 3 Heat 4 Clients 5 Slow 6 Syscalls 7 8 9 · · · 0 Scripts"
    assert "8 Routes" in screen_text(ALL, "8").splitlines()[1]
    wide = screen_text(ALL, size=(160, 40)).splitlines()[1]
    shown = wide.split("  ")
    assert [each.strip() for each in shown if each.strip()][5:] == [
        "6 Syscalls", "7 TCP", "8 Routes", "9 Upstream", "· Event loop", "· Scheduler", "· Disk", "0 Scripts",
    ]  # fmt: skip
    assert "Other" not in wide
    assert "Own cost" in screen_text(ALL, "0")
    started = replace(OFF, state=State.LIVE)
    live = replace(ALL, scripts=(*builders.scripts(), *MORE, started))
    assert screen_text(live, size=(160, 40)).splitlines()[1] == wide


def test_enter_on_a_script_without_a_pane_says_where_its_figures_are() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("7", "enter")
        await until(app, pilot, "requests has no pane of its own")

    drive(Growing(), steps, size=(120, 40))


def test_enter_in_scripts_starts_a_script_and_opens_the_pane_of_one_that_runs() -> None:
    seen: list[str] = []
    session = Growing()

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("7", "down", "down")
        seen.append(text_of(app))
        await pilot.press("enter")
        session.arrive()
        app.poll()
        seen.append(text_of(app))
        await pilot.press("enter")
        seen.append(await until(app, pilot, "writev"))

    drive(session, steps, size=(120, 40))
    offered, started, _ = seen
    assert "Enter starts it: system calls" in offered
    assert "Own cost" in started  # the cursor stays in the pane in which it was


def test_a_script_that_fails_says_why_and_can_be_tried_again() -> None:
    failed = replace(OFF, state=State.FAILED, detail="no such tracepoint")
    session = Growing(replace(builders.live(), scripts=(*builders.scripts(), failed)))

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6")
        assert "syscalls failed: no such tracepoint" in text_of(app)
        await pilot.press("enter")
        await until(app, pilot, "starting syscalls")

    drive(session, steps)


def test_a_script_from_the_beginning_is_not_stopped() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("7", "x")
        await until(app, pilot, "from the beginning")

    drive(Growing(), steps, size=(120, 40))


def test_what_is_no_live_watch_says_so() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("7", "down", "down", "enter")
        await until(app, pilot, "no live watch")

    drive(BEGUN, steps, size=(120, 40))


def test_many_scripts_scroll_and_leave_room_for_the_accounts() -> None:
    many = tuple(replace(OFF, name=f"script{i}", pane="") for i in range(12))
    screen = screen_text(replace(builders.live(), scripts=(*builders.scripts(), *many)), "6", *["down"] * 13)
    assert "script11" in screen
    assert "of 14" in screen
    assert "produced" in screen


def test_the_palette_offers_every_pane_by_name() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        names = {each.title: each.help for each in app.get_system_commands(app.screen)}
        assert names["Pane: Disk"] == "open this pane and start its script"
        assert names["Pane: Overview"] == "open this pane"
        assert not any(name.startswith("Pane 1") for name in names)

    drive(ALL, steps, options=UiOptions(refresh_s=60.0))


def test_a_script_that_cost_too_much_says_so_and_starts_again_within_the_budget_or_over_it() -> None:
    session, seen = Growing(), []
    running = builders.with_calls(builders.live())
    own = [
        replace(each, state=State.STOPPED, budget=TOOK) if each.name == "syscalls" else each for each in running.scripts
    ]
    session.current = replace(running, scripts=tuple(own))

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        seen.append(await until(app, pilot, "over budget, stopped: syscalls"))
        await pilot.press("0")
        seen.append(await until(app, pilot, "syscalls stopped after 4 s"))
        await pilot.press("6")
        seen.append(await until(app, pilot, "o: whatever it costs"))
        await pilot.press("enter")
        await until(app, pilot, "starting syscalls")
        session.current = replace(running, scripts=tuple(own))
        app.poll()
        await until(app, pilot, "o: whatever it costs")
        await pilot.press("o")
        await until(app, pilot, "starting syscalls")
        await pilot.press("o")

    drive(session, steps, size=(120, 40))
    assert "figures are of until then" in seen[2]
    assert "openat" in seen[2], "what was measured until then stays"
    assert session.started == ["syscalls", "syscalls, free"]


def test_clients_say_which_pane_has_the_columns_that_are_not_there() -> None:
    assert "(a: group; pane TCP: retransmits, Routes: errors)" in screen_text(ALL, "4", size=(120, 40))
    assert "(a: group)" in screen_text(BEGUN, "4")
    assert "pane TCP" not in screen_text(ALL, "4"), "no room"


def test_clients_by_upstream_say_what_starts_the_script_and_are_not_cut() -> None:
    screen = " ".join(screen_text(ALL, "4", "a", "a").split())
    assert "open the pane Upstream to start one (a: clients again)" in screen


def test_the_key_over_budget_comes_and_goes_with_the_budget_of_the_script_in_front() -> None:
    running = builders.with_calls(builders.live())
    own = [replace(each, budget=TOOK) if each.name == "syscalls" else each for each in running.scripts]
    session = Growing(running)

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("6")
        assert "o Over budget" not in await until(app, pilot, "x Stop")
        session.current = replace(running, scripts=tuple(own))
        app.poll()
        await until(app, pilot, "o Over budget")
        session.current = running
        app.poll()
        for _ in range(100):
            if "o Over budget" not in text_of(app):
                return
            await pilot.pause(0.02)
        raise AssertionError(text_of(app))

    drive(session, steps, size=(120, 40))


def test_the_cursor_of_scripts_stays_with_its_script_when_others_change_places() -> None:
    stopped = [replace(each, state=State.OFF) for each in MORE]
    first, others = stopped[1], [stopped[0], *stopped[2:]]
    session = Growing(replace(ALL, scripts=(*builders.scripts(), *stopped)))

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("0", *["down"] * (len(builders.scripts()) + 1))
        await until(app, pilot, "tcp")
        session.current = replace(ALL, scripts=(*builders.scripts(), *others, first))
        app.poll()
        await pilot.pause(0.1)
        await pilot.press("enter")

    drive(session, steps, size=(120, 40))
    assert session.started == ["tcp"]
