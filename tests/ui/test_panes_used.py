"""What a user does in each pane: read, sort, filter, look at one alone, come back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.pilot import Pilot

from bpftop.model import SlowRequest
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.lists import ListPane
from bpftop.ui.panes.slow import SlowRequests
from tests.ui import builders
from tests.ui.driving import Steps, drive, screen_text, text_of
from tests.ui.routed import with_routes
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


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50)], ids=str)
def test_every_heading_sorts_and_has_its_arrow(size: tuple[int, int]) -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        main = app.main
        assert main is not None
        for place, pane in enumerate(list(main.panes)):
            if not isinstance(pane, ListPane):
                continue
            main.action_pane(place)
            await pilot.pause()
            head, headings = pane._headings
            for end, by in headings:
                if not by or by == "p99, 60 s":  # drawings
                    continue
                before = pane.SORTS[pane.sort]
                await pilot.click(pane, offset=(end - 1 + pane.styles.padding.left, head))
                await pilot.pause()
                assert pane.SORTS[pane.sort] == by, f"{pane.TITLE}: {by}"
                mark = "▲" if before == by else "▼"
                assert text_of(app).count(mark) == 1, f"{pane.TITLE}: no arrow at {by}"

    drive(state("normal"), steps, size=size, options=UiOptions(refresh_s=60.0))


def test_slow_requests_are_sorted_by_what_http_and_requests_tell() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        pane = app.main.in_front if app.main else None
        assert isinstance(pane, SlowRequests)
        view = pane.view
        assert view is not None

        def shown() -> list[SlowRequest]:
            rows = pane.rows(view)
            return [rows[i] for i in pane.listed(view)]

        for by, field in (("Read queue", "read_queue_ns"), ("PID", "pid"), ("Client port", "client_port")):
            pane.sort_by(by)
            await pilot.pause()
            assert f"by {by if by == 'PID' else by.lower()}" in text_of(app)
            numbers = [each.fields.get(field, -1) for each in shown()]
            assert numbers == sorted(numbers, reverse=True)
        pane.sort_by("Request")
        await pilot.pause()
        routes = [each.texts.get("route", "") for each in shown()]
        known = [each for each in routes if each]
        assert known == sorted(known)
        assert routes[: len(known)] == known, "those without a line come last"
        pane.refilter("status>=500 queue<1s")
        await pilot.pause()
        assert {each.fields["status"] for each in shown()} == {500, 503}

    app_state = with_routes(builders.live())
    drive(app_state, lambda app, pilot: _opened(steps, app, pilot), size=(160, 50), options=UiOptions(refresh_s=60.0))


def test_another_kind_of_event_is_not_sorted_by_a_column_it_does_not_have() -> None:
    live = builders.live()
    stalls = [
        SlowRequest(each.unix_ns, "stall", each.latency_ns, "", {"pid": 7, "tid": 8}, {"syscall": "writev"})
        for each in live.slow[:5]
    ]
    waited = [replace(each, fields={**each.fields, "read_queue_ns": 5}) for each in live.slow]
    of = replace(live, slow=(*waited, *stalls))
    keys = ["5", "s", "s", "s"]  # time, client, read queue
    assert "by read queue" in screen_text(of, *keys, size=(120, 40))
    screen = screen_text(of, *keys, "v", size=(120, 40))
    assert "5 slow event-loop stalls  slowest first" in screen
    assert "Latency▼" in screen
    assert " Client " not in screen, "stalls have none"


def test_the_wait_to_be_read_is_the_one_number_that_80_columns_show() -> None:
    shown = with_routes(builders.live())
    lined = [replace(each, fields={"status": 200, "pid": 7, **each.fields}) for each in shown.slow]
    heads = [line for line in screen_text(replace(shown, slow=tuple(lined)), "5").splitlines() if "Latency▼" in line]
    assert "Read queue" in heads[0]
    assert "PID" not in heads[0]


async def _opened(steps: Steps, app: BpftopApp, pilot: Pilot[int]) -> None:
    await pilot.press("5")
    await steps(app, pilot)


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
