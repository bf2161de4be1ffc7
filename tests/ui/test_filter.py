"""What ``/`` understands, and the line in which it is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from bpftop.ui.app import BpftopApp
from bpftop.ui.filters import FilterError, parse
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of

FIGURES = {"p99": 60e6, "count": 120.0, "max": None}
NAMES = tuple(FIGURES)


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("", True),
        ("10.0.", True),
        ("10.1.", False),
        ("!10.1.", True),
        ("GET", True),
        ("get /API", True),
        ("10.0.0.0/8", True),
        ("10.0.3.7/32", True),
        ("10.0.3.8/32", False),
        ("!10.0.0.0/8", False),
        ("2001:db8::/32", False),
        ("/api", True),
        ("p99>50ms", True),
        ("p99 > 50 ms", True),
        ("p99<50ms", False),
        ("p99>=60ms count=120", True),
        ("p99>=60ms count!=120", False),
        ("count<1k 10.0", True),
        ("max>1s", False),
        ("!max>1s", True),
        ("p99<0.1s", True),
        ("p99>60000us", False),
    ],
)
def test_a_row_meets_all_words(words: str, passes: bool) -> None:
    assert parse(words, NAMES)("10.0.3.7 GET /api/users", FIGURES.get) is passes


@pytest.mark.parametrize("address", ["[2001:db8::1]:443", "2001:db8::1"])
def test_addresses_with_ports_are_in_networks(address: str) -> None:
    assert parse("2001:db8::/32", NAMES)(address, FIGURES.get)
    assert not parse("2001:db9::/32", NAMES)(address, FIGURES.get)
    assert parse("10.0.0.0/24", NAMES)("10.0.0.1:8080", FIGURES.get)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("p98>5ms", "no such figure here; there are p99, count, max"),
        ("p99>5min", "min: no unit"),
        ("p99>banana", "compare one of"),
        (">5", "compare one of"),
    ],
)
def test_what_cannot_be_understood_is_said(words: str, why: str) -> None:
    with pytest.raises(FilterError, match=why):
        parse(words, NAMES)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_words_filter_or_complain(words: str, row: str) -> None:
    try:
        found = parse(words, NAMES)
    except FilterError:
        return
    assert found(row, FIGURES.get) in (True, False)


def names(screen: str) -> list[str]:
    """The first words of the rows of a table."""
    lines = screen.splitlines()
    start = next(i for i, line in enumerate(lines) if "Client" in line and "Count" in line)
    rows = (line.split() for line in lines[start + 1 : -2])
    return [row[0] for row in rows if len(row) > 3 and row[0] not in ("lost", "rows", "filter", "q")]


def test_the_table_follows_each_letter_and_enter_keeps_it() -> None:
    seen: list[str] = []

    async def steps(app: BpftopApp, pilot: Pilot[int]) -> None:
        await pilot.press("4", "slash")
        for key in "2001":
            await pilot.press(key)
        seen.append(text_of(app))
        await pilot.press("enter")
        seen.append(text_of(app))
        await pilot.press("escape")
        seen.append(text_of(app))

    drive(builders.live(), steps)
    typing, kept, everything = seen
    assert set(names(typing)) == set(names(kept)) == {"2001:db8::4", "2001:db8::9"}
    assert "filter 2001  2 of 12" in kept
    assert "others" in everything
    assert "filter" not in everything


def test_a_comparison_finds_the_slow_client_and_a_mistake_is_said_while_typing() -> None:
    slow = screen_text(
        builders.live(), "4", "slash", *["p", "9", "9", "greater_than_sign", "1", "0", "m", "s"], "enter"
    )
    assert names(slow) == ["127.0.0.3"]
    wrong = screen_text(builders.live(), "4", "slash", *["p", "9", "8", "greater_than_sign", "1"])
    assert "no such figure here" in wrong
    assert "others" in wrong


def test_escape_while_typing_shows_all_rows() -> None:
    screen = screen_text(builders.live(), "4", "slash", "x", "x", "escape")
    assert "others" in screen
    assert "filter" not in screen


def test_nothing_that_passes_is_said() -> None:
    screen = screen_text(builders.live(), "4", "slash", "z", "z", "enter")
    assert "0 of 12" in screen


def test_slow_requests_are_filtered_by_client_and_latency() -> None:
    screen = screen_text(builders.live(), "5", "slash", *"2001", "enter")
    assert "6 of 40" in screen
    assert "127.0.0." not in screen.split("filter")[1]
