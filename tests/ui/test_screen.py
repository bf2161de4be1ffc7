"""The app without a terminal: what a person sees after which key."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from bpftop.errors import FileError, UsageError
from bpftop.model import SlowRequest, Snapshot, State, TracerStatus
from bpftop.ui.app import BpftopApp
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.registry import panes_for
from bpftop.ui.panes.scripts import Scripts
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of, until
from tests.ui.states import state

SLOW = UiOptions(refresh_s=60.0)
"""No redraw by itself: what changes on screen is the key's doing."""


def shots(
    source: builders.FakeSession | Snapshot,
    keys: Sequence[str],
    size: tuple[int, int] = (80, 24),
    options: UiOptions = SLOW,
) -> list[str]:
    """The screen after each of these keys."""
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            seen.append(text_of(app))

    drive(source, steps, size=size, options=options)
    return seen


def row(screen: str, words: str) -> list[str]:
    """The words of the first row with these words in it."""
    return next(line for line in screen.splitlines() if words in line).split()


# --- figures


def test_the_overview_answers() -> None:
    screen = screen_text(builders.live())
    assert "nothing stands out: request latency p99 4.97 ms over 1 min, n 12,000" in screen
    figures = "Read queue 12.0k 40.2 µs 79.6 µs 102 µs 895 µs 2.50 ms 5.06 ms"
    assert " ".join(row(screen, "Read queue ")).startswith(figures)
    assert row(screen, " LIVE ")[:3] == ["LIVE", "nginx", "·"]
    assert row(screen, "lost")[:2] == ["lost", "0"]


def test_new_figures_come_at_the_interval() -> None:
    session = builders.FakeSession(builders.live())
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        seen.append(text_of(app))
        session.current = builders.lossy(session.current)
        while "lost 31" not in text_of(app):
            await pilot.pause(0.05)

    drive(session, steps, options=UiOptions(refresh_s=0.05))
    assert "lost 0" in seen[0]


def test_a_wide_screen_shows_more() -> None:
    screen = screen_text(builders.live(), size=(160, 50))
    for words in ("Where the time goes", "Slowest requests", "Workers", "p90", "p95", "p99 over time", "Rate"):
        assert words in screen
    assert "6.11 s  ░ 20 % █ 68 % ▄ 11 %" in screen


def test_the_latency_pane_has_every_observation() -> None:
    screen = screen_text(builders.live(), "2")
    counts = re.findall(r" ([0-9,]+) +<?[0-9.]+ %", screen.rpartition("lost")[0])
    assert sum(int(n.replace(",", "")) for n in counts) == 12_000
    assert row(screen, "p99.9 ")[-2:] == ["12.8", "ms"]
    assert row(screen, "400 µs")[-2:] == ["count", "12,000"]


def test_v_shows_the_next_measure_everywhere() -> None:
    first, second, third = shots(builders.live(), ["2", "v", "4"])
    assert "Request latency  the process reads the request" in first
    assert "Response time  the process reads the request" in second
    assert "Response time  12 clients one by one, others together" in third


def test_the_log_key_shows_the_tail() -> None:
    linear, log = shots(builders.live(), ["2", "l"])
    assert "bars linear" in linear
    assert "bars log" in log
    assert log.count("█") > linear.count("█")


def test_slow_requests_have_their_fields() -> None:
    slowest, newest, oldest = shots(builders.live(), ["5", "s", "S"])
    assert row(slowest, "34.8 ms") == ["02:39:33.087", "34.8", "ms", "2001:db8:12:34::7", "76.1", "µs", "40000", "4242"]
    assert "slowest first" in slowest
    assert "newest first" in newest
    assert "oldest first" in oldest
    times = [line.split()[0] for line in newest.splitlines() if ":" in line.split(" ")[0:2][-1] and " ms " in line]
    assert times == sorted(times, reverse=True)


def test_kinds_of_events_are_not_ranked_together() -> None:
    """A connection that was open for an hour is no slow request."""
    long = SlowRequest(builders.NOON, "connection", 3600 * 10**9, "127.0.0.9", {"client_port": 1234})
    snapshot = replace(builders.live(), slow=(long, *builders.live().slow))
    overview, requests, connections, again = shots(snapshot, ["1", "5", "v", "v"], size=(160, 50))
    assert "34.8 ms" in overview.partition("Slowest requests")[2].splitlines()[2]
    assert "40 slow requests" in requests
    assert row(requests, "2001:db8:12:34::7")[1] == "34.8"
    assert "1 slow connection " in connections
    assert row(connections, "127.0.0.9")[1:3] == ["60", "min"]
    assert again == requests


def test_the_scripts_pane_accounts_for_every_event() -> None:
    screen = screen_text(builders.lossy(builders.live()), "6", size=(100, 30))
    for label, n in (("produced", "18,230"), ("= shown", "380"), ("+ suppressed", "17,818"), ("+ lost", "31")):
        assert n in row(screen, label)
    assert "131 ns a hit · 1240 hits/s · 0.4 % of one CPU" in screen
    assert "3 connections found the kernel's table full" in screen
    assert row(screen, "connections   ")[:3] == ["connections", "live", "4"]


def test_stderr_is_shown_to_the_last_line() -> None:
    many = tuple(f"line {n} of stderr" for n in range(100))
    snapshot = replace(builders.live(), tracer=TracerStatus(State.LIVE, stderr=many))
    screen = screen_text(snapshot, "6", size=(100, 30))
    assert "line 99 of stderr" in screen
    assert "line 0 of stderr" not in screen


# --- states


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [
        (builders.empty(), "waiting for the first request of nginx, 12 s"),
        (builders.empty(State.ATTACHING, "attaching 9 probes"), "attaching 9 probes to nginx …"),
        (builders.empty(State.ATTACHING, "starting bpftrace"), "starting bpftrace for nginx …"),
        (builders.empty(State.WAITING, target=builders.target(0, ())), "waiting for a process named nginx"),
        (builders.empty(target=builders.target(0, ())), "waiting for a process named nginx"),
        (builders.empty(accounting=builders.live().accounting), "no request of nginx for 12 s"),
        (builders.empty(State.STOPPED), "the run has ended without an observation"),
        (builders.failed(builders.empty()), "failed: bpftrace ended with exit code 255"),
    ],
    ids=["empty", "attaching", "starting", "waiting", "gone", "quiet", "stopped", "failed"],
)
@pytest.mark.parametrize("key", ["1", "2", "3", "4", "5"])
def test_a_pane_without_figures_says_what_it_waits_for(snapshot: Snapshot, said: str, key: str) -> None:
    screen = screen_text(snapshot, key)
    assert said in screen
    assert f" {snapshot.tracer.state.value.upper()} " in screen.splitlines()[0]


def test_after_a_failure_the_last_figures_stay() -> None:
    screen = screen_text(builders.failed(builders.live()))
    assert "failed: bpftrace ended with exit code 255" in screen
    assert "try: bpftop doctor" in screen
    assert "tracepoint not found: sock:sk_data_ready" in screen
    assert "request latency p99 4.97 ms" in screen
    assert "Connection " in screen


def test_a_stall_is_said() -> None:
    snapshot = replace(builders.live(), tracer=TracerStatus(State.STALLED, "no heartbeat for 5 s"))
    assert "stalled: no heartbeat for 5 s" in screen_text(snapshot)


def test_lost_events_are_said_where_they_are_missing() -> None:
    screen = screen_text(builders.lossy(builders.live()), "5")
    assert "31 lost on the way: this list is incomplete, the percentiles are not affected" in screen


@pytest.mark.parametrize("source", ["simulation", "replay"])
@pytest.mark.parametrize("key", ["1", "2", "3", "4", "5", "6"])
def test_figures_that_are_not_live_are_unmistakable(source: str, key: str) -> None:
    snapshot = replace(builders.live(), tracer=TracerStatus(State.LIVE, source=source))
    options = replace(SLOW, banner="simulation: this host cannot trace (not root)")
    screen = screen_text(snapshot, key, options=options)
    assert f" {source.upper()} " in screen.splitlines()[0]
    assert "simulation: this host cannot trace (not root)" in screen


def test_no_measures_at_all() -> None:
    """A script that only prints text."""
    snapshot = replace(builders.live(), measures={}, slow=(), scripts=())
    for size in ((80, 24), (160, 50)):
        screens = shots(snapshot, ["1", "2", "3", "4", "5", "6", "v", "s", "down", "question_mark"], size=size)
        assert "waiting for the first request" in screens[0] or "no request of nginx" in screens[0]


# --- keys


def test_digits_and_tab_open_panes() -> None:
    screens = shots(builders.live(), ["2", "tab", "tab", "tab", "tab", "tab", "shift+tab"])
    expected = [
        "bars linear",
        "a column is 1 s",
        "12 clients",
        "40 slow requests",
        "Own cost",
        "Clients of the slowest",
    ]
    expected.append("Own cost")
    assert [words in screen for words, screen in zip(expected, screens, strict=True)] == [True] * 7


def test_every_pane_has_a_digit_and_a_tab() -> None:
    first = screen_text(builders.live()).splitlines()[1]
    for number, pane in enumerate(panes_for(builders.live()), 1):
        assert f"{number} {pane.TITLE}" in first


def test_hidden_panes_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    for pane in {type(pane) for pane in panes_for(builders.live())}:
        original = pane.draw

        def counting(self: object, *args: object, _original: object = original) -> object:
            drawn.append(type(self).__name__)
            return _original(self, *args)  # type: ignore[operator]

        monkeypatch.setattr(pane, "draw", counting)

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        drawn.clear()
        for _ in range(3):
            app.poll()
            await pilot.pause()

    drive(builders.live(), steps)
    assert drawn == ["Overview"] * 3


def test_equal_figures_send_nothing() -> None:
    """An idle link stays idle: the same lines are not drawn again."""
    refreshed: list[object] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        assert app.main is not None
        pane = app.main.panes[0]
        original = pane.refresh
        pane.refresh = lambda *regions, **options: refreshed.append(regions) or original(*regions, **options)  # type: ignore
        app.poll()
        await pilot.pause()
        pane.refresh = original  # type: ignore[method-assign]

    drive(builders.live(), steps)
    assert refreshed == []


@pytest.mark.parametrize("key", ["p", "space"])
def test_pause_freezes_the_figures_and_nothing_else(key: str) -> None:
    session = builders.FakeSession(builders.live())
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press(key)
        session.current = builders.lossy(session.current)
        app.poll()
        await pilot.press("6")
        await pilot.pause()
        seen.append(text_of(app))
        await pilot.press(key)
        await pilot.pause()
        seen.append(text_of(app))

    drive(session, steps)
    assert " PAUSED " in seen[0]
    assert "lost 0" in seen[0]
    assert "Own cost" in seen[0], "panes can be changed while paused"
    assert " LIVE " in seen[1]
    assert "lost 31" in seen[1]


def test_plus_and_minus_change_the_window() -> None:
    session = builders.FakeSession(builders.live())
    screens = shots(session, ["plus", "plus", "plus", "minus", "minus", "minus"])
    assert session.asked[1:] == [300.0, None, None, 300.0, 60.0, 10.0]
    assert "window 90 s of 5 min" in screens[0]
    assert "window all, 90 s" in screens[1]
    assert "window 10 s ·" in screens[-1]


def test_another_window_from_the_command_line_is_one_of_the_steps() -> None:
    session = builders.FakeSession(builders.live())
    shots(session, ["plus", "minus", "minus"], options=UiOptions(refresh_s=60.0, window_s=30.0))
    assert session.asked == [30.0, 60.0, 30.0, 10.0]


def test_another_window_while_paused_is_of_the_same_moment() -> None:
    session = builders.FakeSession(builders.live())
    screens = shots(session, ["p", "plus", "p"])
    assert session.asked == [60.0, 300.0, 300.0, 300.0], "for the clock as it is now, of that moment, live again"
    assert [" PAUSED " in screen for screen in screens] == [True, True, False]
    assert "of 5 min" in screens[1]


def test_angle_brackets_change_the_refresh() -> None:

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for key, said in (("less_than_sign", "0.5"), ("less_than_sign", "0.25"), ("greater_than_sign", "0.5")):
            await pilot.press(key)
            await until(app, pilot, f"drawing every {said} s")

    drive(builders.live(), steps, options=UiOptions(refresh_s=1.0))


def test_sort_and_cursor_in_the_clients_pane() -> None:
    screens = shots(builders.live(), ["4", "s", "S", "G", "g", "j", "k"])
    assert "Count▼" in screens[0]
    assert row(screens[0], "127.0.0.1 ")[0] == "127.0.0.1"
    assert "p99▼" in screens[1]
    assert [line.split()[0] for line in screens[1].splitlines()[5:7]] == ["127.0.0.3", "127.0.0.12"]
    assert "p99▲" in screens[2]
    assert [line.split()[0] for line in screens[2].splitlines()[5:6]] == ["127.0.0.1"]
    assert all("others" in screen.splitlines()[17] for screen in screens)


def test_the_cursor_stays_with_its_client_when_the_order_changes() -> None:
    session = builders.FakeSession(builders.live())
    chosen: list[object] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("4", "down", "down")
        assert app.main is not None
        pane = app.main.panes[3]
        chosen.append(pane._chosen)  # type: ignore[attr-defined]
        shown = session.current.measures["request_latency"]
        clients = tuple(replace(c, count=10_000) if c.client == "127.0.0.7" else c for c in shown.clients)
        measures = {**session.current.measures, "request_latency": replace(shown, clients=clients)}
        session.current = replace(session.current, measures=measures)
        app.poll()
        await pilot.pause()
        chosen.extend([pane._chosen, pane.cursor])  # type: ignore[attr-defined]

    drive(session, steps)
    assert chosen == ["127.0.0.3", "127.0.0.3", 3]


def test_a_wide_clients_pane_shows_one_client_in_every_measure() -> None:
    screen = screen_text(builders.live(), "4", "down", "down", size=(160, 50))
    assert "127.0.0.3  in every measure" in screen
    n = sum(each.client == "127.0.0.3" for each in builders.live().slow)
    assert f"Its slow requests  {n} in the window" in screen


def test_maximise_shows_the_chart_alone() -> None:
    _, large, again = shots(builders.live(), ["1", "m", "m"])
    assert "Read queue latency" not in large
    assert "Clients of the slowest" not in large
    assert "Clients of the slowest" in again


@pytest.mark.parametrize("fails", [False, True])
def test_e_saves_what_is_on_the_screen_in_a_thread(fails: bool) -> None:
    saved: list[tuple[Snapshot, bool]] = []
    seen: list[str] = []

    def save(snapshot: Snapshot) -> str:
        saved.append((snapshot, threading.current_thread() is threading.main_thread()))
        if fails:
            raise FileError("no room on /var/tmp [/b]", "df -h /var/tmp")
        return "saved 4 files to ./bpftop-nginx [/b]"

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("e")
        seen.append(await until(app, pilot, "no room" if fails else "saved 4"))

    session = builders.FakeSession(builders.live())
    drive(session, steps, save=save, size=(100, 30))
    assert saved[0][0].accounting == session.current.accounting
    assert saved[0][1] is False
    assert ("no room on /var/tmp [/b]" if fails else "saved 4 files to ./bpftop-nginx [/b]") in seen[0]
    assert ("df -h /var/tmp" in seen[0]) is fails


def test_help_explains_the_pane_in_front_and_has_every_key() -> None:
    (_, screen, closed) = shots(builders.live(), ["4", "question_mark", "escape"], size=(120, 140))
    assert "one by one; 'others' are the rest, so the counts add up" in " ".join(screen.replace("│", " ").split())
    assert "data arrives at the socket" in screen
    for words in ("freeze the screen", "longer window", "sort by the next column", "save what is shown", "next theme"):
        assert words in screen, words
    for key in ("q ", "? f1", "p space", "pgup", "tab", "^c"):
        assert any(key in line for line in screen.splitlines()), key
    assert "freeze the screen" not in closed


def test_help_scrolls_on_a_small_screen() -> None:
    _, first, _, last = shots(builders.live(), ["1", "question_mark", "G", "G"])
    assert "more rows" in first
    assert "the end" in last
    assert "next theme" in last


def test_tab_in_the_help_goes_to_the_keys_and_back() -> None:
    _, first, keys, top = shots(builders.live(), ["1", "question_mark", "tab", "tab"])
    assert "Tab: the keys" in first
    assert "first lines are the answer" in first
    assert re.search(r"│ Keys +│", keys)
    assert first == top


def test_the_help_explains_the_rows_around_every_pane() -> None:
    for key in "12345":
        screen = " ".join(shots(builders.live(), [key, "question_mark"], size=(120, 150))[1].replace("│", " ").split())
        for word in ("'lost' is", "'suppressed' were", "'missed' moments", "Own cost:", "First row:"):
            assert word in screen, (key, word)
    assert "Disk latency" not in shots(state("normal"), ["4", "question_mark"], size=(120, 150))[1]
    assert "Disk latency" in shots(state("normal"), ["2", "question_mark"], size=(120, 150))[1]


def test_at_most_two_words_lie_over_the_screen_and_none_in_the_picture_of_an_incident(tmp_path: Path) -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for _ in range(5):
            await pilot.press("less_than_sign", "greater_than_sign")
        screen = await until(app, pilot, "drawing every")
        assert 1 <= screen.count("drawing every") <= 2
        await pilot.press("E")
        await until(app, pilot, "saved the incident")

    drive(builders.live(), steps, options=replace(SLOW, save_to=tmp_path, banner="not in the tables: 10.0.0.5/32"))
    (summary,) = tmp_path.glob("*/summary.md")
    assert "- not in the tables: 10.0.0.5/32" in summary.read_text()
    (picture,) = tmp_path.glob("*/screen.txt")
    assert "drawing every" not in picture.read_text()
    assert "Where the time goes" in picture.read_text()


def test_on_a_low_screen_one_word_lies_over_it() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for _ in range(3):
            await pilot.press("less_than_sign", "greater_than_sign")
        assert (await until(app, pilot, "drawing every")).count("drawing every") == 1

    drive(builders.live(), steps, size=(60, 15))


def test_drawing_oftener_than_the_kernel_is_asked_is_said_to_show_no_more() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("less_than_sign")
        await until(app, pilot, "drawing every 0.5 s; new figures come once a second")

    drive(builders.live(), steps, options=replace(SLOW, refresh_s=1.0))


def test_the_palette_has_the_bindings() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("ctrl+p")
        await pilot.pause(0.3)
        await pilot.press(*"pause")
        for _ in range(40):
            await pilot.pause(0.05)
            if "freeze the screen" in text_of(app):
                break
        seen.append(text_of(app))

    drive(builders.live(), steps)
    assert "freeze the screen; collecting goes on  (p)" in seen[0]


def test_t_steps_through_themes() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for _ in range(8):
            seen.append(app.theme)
            await pilot.press("t")
            await pilot.pause()

    drive(builders.live(), steps)
    assert seen[0] == seen[7] == "bpftop-dark"
    assert len(set(seen)) == 7


@pytest.mark.parametrize(("theme", "said"), [("nrod", "did you mean nord?"), ("no-such", "there are ansi-dark, ")])
def test_an_unknown_theme_is_said(theme: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"no theme {theme}; .*{re.escape(said)}"):
        drive(builders.live(), _nothing, options=replace(SLOW, theme=theme))


async def _nothing(app: BpftopApp, pilot: Pilot[int]) -> None:
    return


def test_the_mouse_opens_panes_and_presses_keys() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.click("Tabs", offset=(16, 0))
        await pilot.pause()
        seen.append(text_of(app))
        await pilot.click("Keys", offset=(18, 0))
        await pilot.pause()
        seen.append(text_of(app))

    drive(builders.live(), steps)
    assert "bars linear" in seen[0]
    assert " PAUSED " in seen[1]


def test_the_mouse_marks_measures_chooses_scripts_and_scrolls() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        def row(words: str) -> int:
            return next(y for y, each in enumerate(text_of(app).splitlines()) if words in each)

        assert app.main is not None
        await pilot.click(offset=(5, row("Response ")))
        await pilot.pause()
        assert app.main.view.measure == "response_time"
        assert "› Response" in text_of(app)
        await pilot._post_mouse_events([events.MouseScrollUp], "Overview", offset=(5, 5))
        await pilot.pause()
        assert app.main.view.measure == "request_latency"
        await pilot.press("0")
        pane = app.main.in_front
        assert isinstance(pane, Scripts)
        await pilot.click(offset=(5, row(" connections ")))
        await pilot.pause()
        assert pane.cursor == 1
        await pilot._post_mouse_events([events.MouseScrollUp], "Scripts", offset=(5, 5))
        await pilot.pause()
        assert pane.cursor == 0

    drive(builders.live(), steps)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (59, 24), (80, 14), (60, 15), (61, 16), (300, 100), (80, 200)])
def test_every_size(size: tuple[int, int]) -> None:
    small = size[0] < 60 or size[1] < 15
    for screen in shots(builders.live(), ["1", "2", "3", "4", "5", "6"], size=size):
        assert ("terminal too small" in screen) is (small and size[0] >= 30)


def test_after_a_resize_everything_fits_again() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        for width, height in ((120, 40), (30, 5), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            seen.append(text_of(app))

    drive(builders.live(), steps)
    assert "Where the time goes" in seen[0]
    assert "terminal too small" in seen[1]
    assert seen[2] == screen_text(builders.live())


@pytest.mark.parametrize("key", ["1", "2", "3", "4", "5", "6"])
def test_ascii_is_ascii(key: str) -> None:
    for snapshot in (builders.live(), builders.failed(builders.live()), builders.empty()):
        screen = screen_text(snapshot, key, options=replace(SLOW, ascii=True))
        assert screen.isascii(), [line for line in screen.splitlines() if not line.isascii()]


def test_whatever_lies_over_the_panes_is_ascii_too() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        assert "Enter Look" in text_of(app), "no ? that is not the help's"
        await pilot.press("t")
        # Before the next key: the notification goes away after a while, which a busy machine can need for a key.
        seen.append(await until(app, pilot, "theme"))
        await pilot.press("question_mark")
        seen.append(await until(app, pilot, "Help"))
        await pilot.press("escape", "colon", *"clie")
        seen.append(await until(app, pilot, "clients: open this pane"))
        await pilot.press("escape", "w")
        seen.append(await until(app, pilot, "What stood out"))
        await pilot.press("escape", "ctrl+p", *"hottest")
        seen.append(await until(app, pilot, "Heat map: Hottest slow"))
        await pilot.press("enter")
        seen.append(await until(app, pilot, "a column is"))

    drive(builders.live(), steps, options=replace(SLOW, ascii=True), size=(120, 40))
    for screen in seen:
        assert screen.isascii(), [line for line in screen.splitlines() if not line.isascii()]


def test_a_poll_while_the_screen_is_taken_down_does_no_harm() -> None:
    kept: list[BpftopApp] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        assert app.main is not None
        await app.main.query("*").remove()
        app.poll()
        kept.append(app)

    drive(builders.live(), steps)
    kept[0].poll()
