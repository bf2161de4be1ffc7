"""The heat map: what its cells say, the cursor, and the way from a cell to its requests."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rich.color import Color
from textual.events import MouseEvent, MouseMove, MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from bpftop.model import Histogram, History, SlowRequest, Snapshot
from bpftop.stats import buckets
from bpftop.stats.heat import Columns
from bpftop.ui import words
from bpftop.ui.app import BpftopApp
from bpftop.ui.fewcolors import nearest
from bpftop.ui.heat import RAMP, Map, _ink, levels
from bpftop.ui.options import UiOptions
from bpftop.ui.panes.heatmap import HeatMap
from bpftop.ui.shape import rows_of
from tests.ui import builders
from tests.ui.builders import MEASURES, NOON
from tests.ui.driving import drive, screen_text, text_of

PLAIN = UiOptions(refresh_s=60.0, no_color=True)


def spiked() -> Snapshot:
    """A calm minute at 1 ms; 20 s ago 30 requests of 500 ms, of which two came one by one."""
    position = [each.name for each in MEASURES].index("request_latency") * buckets.BUCKETS
    calm, slow = (position + int(buckets.bucket_of(v)) for v in (1_000_000, 500_000_000))
    pieces = []
    for age in range(59, -1, -1):
        some = [(calm, 400), (slow, 30)] if age == 20 else [(calm, 400)]
        pieces.append((np.array([p for p, _ in some]), np.array([n for _, n in some])))
    history = History(
        tuple(each.name for each in MEASURES), tuple(NOON - a * 10**9 for a in range(59, -1, -1)), tuple(pieces)
    )
    events = tuple(
        SlowRequest(NOON - 20 * 10**9 - 300_000_000 + i, "request", 500_007_000, client, {"read_queue_ns": 7_000})
        for i, client in enumerate(("10.9.9.9", "10.9.9.8", "10.9.9.9"))
    )
    calm_one = SlowRequest(NOON - 5 * 10**9, "request", 1_000_500, "10.1.1.1", {"read_queue_ns": 500})
    return replace(builders.live(), histories=(history,), slow=(*events, calm_one))


def test_from_the_map_to_the_client_in_four_keys() -> None:
    behind = screen_text(spiked(), "3", "n", options=PLAIN)
    assert "30 requests, 0.1 % of the map" in behind
    assert "3 sent one by one" in behind
    assert "10.9.9.9 2" in behind
    filtered = screen_text(spiked(), "3", "n", "enter", "5", options=PLAIN)
    assert "3 slow requests" in filtered
    assert "10.9.9.9" in filtered
    assert "10.1.1.1" not in filtered
    assert "Esc: all again" in filtered
    everything = screen_text(spiked(), "3", "n", "enter", "5", "escape", options=PLAIN)
    assert "10.1.1.1" in everything
    assert "Esc: all again" not in everything


def test_arrows_move_cell_by_cell_and_stop_at_the_edges() -> None:
    def cell(*keys: str) -> str:
        found = re.search(r"\S+ \S+ – .* at (\d\d:\d\d:\d\d)", screen_text(spiked(), "3", *keys, options=PLAIN))
        assert found
        return found[0]

    assert cell("left") == cell("right") == cell("up") == cell("n", *["right"] * 40, *["down"] * 30, "left")
    assert cell("n") != cell("n", "left") != cell("n", "left", "left")
    assert cell("n", "left", "right") == cell("n")
    assert cell("n", "up") == cell("n")
    assert cell("n", *["left"] * 80) == cell("n", "g")


def test_a_click_moves_the_cursor_and_a_drag_selects_a_box() -> None:
    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("3")
        pane = app.screen.query_one(HeatMap)
        await pilot.click(pane, offset=(30, 4))
        assert "the map" in text_of(app)
        await pilot.mouse_down(pane, offset=(11, 1))
        assert pane._map is not None
        await pilot._post_mouse_events([MouseMove], pane, offset=(40, 5), button=1)
        assert "▪" in text_of(app)  # what a drag has selected so far
        await pilot.mouse_up(pane, offset=(78, pane._map.counts.shape[1]))
        await pilot.press("5")
        assert "4 slow requests" in text_of(app)

    drive(spiked(), steps, options=PLAIN)


def test_one_is_one_request() -> None:
    assert words.noun("request_latency", 1) == "request"
    assert words.noun("request_latency", 2) == words.noun("request_latency") == "requests"


def test_the_wheel_moves_the_cursor_as_the_arrow_keys_do() -> None:
    def cell(*keys: str, wheel: Sequence[type[MouseEvent]] = ()) -> str:
        seen: list[str] = []

        async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
            await pilot.press("3", *keys)
            for turn in wheel:
                await pilot._post_mouse_events([turn], app.screen.query_one(HeatMap), offset=(30, 4))
            seen.extend(re.findall(r"\S+ \S+ – .* at \d\d:\d\d:\d\d", text_of(app)))

        drive(spiked(), steps, options=PLAIN)
        return seen[0]

    assert cell("n", "down") == cell("n", wheel=[MouseScrollDown]) != cell("n")
    assert cell("n") == cell("n", wheel=[MouseScrollDown, MouseScrollUp])


@pytest.mark.parametrize("theme", ["bpftop-dark", "bpftop-light", "nord", "ansi-dark"])
def test_the_cell_of_the_cursor_is_like_no_shade_of_the_map(theme: str) -> None:
    """Its ground is far from every shade; with the terminal's own colours it is reversed, which no cell is."""

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("3", "n")
        await pilot.pause()
        pane = app.screen.query_one(HeatMap)
        found = next(span for row in pane._drawn for span in row.spans if "◆" in span.text)
        drawn = pane._style(found.fill, found.role)
        if theme == "ansi-dark":
            assert drawn.reverse
            return
        shades = [pane._style(shade, "").bgcolor for shade in RAMP]
        assert drawn.bgcolor is not None
        mine = drawn.bgcolor.get_truecolor()
        for shade in shades:
            assert shade is not None
            assert sum(abs(a - b) for a, b in zip(mine, shade.get_truecolor(), strict=True)) > 150

    drive(spiked(), steps, options=UiOptions(refresh_s=60.0, theme=theme))


def test_more_room_is_for_a_finer_map_and_for_more_of_what_is_behind_it() -> None:
    """Rows of the map, and rows below its times, with the counts of requests and clients that have room."""
    found = []
    for size in ((80, 24), (160, 50), (300, 100)):
        rows = screen_text(builders.live(), "3", options=PLAIN, size=size).splitlines()
        times = next(i for i, row in enumerate(rows) if row.strip().startswith("└"))
        found.append((sum(" │" in row for row in rows[:times]), sum(bool(row.strip()) for row in rows[times + 1 :])))
    (_, few), (map_rows, some), (fine, many) = found
    assert fine > map_rows
    assert few < some < many - 15


@pytest.mark.parametrize("theme", ["bpftop-dark", "bpftop-light"])
def test_every_shade_is_seen_and_unlike_the_others_also_with_256_colours(theme: str) -> None:
    """A single observation is the first shade: it must not look like the ground; and lines are seen on every shade."""

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("3")
        pane = app.screen.query_one(HeatMap)
        styles = [pane._style(shade, "") for shade in ("", *RAMP)]
        for few in (False, True):
            colours = [nearest(each.bgcolor) if few else each.bgcolor for each in styles if each.bgcolor]
            ground, *shades = [_luminance(each) for each in colours]
            seen = [_contrast(ground, each) for each in shades]
            assert seen[0] > 1.25, seen
            assert all(more > 1.12 * less for less, more in pairwise(seen)), seen
        for shade in RAMP:
            for role in ("p50", "p99"):
                style = pane._style(shade, _ink(role, shade))
                assert style.color is not None
                assert style.bgcolor is not None
                assert _contrast(_luminance(style.color), _luminance(style.bgcolor)) > 1.5, (shade, role)

    drive(spiked(), steps, options=UiOptions(refresh_s=60.0, theme=theme))


def _luminance(color: Color) -> float:
    """As WCAG 2 has it."""
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in color.get_truecolor().normalized
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: float, other: float) -> float:
    dark, light = sorted((one, other))
    return (light + 0.05) / (dark + 0.05)


def test_a_selected_piece_is_outlined_and_the_counts_within_it_are_seen() -> None:
    one = Histogram(np.array([1_000]), np.array([9_000_000]), np.array([1]))
    axis = rows_of(one, 8)
    edges = np.array([10.0**i for i in range(3, 9)])
    columns = Columns(
        np.arange(6) * 10**9, 10**9, np.zeros(0, np.int64), np.zeros((6, 0), np.int64), np.zeros(6, np.bool_)
    )
    drawn = Map(
        columns, replace(axis, edges_ns=edges, counts=np.ones(5, np.int64)), np.ones((6, 5), np.int64), [], [], 6
    )
    outline = drawn.outline(drawn.piece("x", (1, 1), (4, 3)))
    assert outline[1:5, 1:4].tolist() == [[True] * 3, [True, False, True], [True, False, True], [True] * 3]
    assert outline.sum() == 10


def test_before_a_cell_is_asked_for_the_slowest_ones_fill_the_room() -> None:
    screen = screen_text(spiked(), "3", options=PLAIN, size=(160, 50))
    assert "The slowest requests  4 sent one by one" in screen
    assert screen.index("10.9.9.9") < screen.index("10.1.1.1")
    assert "arrows or mouse" in screen


def test_the_hottest_slow_cell_is_in_the_row_of_p99_where_few_others_are() -> None:
    """30 of 500 ms in one second beside two of 700 ms: the second is what one looks for, not the slowest cell."""
    some = spiked()
    history = some.histories[0]
    slowest = history.pieces[-1][0][0] - int(buckets.bucket_of(1_000_000)) + int(buckets.bucket_of(700_000_000))
    pieces = []
    for age, (places, counts) in zip(range(59, -1, -1), history.pieces, strict=True):
        slow = (np.append(places, slowest), np.append(counts, 2)) if age in (3, 4) else (places, counts)
        pieces.append((slow[0], np.where(slow[1] == 400, 40, slow[1])))
    shown = screen_text(replace(some, histories=(replace(history, pieces=tuple(pieces)),)), "3", "n", options=PLAIN)
    assert "30 requests" in shown


def test_the_map_is_drawn_in_colour_in_glyphs_and_in_ascii() -> None:
    assert "█" in screen_text(spiked(), "3", options=PLAIN)
    assert "█" not in screen_text(spiked(), "3")
    plain = screen_text(spiked(), "3", options=UiOptions(refresh_s=60.0, ascii=True))
    assert plain.isascii()
    assert "#" in plain


def test_an_empty_window_is_said() -> None:
    assert "no observation in this window" in screen_text(replace(spiked(), histories=()), "3", options=PLAIN)


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (300, 100)])
def test_any_size(size: tuple[int, int]) -> None:
    screen = screen_text(spiked(), "3", "n", size=size, options=PLAIN)
    assert all(len(line) <= size[0] for line in screen.splitlines())
    assert "◆" in screen


def test_a_coarse_axis_of_long_times_counts_every_cell() -> None:
    """Decades of seconds: their edges multiplied are beyond 64 bits."""
    one = Histogram(np.array([2_000, 5 * 10**9]), np.array([2_001, 5 * 10**9 + 1]), np.array([1, 1]))
    edges = rows_of(one, 8).edges_ns
    assert edges.dtype == np.float64
    columns = Columns(
        np.array([0, 10**9]), 10**9, np.zeros(0, np.int64), np.zeros((2, 0), np.int64), np.zeros(2, np.bool_)
    )
    drawn = Map(columns, rows_of(one, 8), np.ones((2, len(edges) - 1), np.int64), [], [], 10)
    assert drawn.count(drawn.piece("x", (0, 0), (1, len(edges) - 2))) == 2 * (len(edges) - 1)


def test_one_is_seen_beside_a_million() -> None:
    shades = levels(np.array([[0, 1, 10, 1_000, 1_000_000]]))
    assert shades[0].tolist() == [0, 1, 2, 5, 8]


def test_again_and_again_goes_through_the_slow_cells_the_hottest_first() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("3")
        for key in ("n", "n", "N", "left", "n"):
            await pilot.press(key)
            await pilot.pause()
            seen.append(next(row for row in text_of(app).splitlines() if "of the map" in row))

    drive(twice_spiked(), steps, options=PLAIN)
    assert [re.search(r"(\d+) requests", row)[1] for row in seen if "requests" in row][:3] == ["30", "10", "30"]  # type: ignore[index]
    assert "30 requests" in seen[4]
    assert "30 requests" not in seen[3]


def twice_spiked() -> Snapshot:
    """As ``spiked``, and ten requests of 400 ms 40 s ago."""
    one = spiked()
    (history,) = one.histories
    position = [each.name for each in MEASURES].index("request_latency") * buckets.BUCKETS
    more = np.array([position + int(buckets.bucket_of(1_000_000)), position + int(buckets.bucket_of(300_000_000))])
    pieces = [
        (more, np.array([400, 10])) if age == 40 else piece
        for age, piece in zip(range(59, -1, -1), history.pieces, strict=True)
    ]
    return replace(one, histories=(replace(history, pieces=tuple(pieces)),))
