"""What ``/`` understands, and the line in which it is typed."""

from __future__ import annotations

import ipaddress
import operator
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from bpftop.ui.app import BpftopApp
from bpftop.ui.columns import Columns
from bpftop.ui.filters import Filter, FilterError, parse
from bpftop.ui.panes.clients import Clients
from bpftop.ui.view import View
from tests.ui import builders
from tests.ui.driving import drive, screen_text, text_of

FIGURES = {"p99": 60e6, "count": 120.0, "max": None}
NAMES = tuple(FIGURES)


def passes_one(found: Filter, text: str) -> bool:
    """Whether a single row with the figures above passes."""
    return found.passing(Columns(1, lambda: [text], lambda name: [FIGURES[name]])).size == 1


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
    assert passes_one(parse(words, NAMES), "10.0.3.7 GET /api/users") is passes


@pytest.mark.parametrize("address", ["[2001:db8::1]:443", "2001:db8::1"])
def test_addresses_with_ports_are_in_networks(address: str) -> None:
    assert passes_one(parse("2001:db8::/32", NAMES), address)
    assert not passes_one(parse("2001:db9::/32", NAMES), address)
    assert passes_one(parse("10.0.0.0/24", NAMES), "10.0.0.1:8080")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("p98>5ms", "no p98 here; there are p99, count, max"),
        ("p99>5min", "min: no unit"),
        ("p99>banana", "compare with a number, as p99>50; there are p99, count, max"),
        (">5", "compare with a number"),
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
    assert passes_one(found, row) in (True, False)


# --- many rows: the same as looking at each one by itself

ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.builds("10.{}.{}.{}".format, *[st.integers(0, 9)] * 3),
    st.builds("2001:db8::{:x}".format, st.integers(0, 300)),
    st.sampled_from(
        ["fe80::1%eth0", "010.0.0.1", "10.0.0", "GET /a/b", "::ffff:10.1.2.3", "[2001:DB8::7]:443", "others"]
    ),
    st.text(max_size=12),
)
TEXTS = st.one_of(ADDRESSES, st.builds("{} {}:80".format, ADDRESSES, ADDRESSES))
ROWS = st.lists(st.tuples(TEXTS, st.one_of(st.none(), st.integers(0, 2**50))), max_size=30)
WORDS = st.one_of(
    st.sampled_from(["10.", "10.1", "2001:db8", "!10.", "p99>5ms", "p99!=7", "!p99<=1s", "p99<3s", "::", "get"]),
    st.builds("{}/{}".format, st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds("10.{}.0.0/{}".format, st.integers(0, 9), st.integers(8, 32)),
    st.builds("!2001:db8::/{}".format, st.integers(16, 128)),
)


def naive(word: str, text: str, figure: int | None) -> bool:
    """One word and one row, the plain way."""
    if word.startswith("!") and word != "!":
        return not naive(word[1:], text, figure)
    if found := re.fullmatch(r"p99(<=|!=|<|>)(\d+)(ms|m|s|)", word):
        compare = {"<=": operator.le, "!=": operator.ne, "<": operator.lt, ">": operator.gt}[found[1]]
        unit = {"ms": 10**6, "m": 10**6, "s": 10**9, "": 1}[found[3]]
        return figure is not None and compare(figure, int(found[2]) * unit)
    if "/" in word:
        return any(in_network(part, ipaddress.ip_network(word, strict=False)) for part in text.lower().split())
    return word.lower() in text.lower()


def in_network(part: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether an address with or without a port is in a network."""
    bare = part[1:].split("]")[0] if part[:1] == "[" else part.split(":")[0] if part.count(":") == 1 else part
    try:
        return ipaddress.ip_address(bare) in network
    except ValueError:
        return False


@given(ROWS, st.lists(WORDS, min_size=1, max_size=3), st.lists(WORDS, min_size=1, max_size=3))
def test_all_rows_at_once_are_the_same_as_one_by_one(
    rows: list[tuple[str, int | None]], words: list[str], before: list[str]
) -> None:
    columns = Columns(len(rows), lambda: (text for text, _ in rows), lambda _: (figure for _, figure in rows))
    found, old = parse(" ".join(words), ("p99",)), parse(" ".join(before), ("p99",))
    truth = [i for i, row in enumerate(rows) if all(naive(word, *row) for word in words)]
    assert found.passing(columns).tolist() == truth
    if found.narrows(old):  # then only what passed before needs a look
        assert found.passing(columns, old.passing(columns)).tolist() == truth


def test_a_longer_word_looks_only_at_what_the_shorter_one_found() -> None:
    for longer, shorter in (("10.0", "10."), ("10.0 p99>1ms", "10.0"), ("10.0", ""), ("a 10.0", "10")):
        assert parse(longer, NAMES).narrows(parse(shorter, NAMES))
    for longer, shorter in (("!10.0", "!10."), ("10.0", "10.1"), ("p99>10ms", "p99>1ms"), ("10.0.0.0/8", "10.0")):
        assert not parse(longer, NAMES).narrows(parse(shorter, NAMES))


def test_typing_deleting_and_sorting_among_many_clients_is_exact() -> None:
    """Each prefix of a filter, forwards and backwards, in every order, against a plain list."""
    snapshot = builders.live(n=40_000, client_count=4_000, others=50)
    pane = Clients()
    pane.view = view = View(snapshot)
    rows = pane.rows(view)
    counts = {"127.0.3.4": 7}
    pane._retransmits = pane._errors = counts
    whole = "p99>2ms !2001 127.0.1"
    steps = [whole[:n] for n in (*range(9), *range(7, len(whole) + 1), *range(len(whole), 13, -1), 0)]
    for number, words in enumerate(steps):
        try:
            pane.refilter(words)
        except FilterError:
            continue
        pane.sort, pane.reversed = number % len(Clients.SORTS), number % 3 == 0
        passed = {row.client for row in rows[:-1] if all(naive(word, row.client, row.p99_ns) for word in words.split())}
        passed |= set() if words.strip() else {rows[-1].client}
        shown = [rows[i].client for i in pane.listed(view)]
        assert shown == [rows[i].client for i in pane.order(rows) if rows[i].client in passed], words


def test_a_cursor_stays_with_its_client_when_new_figures_come() -> None:
    first = builders.live(n=20_000, client_count=2_000)
    pane = Clients()
    pane.draw(View(first), 80, 24)
    pane.cursor, pane._chosen = 1_500, None
    pane.draw(View(first), 80, 24)
    chosen = pane.chosen(View(first))
    measure = first.measures["request_latency"]
    turned = (*measure.clients[:-1][::-1], measure.clients[-1])
    turned = tuple(replace(row, count=i) for i, row in enumerate(turned[:-1])) + turned[-1:]
    later = View(replace(first, measures={**first.measures, "request_latency": replace(measure, clients=turned)}))
    pane.draw(later, 80, 24)
    now = pane.chosen(later)
    assert chosen is not None
    assert now is not None
    assert now.client == chosen.client
    assert now.count != chosen.count


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
    assert "filter 2001  2 of 12 kept one by one" in kept, "the others are not looked at"
    assert "others" in everything
    assert "filter" not in everything


def test_a_comparison_finds_the_slow_client_and_a_mistake_is_said_while_typing() -> None:
    slow = screen_text(
        builders.live(), "4", "slash", *["p", "9", "9", "greater_than_sign", "1", "0", "m", "s"], "enter"
    )
    assert names(slow) == ["127.0.0.3"]
    wrong = screen_text(builders.live(), "4", "slash", *["p", "9", "8", "greater_than_sign", "1"], "enter")
    assert "no p98 here" in wrong, "Enter does not keep what was understood of it"


@pytest.mark.parametrize("size", [(80, 24), (60, 15)], ids=str)
def test_what_is_typed_is_seen_beside_what_is_wrong_with_it(size: tuple[int, int]) -> None:
    screen = screen_text(builders.live(), "4", "slash", *["f", "o", "o", "greater_than_sign", "3"], size=size)
    row = next(line for line in screen.splitlines() if "there are" in line)
    assert row.startswith(" filter foo>3 ")
    assert "no foo here" in row


def test_a_time_without_a_unit_is_no_number_of_nanoseconds() -> None:
    half = screen_text(builders.live(), "4", "slash", *["p", "9", "9", "greater_than_sign", "5", "0"])
    assert "p99>50: a time needs a unit: ns, us, ms or s" in half
    for words in ("p99>0", "count>50", "p99>50us"):
        assert parse(words, NAMES, ("p99", "max")).terms
    with pytest.raises(FilterError, match="a time needs a unit"):
        parse("p99>5m", NAMES, ("p99", "max"))


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
