"""``:`` goes by name: panes, measures, clients, windows, moments, actions; what leads nowhere stays to be mended."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from bpftop.ui.app import BpftopApp
from bpftop.ui.ways import Way, matching, moment_of
from tests.ui.builders import live
from tests.ui.driving import drive, text_of
from tests.ui.routed import with_routes
from tests.ui.shots import SHOT
from tests.ui.test_scrub import FIRST, Past

DAY = 86_400 * 10**9
NOON = 1_700_049_600 * 10**9
"""12:00:00 UTC."""


def test_the_nearest_name_comes_first() -> None:
    ways = [
        Way(name, "", lambda: None)
        for name in ("slow requests", "request latency", "requests", "save-incident", "clients")
    ]
    assert [way.name for way in matching(ways, "Requests")] == ["requests", "slow requests"]
    assert [way.name for way in matching(ways, "re")] == ["request latency", "requests", "slow requests"]
    assert [way.name for way in matching(ways, " request  lat")] == ["request latency"]
    assert [way.name for way in matching(ways, "inc")] == ["save-incident"]
    assert [way.name for way in matching(ways, "nts")] == ["clients"]
    assert matching(ways, "") == matching(ways, "zz") == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("11:58", -120), ("11:58:30", -90), ("12:00:00", 0), ("-30s", -30), ("-2m", -120), ("-90", -90), ("-1h", -3600),
        ("12:30", 1800 - 86_400), ("0:00", -43_200),
    ],
)  # fmt: skip
def test_a_moment_is_the_last_one_of_that_name(text: str, seconds: int) -> None:
    assert moment_of(text, NOON) == NOON + seconds * 10**9


@pytest.mark.parametrize("text", ["", "25:00", "12:60", "12", "clients", "-", "-2y", "1:2", "2m"])
def test_other_words_are_no_moment(text: str) -> None:
    assert moment_of(text, NOON) is None


def lines_after(session: Past | object, *typed: str) -> list[list[str]]:
    """The rows of the screen after each text, typed after ``:`` and entered."""
    seen: list[list[str]] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for text in typed:
            await pilot.press("colon", *text, "enter")
            await pilot.pause()
            await pilot.pause()
            seen.append(text_of(app).splitlines())
            seen[-1] += [each.message for each in app._notifications]

    drive(session, steps)  # type: ignore[arg-type]
    return seen


def test_panes_measures_windows_and_clients_by_name() -> None:
    clients, queue, actions = lines_after(live(), "cli", "read queue", "help")
    (client,) = lines_after(SHOT, "10.0.3.7")
    assert "Client  " in clients[4]
    assert any("Read queue latency" in row for row in queue[2:4])
    assert any("10.0.3.7" in row for row in client[2:4])
    assert not any("Client  " in row for row in client[3:6])
    assert any("Help (Esc closes" in row for row in actions)


def test_the_pane_of_a_script_by_the_name_that_a_verdict_offers() -> None:
    (routes,) = lines_after(with_routes(live()), "http")
    assert any("routes" in row.lower() for row in routes[2:8])
    assert any("Route " in row for row in routes[2:8])


def test_every_action_by_its_name_though_the_line_takes_the_letters() -> None:
    paused, hottest, reset = lines_after(live(), "pause", "next-pane", "reset")
    assert " PAUSED " in paused[0]
    assert any("count   share" in row for row in hottest)
    assert any("Forget all figures" in row for row in reset)

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("colon", *"save-inc")
        await pilot.pause()
        assert "save-incident: save a folder" in text_of(app)

    drive(live(), steps)


def test_a_moment_by_its_time() -> None:
    there, back, gone = lines_after(Past(), "22:13:30", "-5s", "01:00")
    assert " PAUSED  22:13:30" in there[0]
    assert " PAUSED  22:13:25" in back[0]
    assert " PAUSED  22:13:25" in gone[0]
    assert "the oldest second kept is 22:13:20" in gone[-1]
    assert FIRST % DAY


def test_a_name_of_nothing_says_so_tab_completes_and_escape_leaves() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("colon", *"zzz", "enter")
        await pilot.pause()
        assert "nothing has this name" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "nothing has this name" not in text_of(app)
        await pilot.press("colon", *"slo", "tab")
        await pilot.pause()
        assert ":  slow requests" in text_of(app) or ": slow requests" in text_of(app)
        await pilot.press("escape", "4")
        await pilot.pause()
        assert app.main is not None
        assert app.main.front == 3
        await pilot.press("colon", *"window 5m", "enter")
        await pilot.pause()
        assert app.main.view.window_s == 300.0

    drive(SHOT, steps)
