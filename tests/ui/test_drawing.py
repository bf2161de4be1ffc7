"""Drawing functions: values in, plain text out. No app."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from bpftop.model import ClientRow, Histogram, Overhead, Summary, Trend
from bpftop.stats import buckets
from bpftop.ui import chrome, words
from bpftop.ui.clienttable import client_columns
from bpftop.ui.fewglyphs import ascii_only
from bpftop.ui.histogram import Look, histogram, percentiles
from bpftop.ui.overview import measures_table
from bpftop.ui.paint import Line, Span, beside, ends, fit, joined, line, wrapped
from bpftop.ui.panes.clients import Clients
from bpftop.ui.panes.scripts import cost_lines
from bpftop.ui.plot import latency_lines
from bpftop.ui.safe import safe
from bpftop.ui.shape import enclosing, rows_of, rows_of_both, ticks
from bpftop.ui.table import Column, bar, table
from bpftop.ui.view import View, headline
from tests.ui import builders


def text(lines: list[Line]) -> list[str]:
    return [each.text.rstrip() for each in lines]


def roles(row: Line) -> dict[str, str]:
    return {span.text.strip(): span.role for span in row.spans}


# --- foreign text


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("nginx", "nginx"),
        ("a\x1b[31mb", "a?[31mb"),
        ("a\nb\tc", "a?b c"),
        ("\u202eevil\u2066", "?evil?"),
        ("e\u0301", "e?"),
        ("\ud800", "?"),
        ("[/b][@click=quit]", "[/b][@click=quit]"),
        ("日本", "日本"),
        ("µs – ü", "µs – ü"),
    ],
)
def test_safe(foreign: str, shown: str) -> None:
    assert safe(foreign) == shown


def test_no_line_is_drawn_across_a_pause() -> None:
    """bpftrace stood still for 20 s: what it counted is of no second in it."""
    age = np.array([40.0, 39.0, 38.0, 18.0, 17.0, 16.0])
    value = np.full(6, 1e6)
    shown = text(latency_lines(Trend(age, value, value, value), 40.0, 60, 10))
    row = max(shown, key=lambda each: sum("\u2800" < cell <= "\u28ff" for cell in each))
    assert re.search("[\u2801-\u28ff]+ {15,}[\u2801-\u28ff]+", row)


def test_safe_cuts_by_cells_and_is_quick_with_megabytes() -> None:
    assert safe("abcdefgh", 5) == "abcd…"
    assert safe("日本語文", 5) == "日本…"
    assert len(safe("x\x1b" * 10_000_000, 80)) == 80


# --- lines


def test_fit_is_always_exactly_as_wide_as_asked() -> None:
    row = line(Span("ab", "bad"), "日本語", Span("tail", "dim"))
    for width in range(20):
        assert fit(row, width).cells == width
    assert fit(row, 7).text == "ab日本…"


def test_clauses_stay_together() -> None:
    clauses = [[Span("one two")], [Span("three")], [Span("four five")]]
    assert text(joined(clauses, 16)) == ["one two · three", "four five"]
    assert text(joined(clauses, 5)) == ["one", "two", "three", "four", "five"]
    assert joined([], 10) == []


def test_words_wrap() -> None:
    assert text(wrapped("a bb ccc dddd", 6)) == ["a bb", "ccc", "dddd"]
    assert text(wrapped("a verylongword", 6)) == ["a", "veryl…"]


def test_a_long_path_in_a_table_keeps_its_end() -> None:
    columns: list[Column[str]] = [Column("Peer", 20, str, left=True, ends=True), Column("n", 1, lambda _: "1")]
    rows = ["unix:/run/php/php8.2-fpm-www.sock", "127.0.0.1:80", "unix:/日本/日本日本日本日本.sock"]
    shown = text(table(columns, rows, 24))[1:]
    assert shown == ["unix:/…-fpm-www.sock  1", "127.0.0.1:80          1", shown[2]]
    assert {line(Span(each)).cells for each in shown} == {23}
    assert shown[2].rstrip(" 1").endswith("本.sock")


def test_both_ends_of_a_row() -> None:
    assert ends(line("left"), line("right"), 12).text == "left   right"
    assert ends(line("a long left end"), line("right"), 12).text == "a lon… right"
    assert ends(line("left"), line("right"), 4).cells == 4


def test_columns_side_by_side_keep_the_cursor_row() -> None:
    (row, second) = beside([Line((Span("a"),), "cursor")], [line("x"), line("y")], 3, 1)
    assert row.text == "a   x"
    assert [span.fill for span in row.spans] == ["cursor", "cursor", "", ""]
    assert second.text == "    y"


def test_ascii_keeps_the_cells() -> None:
    for each in ("212 µs · p99 – ≤ █▌▏ ▁▂ ⢄⡠ │┤└ …", "日本 ☃"):
        plain = ascii_only(each)
        assert plain.isascii()
        assert line(plain).cells == line(each).cells


# --- tables


def test_a_table_drops_the_least_important_columns_first() -> None:
    columns: list[Column[int]] = [
        Column("Name", 6, lambda n: f"n{n}", left=True, grow=4),
        Column("A", 4, str, rank=2),
        Column("B", 4, str, rank=1),
    ]
    assert text(table(columns, [7], 22)) == ["Name           A     B", "n7             7     7"]
    assert text(table(columns, [7], 13))[0] == "Name        B"
    assert text(table(columns, [7], 8))[0] == "Name"


def test_a_number_is_never_cut() -> None:
    """``99.53`` drawn as ``99.5`` would be a wrong number."""
    columns: list[Column[str]] = [Column("N", 4, lambda value: value)]
    assert text(table(columns, ["99.53"], 4)) == ["   N", "   …"]


def test_a_bar_shows_anything_above_nothing() -> None:
    assert bar(0, 4) == "    "
    assert bar(1e-9, 4) == "▏   "
    assert bar(0.5, 4) == "██  "
    assert bar(1, 4) == "████"
    assert bar(7, 4) == "████"


# --- histogram


@pytest.mark.parametrize("height", [1, 2, 3, 7, 15, 40, 200])
@pytest.mark.parametrize("kind", ["tail", "constant", "zeros", "one", "everything"])
def test_no_bucket_is_ever_dropped(height: int, kind: str) -> None:
    rng = np.random.default_rng(3)
    values = {
        "tail": builders.samples("request_latency"),
        "constant": np.full(1000, 5_000_000),
        "zeros": np.zeros(7, dtype=np.int64),
        "one": np.array([123_456_789]),
        "everything": (2 ** rng.uniform(0, 39.9, 5000)).astype(np.int64),
    }[kind]
    rows = rows_of(builders.histogram(values.astype(np.int64)), height)
    assert rows.counts.sum() == len(values)
    assert 1 <= len(rows.counts) <= height
    assert len(rows.edges_ns) == len(rows.counts) + 1
    assert (np.diff(rows.edges_ns) > 0).all()


def test_a_value_is_in_its_row() -> None:
    """Bucket middles stand for values, so a value is at most one bucket away from the edge of its row."""
    values = builders.samples("request_latency")
    rows = rows_of(builders.histogram(values), 20)
    for index, n in enumerate(rows.counts.tolist()):
        low, high = rows.edges_ns[index], rows.edges_ns[index + 1]
        assert ((values >= low * 1.016) & (values < high / 1.016)).sum() <= n


def test_power_of_two_buckets_get_no_gaps() -> None:
    """``hist()`` of a foreign script: rows are not made finer than its buckets."""
    low = 2 ** np.arange(10, 20)
    rows = rows_of(Histogram(low, low * 2, np.full(10, 5)), 40)
    assert (rows.counts > 0).all()


def test_the_histogram_of_an_empty_measure() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert rows_of(Histogram(none, none, none), 5).counts.tolist() == [0]


def test_the_histogram_shows_every_count_and_marks_percentiles() -> None:
    shown = builders.measured(builders.MEASURES[1])
    lines = text(histogram(shown, 80, 17))
    counts = [int(row.split("%")[0].split()[-2].replace(",", "")) for row in lines[1:] if "%" in row]
    assert sum(counts) == 12_000
    p50_row = next(row for row in lines if "← p50" in row)
    assert p50_row.split()[:2] == ["160", "µs"]
    assert sum(row.count("p99") for row in lines) == 2, "p99 and p99.9"
    assert max(line(row).cells for row in lines) <= 80


@pytest.mark.parametrize("width", [0, 10, 24, 30, 40, 60, 90, 200])
@pytest.mark.parametrize("height", [0, 1, 2, 10])
def test_the_histogram_stays_in_its_area(width: int, height: int) -> None:
    lines = histogram(builders.measured(builders.MEASURES[1]), width, height)
    assert len(lines) <= height
    assert all(row.cells <= width for row in lines)


def test_few_observations_make_dim_percentiles() -> None:
    few = percentiles(Summary(42, 0.7, 1000, 2000, 3000, 4000, 5000, 6000))
    assert roles(few[3])["4.00 µs"] == "dim"
    assert roles(few[4])["5.00 µs"] == "dim"
    many = percentiles(Summary(500, 0.7, 1000, 2000, 3000, 4000, 5000, 6000))
    assert roles(many[3])["4.00 µs"] == "p99"
    assert roles(many[4])["5.00 µs"] == "dim"
    assert percentiles(Summary(0, 0.0))[0].text.split() == ["p50", "–"]


# --- percentiles over time


@pytest.mark.parametrize(
    "p99",
    [
        np.full(60, 5e6),
        np.full(60, np.nan),
        np.zeros(60),
        np.full(60, np.inf),
        np.concatenate([np.full(59, np.nan), [1e3]]),
        np.logspace(-3, 16, 60),
        np.zeros(0),
    ],
)
def test_the_chart_survives_every_series_and_keeps_its_area(p99: NDArray[np.float64]) -> None:
    age = np.arange(len(p99), dtype=np.float64)[::-1]
    for width, height in ((20, 6), (21, 7), (46, 11), (120, 20)):
        lines = latency_lines(Trend(age, p99, p99, p99), 60.0, width, height)
        assert [row.cells for row in lines] == [width] * height


def test_the_chart_has_units_and_the_time() -> None:
    shown = text(latency_lines(builders.trend("request_latency"), 60.0, 46, 11))
    assert any(row.startswith("  10 ms┤") for row in shown)
    assert any(row.startswith("   1 ms┤") for row in shown)
    assert shown[-1].split() == ["-40", "s", "-20", "s", "now"]


def test_the_chart_is_left_out_where_it_cannot_be_drawn() -> None:
    trend = builders.trend("request_latency")
    assert latency_lines(trend, 60.0, 19, 10) == []
    assert latency_lines(trend, 60.0, 40, 5) == []
    assert "no observation" in " ".join(text(latency_lines(trend, -1.0, 40, 8)))


def test_limits_and_ticks_are_round() -> None:
    assert enclosing(2.1e5, 9e5) == (2e5, 1e6)
    assert enclosing(1e6, 1e6) == (5e5, 2e6)
    assert ticks(1e5, 2e7, 4) == [1e5, 1e6, 1e7]
    assert ticks(2e5, 5e5, 2) == [2e5, 5e5]
    assert ticks(1e5, 5e8, 3) == [1e6, 1e8]


# --- sentences


def test_a_little_is_not_written_as_nothing() -> None:
    assert words.share(0) == "0 %"
    assert words.share(1e-6) == "<0.1 %"
    assert words.share(0.123) == "12 %"


def test_the_headline_is_request_latency_or_the_first_that_was_seen() -> None:
    snapshot = builders.live()
    shown = headline(snapshot)
    assert shown is not None
    assert shown.measure.name == "request_latency"
    rest = {name: each for name, each in snapshot.measures.items() if name != "request_latency"}
    shown = headline(replace(snapshot, measures=rest))
    assert shown is not None
    assert shown.measure.name == "read_queue_latency"
    assert headline(replace(snapshot, measures={})) is None


# --- rows around the pane


def test_the_status_row_gives_way_from_the_least_important() -> None:
    view = View(builders.live())
    assert chrome.status(view, 80).text.split() == (
        ["LIVE", "nginx", "·", "3", "processes", "·", ":80", ":443", "window", "1", "min", "·", "200", "requests/s"]
    )
    assert ":80" not in chrome.status(view, 60).text
    for width in range(1, 200):
        assert chrome.status(view, width).cells == width
    many = replace(view, snapshot=replace(view.snapshot, target=builders.target(1, tuple(range(8000, 8009)))))
    assert "1 process · :8000 :8001 :8002 +6" in chrome.status(many, 120).text


def test_losses_are_red_and_never_left_out() -> None:
    row = chrome.accounting(builders.lossy(builders.live()), 60)
    assert roles(row)["lost 31"] == "bad"
    assert "rejected 1 · untracked 3" in row.text
    assert roles(chrome.accounting(builders.live(), 80))["lost 0"] == "dim"


def test_own_cost_unknown_is_said() -> None:
    snapshot = replace(builders.live(), overhead=Overhead())
    assert "own cost unknown" in chrome.accounting(snapshot, 120).text


def test_missed_hits_are_said_where_there_are_any() -> None:
    assert "missed" not in chrome.accounting(builders.live(), 120).text
    missing = replace(builders.live(), overhead=Overhead(131.0, 1_240.0, 0.4, missed=1234))
    assert roles(chrome.accounting(missing, 120))["· missed 1,234"] == "warn"
    assert "missed 1,234 hits" in text(cost_lines(missing, 120))[0]
    unknown = replace(builders.live(), kernel="6.6.30-generic")
    assert "missed: unknown before Linux 6.7" in text(cost_lines(unknown, 120))[0]


def test_tabs_get_shorter_before_they_are_cut() -> None:
    titles, shorts = ["Overview", "Slow requests"], ["Overview", "Slow"]
    assert chrome.tabs(titles, shorts, 0, 60)[0].text.split() == ["1", "Overview", "2", "Slow", "requests"]
    assert chrome.tabs(titles, shorts, 0, 24)[0].text.split() == ["1", "Overview", "2", "Slow"]
    assert chrome.tabs(titles, shorts, 1, 12)[0].text.split() == ["1", "2", "Slow"]


def test_every_measure_has_its_row() -> None:
    lines = measures_table(View(builders.live()), 80, 9)
    figures = "12.0k 212 µs 420 µs 535 µs 4.97 ms 12.8 ms 20.7 ms"
    assert " ".join(text(lines)[2].split()).startswith(f"› Request {figures} ")
    wide = measures_table(View(builders.live()), 100, 9)
    assert " ".join(text(wide)[2].split()) == f"› Request latency 200/s {figures}"
    assert len(lines) == len(wide) == 6


def test_a_baseline_is_drawn_behind_with_its_counts_scaled() -> None:
    """Ten times as many observations of the same shape are the same bars; what is beyond them is shaded."""
    now, more = builders.measured(builders.MEASURES[1], 12_000), builders.measured(builders.MEASURES[1], 12_000)
    ten = replace(more, histogram=replace(more.histogram, counts=more.histogram.counts * 10))
    same = text(histogram(now, 80, 20, Look(base=ten)))
    assert "░ ┃ baseline" in same[0]
    assert not any("░" in each for each in same[1:])
    assert sum("┃" in each for each in same[1:]) == len(same) - 1
    slower = replace(now, histogram=builders.histogram(builders.samples("request_latency") * 4))
    moved = text(histogram(slower, 80, 20, Look(base=now)))
    assert any("░" in each for each in moved[1:])
    assert sum(rows_of_both(slower.histogram, now.histogram, 18)[1]) == 12_000


def test_the_cumulative_curve_ends_at_the_right_and_never_goes_back() -> None:
    lines = text(histogram(builders.measured(builders.MEASURES[1]), 80, 20, Look(curve=True)))
    places = [each.index("•") for each in lines[1:]]
    assert places == sorted(places)
    assert "100 %" in lines[-1]


def test_where_there_is_little_room_shares_give_way_to_bars_and_marks() -> None:
    shown = builders.measured(builders.MEASURES[1], 12_000)
    for look in (Look(), Look(base=shown), Look(curve=True, base=shown)):
        for width in range(44, 100):
            title, *rows = text(histogram(shown, width, 20, look))
            assert "…" not in title, title
            assert any("← p50" in row for row in rows)
            assert ("share" in title) <= (len(title[10:].partition("  count")[0]) >= 12), (width, title)
    assert "share" not in text(histogram(shown, 49, 20, Look(curve=True)))[0]
    assert "share" in text(histogram(shown, 60, 20, Look(curve=True)))[0]


def test_a_range_is_marked_in_its_rows_only() -> None:
    shown = builders.measured(builders.MEASURES[1])
    lines = text(histogram(shown, 80, 20, Look(low_ns=1e6, high_ns=4e6)))
    marked = [each.split()[0:2] for each in lines if "▪" in each]
    assert marked
    assert all(unit == "ms" and 1 <= float(value) < 4 for value, unit in marked)
    assert not any("▪" in each for each in text(histogram(shown, 80, 20)))


# --- many clients


def test_a_hundred_thousand_clients_are_sorted_at_once_and_only_the_visible_are_written() -> None:
    """The cost of a frame is that of its rows, and the cursor can reach the last one."""
    written: list[str] = []

    class Counting(Clients):
        def columns(self, view: View) -> list[Column[ClientRow]]:
            first, *rest = super().columns(view)
            return [first._replace(cell=self.write), *rest]

        def write(self, row: ClientRow) -> str:
            written.append(row.client)
            return row.client

    pane = Counting()
    view = View(builders.live(n=1_000_000, client_count=100_000, others=500))
    lines = text(pane.draw(view, 80, 20))
    assert lines[3].startswith("127.0.0.1 ")
    assert len(written) == 16
    pane.cursor, pane._chosen = 100_000, None
    lines = text(pane.draw(view, 80, 20))
    assert lines[-2].startswith("others")
    assert lines[-1] == "rows 99,986–100,001 of 100,001"
    assert len(written) == 32


@pytest.mark.parametrize("sort", Clients.SORTS)
@pytest.mark.parametrize("backwards", [False, True])
def test_clients_are_sorted_by_every_column_with_others_last(sort: str, backwards: bool) -> None:
    pane = Clients()
    pane.sort, pane.reversed = Clients.SORTS.index(sort), backwards
    retransmits, errors = {"127.0.0.2": 7}, {"127.0.0.3": 1, "127.0.0.4": 2}
    pane._retransmits, pane._errors = retransmits, errors
    rows = builders.measured(builders.MEASURES[1]).clients
    ordered = [rows[index] for index in pane.order(rows)]
    assert ordered[-1].client == "others"
    names = [row.client for row in ordered[:-1]]
    truth = {"Count": "count", "Rate": "rate_per_s", "p99": "p99_ns", "p50": "p50_ns", "Max": "max_ns", "Slow": "slow"}

    def value(row: ClientRow) -> float:
        counts = {"Retr": retransmits, "Errors": errors}.get(sort)
        return counts.get(row.client, 0) if counts is not None else getattr(row, truth.get(sort, "count")) or 0

    expected = (
        sorted(rows[:-1], key=lambda row: row.client, reverse=backwards)
        if sort == "Client"
        else sorted(rows[:-1], key=value, reverse=not backwards)
    )
    assert names == [row.client for row in expected]


def test_client_columns_never_overflow() -> None:
    rows = builders.clients(20, 5000)
    for width in range(20, 200):
        lines = table(client_columns(5000, 39), rows, width)
        assert all(row.cells <= max(width, 15 + 6 + 7 + 4) for row in lines)


def test_bucket_rule_is_the_stores() -> None:
    """The builders make histograms with the real bucket rule, or these tests would prove nothing."""
    values = builders.samples("request_latency", 100)
    hist = builders.histogram(values)
    assert int(hist.counts.sum()) == 100
    assert set(hist.low_ns.tolist()) == set(buckets.lower_edge(buckets.bucket_of(values)).tolist())
