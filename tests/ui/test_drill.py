"""What a user does to find out for whom it is slow: pin, sort, group, filter, drill in and come back."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from bpftop.model import CounterSnapshot, Measure, Snapshot, Window
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.clients import Clients
from tests.stored import ADDRESSES, OFFSET, SECOND
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of, until
from tests.ui.shots import CALM, SHOT, SLOW_S

PLAIN = UiOptions(refresh_s=60.0, no_color=True)


def rows_of(screen: str) -> dict[str, list[str]]:
    """The rows of the client table by their first word."""
    lines = screen.splitlines()
    start = next(i for i, each in enumerate(lines) if "Count" in each and "p99" in each)
    return {words[0]: words for words in (each.split() for each in lines[start + 1 : -2]) if words}


def test_from_the_hottest_slow_cell_to_the_client_in_four_keys() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for key in ("3", "n", "enter", "4", "enter", "escape", "escape"):
            await pilot.press(key)
            seen.append(text_of(app))

    drive(SHOT, steps, options=PLAIN)
    _, behind, pinned, clients, drilled, back, everything = seen
    assert "12 requests" in behind
    assert f"by client: {ADDRESSES[1]} 12" in behind
    moment = time.strftime("%H:%M:%S", time.gmtime(OFFSET // SECOND + SLOW_S))
    assert f"PIN {moment}" in pinned.splitlines()[0]
    assert "Esc: all" in pinned.splitlines()[0]
    rows = rows_of(clients)
    assert next(iter(rows)) == ADDRESSES[1]
    assert rows[ADDRESSES[1]][1:3] == ["14", "12"]  # 2 calm ones and 12 in the cell
    assert rows[ADDRESSES[0]][1:3] == ["20", "0"]
    assert f"Clients › {ADDRESSES[1]}" in drilled
    assert "24 % of all requests, 100 % of the slow ones" in drilled  # 14 of 58
    assert rows_of(back) == rows
    assert "PIN" not in everything
    assert rows_of(everything)[ADDRESSES[1]][1] == "132"  # 60 x 2 + 12


def test_every_pane_says_what_a_pin_does_to_it() -> None:
    pinned = ("3", "n", "enter")
    latency = screen_text(SHOT, *pinned, "2", options=PLAIN)
    assert "12 of 58, 21 %" in latency
    assert latency.count("▪") >= 2
    other = screen_text(SHOT, *pinned, "2", "v", options=PLAIN)
    assert "the pinned range is of request latency" in other
    assert "12 slow requests" in screen_text(SHOT, *pinned, "5", options=PLAIN)
    assert "not filtered by the pinned piece" in screen_text(SHOT, *pinned, "1", options=PLAIN)
    assert "not filtered by the pinned piece" in screen_text(SHOT, *pinned, "6", options=PLAIN)
    again = screen_text(SHOT, *pinned, "enter", options=PLAIN)
    assert "PIN" not in again


def test_a_selection_grows_with_shift_and_is_pinned_whole() -> None:
    keys = ("3", "n", *["shift+left"] * 4, *["shift+down"] * 40)
    behind = screen_text(SHOT, *keys, options=PLAIN)
    assert "242 requests" in behind  # 5 s x 46 + 12
    pinned = screen_text(SHOT, *keys, "enter", "4", options=PLAIN)
    assert rows_of(pinned)[ADDRESSES[0]][1:3] == ["100", "100"]
    assert "+ 5 s" in pinned


def test_seconds_that_are_not_kept_by_client_say_so() -> None:
    history = SHOT.histories[0]
    bare = replace(SHOT, histories=(replace(history, keyed_pieces=history.keyed_pieces[-5:]),))
    screen = screen_text(bare, "3", "n", "enter", "4", options=PLAIN)
    assert "not kept by client any more; from 23 single requests kept" not in screen
    assert "not kept by client any more; from 58 single requests kept" in screen
    assert rows_of(screen)[ADDRESSES[1]][1] == "14"


def test_clients_are_grouped_by_network_and_then_by_upstream() -> None:
    networks = rows_of(screen_text(SHOT, "4", "a", options=PLAIN))
    assert {name: words[1] for name, words in networks.items()} == {
        "10.0.3.0/24": "1332", "10.0.4.0/24": "540", "2001:db8::/64": "720", "2001:db8:0:1::/64": "180",
    }  # fmt: skip
    drilled = screen_text(SHOT, "4", "a", "enter", options=PLAIN)
    assert "Clients › 10.0.3.0/24" in drilled
    assert "1332" in drilled
    assert "no script measures upstreams" in screen_text(SHOT, "4", "a", "a", options=PLAIN)
    assert ADDRESSES[0] in screen_text(SHOT, "4", "a", "a", "a", options=PLAIN)


def test_a_client_alone_has_histogram_heat_map_requests_and_connections() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("4", "slash", *"3.200", "enter", "enter")
        for _ in range(4):
            seen.append(text_of(app))
            await pilot.press("right")
        await pilot.press("escape")
        seen.append(text_of(app))

    drive(SHOT, steps, options=PLAIN)
    histogram, heat, slow, connections, back = seen
    assert "max" in histogram
    assert "└" in heat
    assert "█" in heat
    assert "sent one by one and kept" in slow
    assert "13330" in connections or "13,330" in connections  # the port 0x3412
    assert "filter 3.200" in back


def test_a_heading_sorts_and_a_double_click_drills() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("4")
        pane = app.screen.query_one(Clients)
        head, ends = pane._headings
        at = next(end for end, title in ends if title == "p99") - 1
        await pilot.click(pane, offset=(at + 1, head))
        assert next(iter(rows_of(text_of(app)))) == ADDRESSES[1]
        assert "p99▼" in text_of(app)
        await pilot.click(pane, offset=(at + 1, head))
        assert "p99▲" in text_of(app)
        await pilot.click(pane, offset=(3, head + 2), times=2)
        assert "Clients ›" in text_of(app)

    drive(SHOT, steps, options=PLAIN)


def test_retransmits_and_errors_have_columns_when_they_are_counted() -> None:
    def counter(name: str, counts: dict[str, int]) -> CounterSnapshot:
        rows = tuple(replace(builders.clients(1, 1)[0], client=client, count=n) for client, n in counts.items())
        return CounterSnapshot(Measure(name, name, "", "", unit="count"), sum(counts.values()), 0.1, rows)

    counters = {
        "retransmits": counter("retransmits", {ADDRESSES[0]: 7}),
        "client_errors_4xx": counter("client_errors_4xx", {ADDRESSES[1]: 3}),
        "client_errors_5xx": counter("client_errors_5xx", {ADDRESSES[1]: 2}),
    }
    shot = replace(SHOT, counters=counters)
    screen = screen_text(shot, "4", size=(100, 30), options=PLAIN)
    heading = next(each for each in screen.splitlines() if "Retr" in each)
    assert {"Retr", "Errors"} <= set(heading.split())
    rows = rows_of(screen)
    assert "7" in rows[ADDRESSES[0]]
    assert "5" in rows[ADDRESSES[1]]
    words = [*"errors", "greater_than_sign", "0", "enter"]
    filtered = screen_text(shot, "4", "slash", *words, size=(100, 30), options=PLAIN)
    assert next(iter(rows_of(filtered))) == ADDRESSES[1]


def test_slow_requests_lead_to_their_client() -> None:
    assert f"Slow requests › {ADDRESSES[1]}" in screen_text(SHOT, "5", "enter", options=PLAIN)


@pytest.mark.parametrize("size", [(60, 15), (160, 50), (300, 100)])
def test_any_size(size: tuple[int, int]) -> None:
    for keys in (("4", "enter"), ("3", "n", "enter", "4", "enter"), ("4", "enter", "right"), ("4", "a")):
        screen = screen_text(SHOT, *keys, size=size, options=PLAIN)
        assert all(len(each) <= size[0] for each in screen.splitlines())


def test_the_smallest_screen_has_room_for_a_section() -> None:
    screen = screen_text(SHOT, "4", "enter", size=(60, 15), options=PLAIN)
    assert "bars" in screen
    assert "p50" in screen


def test_a_window_of_everything_can_be_drilled() -> None:
    whole = replace(SHOT, window=Window("all", None, 90.0))
    assert "Clients ›" in screen_text(whole, "4", "enter", options=PLAIN)


def test_the_lists_of_a_client_alone_are_filtered_and_sorted_and_esc_leads_back_in_two_steps() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for keys in (
            ("4", "slash", *"3.200", "enter", "enter", "right", "right"), ("slash", *"latency>500007us", "enter"),
            ("s",), ("S",), ("escape",), ("escape",),
        ):  # fmt: skip
            await pilot.press(*keys)
            await pilot.pause()
            seen.append(text_of(app))

    drive(SHOT, steps, options=PLAIN)
    everything, filtered, by_time, oldest, again, table = seen
    assert "Latency▼" in everything
    assert " 132 sent one by one" in everything
    assert " 4 of 132 sent one by one" in filtered  # 500.008 to 500.011 ms
    assert "filter of the lists: latency>500007us" in filtered
    assert filtered.count(" 500 ms") == 4
    assert "Time▼" in by_time
    assert "Time▲" in oldest
    assert "filter of the lists" not in again
    assert "Clients › " in again
    assert "Clients › " not in table


def test_a_client_alone_has_its_own_baseline() -> None:
    """Its figures of then, not those of all clients."""
    session = builders.FakeSession(CALM)
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("b")
        session.current = SHOT
        app.poll()
        await pilot.press("4", "slash", *"3.200", "enter", "enter")
        await pilot.pause()
        seen.append(text_of(app))
        await pilot.press("escape", "slash", *["backspace"] * 5, *"10.0.4.1", "enter", "enter")
        await pilot.pause()
        seen.append(text_of(app))

    drive(session, steps, options=PLAIN, size=(100, 30))
    slow, calm = seen
    row = next(line for line in slow.splitlines() if line.startswith(" Request latency"))
    assert "×" in row, "its p99 went from 1 ms to 500 ms"
    assert "± since " in slow
    assert "┃" in slow, "the histogram has the one of then behind it"
    row = next(line for line in calm.splitlines() if line.startswith(" Request latency"))
    assert "×" not in row
    assert row.count("0 %") == 2


def test_y_copies_the_marked_row_or_the_figures_and_says_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        await pilot.press("4", "s", "y")
        await until(app, pilot, "copied, ")
        await pilot.press("enter", "y", "right", "right", "y", "down", "y", "right", "y")

    drive(SHOT, steps, options=PLAIN, size=(120, 24))
    row, figures, slow, second, connection = copied
    assert row.startswith(f"Client {ADDRESSES[1]}, Count 132, Rate 2.2/s")
    assert figures.startswith(f"{ADDRESSES[1]}: Measure Request latency, Count 132")
    assert slow.startswith(f"{ADDRESSES[1]}: Time ")
    assert "Latency 500 ms" in slow
    assert second.startswith(f"{ADDRESSES[1]}: Time ")
    assert connection.startswith(f"{ADDRESSES[1]}: Port ")


def test_e_saves_the_pinned_seconds_where_the_pane_shows_only_these() -> None:
    saved: list[Snapshot] = []

    def save(snapshot: Snapshot) -> str:
        saved.append(snapshot)
        return f"saved it {len(saved)}"

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("3", "n", "enter", "e")
        await until(app, pilot, "saved it 1")
        await pilot.press("4", "e")
        await until(app, pilot, "saved it 2")

    drive(SHOT, steps, size=(120, 40), save=save)
    whole, pinned = saved
    assert whole.window == SHOT.window, "the heat map shows all of it, and marks the piece"
    assert pinned.window.length_s is not None
    assert pinned.window.length_s < 10
    name = "request_latency"
    assert 0 < pinned.measures[name].summary.count < whole.measures[name].summary.count
