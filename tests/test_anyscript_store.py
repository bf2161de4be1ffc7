"""What a run remembers: last prints, changes, trends, and the log, against values worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.anyscript.model import Bucket, Histogram, MapFacts, MapView, Printed, Row, Stats, UserScript, Value
from bpftop.anyscript.scan import maps_of
from bpftop.anyscript.store import KEPT_LINES, Log, MapStore

S = 10**9


def store(text: str, max_keys: int = 1000) -> MapStore:
    return MapStore(UserScript("x.bt", text, "x.bt", maps_of(text)), max_keys)


def scalar(name: str, value: Value) -> Printed:
    return Printed(name, False, {"": value})


def view(maps: MapStore, name: str) -> MapView:
    return next(each for each in maps.views(over=False) if each.name == name)


def row(maps: MapStore, name: str) -> Row:
    return view(maps, name).rows[0]


def test_what_accumulates_has_a_rate() -> None:
    maps = store("tracepoint:a:b { @n = count(); @k[pid, comm] = sum(1); @v = 7; @s = stats(1); } interval:s:1 { }")
    for second, n in ((1, 10), (3, 30), (4, 30)):
        maps.take(scalar("@n", n), second * S, ending=False)
        maps.take(scalar("@v", 100 - n), second * S, ending=False)
        maps.take(scalar("@s", Stats(n, 5, 5 * n)), second * S, ending=False)
        maps.take(Printed("@k", True, {"1,a": n} | ({"2,b,c": 4} if second > 1 else {})), second * S, ending=False)
        if second == 3:
            assert row(maps, "@n").rate == 10.0
            assert row(maps, "@v").rate == -10.0
            assert row(maps, "@s").rate == 10.0
            assert [(r.key, r.rate) for r in view(maps, "@k").rows] == [(("1", "a"), 10.0), (("2", "b,c"), 2.0)]
    assert row(maps, "@n").history == (10.0, 0.0)
    assert row(maps, "@v").history == (90.0, 70.0, 70.0)
    assert row(maps, "@s").history == (10.0, 0.0)
    assert row(maps, "@n").rate == 0.0


def test_what_is_cleared_each_time_has_grown_from_nothing() -> None:
    maps = store("tracepoint:a:b { @n = count(); } interval:s:2 { print(@n); clear(@n); }")
    for second, n in ((2, 10), (4, 4), (6, 40)):
        maps.take(scalar("@n", n), second * S, ending=False)
    assert row(maps, "@n").rate == 20.0
    assert row(maps, "@n").history == (2.0, 20.0)


def test_what_shrinks_has_no_rate_and_the_end_makes_none() -> None:
    maps = store("tracepoint:a:b { @n = count(); }")
    for moment, n in ((1 * S, 10), (2 * S, 3)):
        maps.take(scalar("@n", n), moment, ending=False)
    assert row(maps, "@n").rate is None
    maps.take(scalar("@n", 13), 3 * S, ending=False)
    maps.take(scalar("@n", 14), 3 * S + S // 10, ending=False)
    assert (row(maps, "@n").value, row(maps, "@n").rate) == (14, 10.0)
    maps.take(scalar("@n", 99), 9 * S, ending=True)
    assert (row(maps, "@n").value, row(maps, "@n").rate) == (99, 10.0)


def test_the_zero_of_a_map_that_end_cleared_says_nothing() -> None:
    maps = store("tracepoint:a:b { @n = count(); } interval:s:1 { print(@n); } END { clear(@n); }")
    maps.take(scalar("@n", 10), S, ending=False)
    maps.take(scalar("@n", 0), 2 * S, ending=True)
    assert row(maps, "@n").value == 10


def test_full_maps() -> None:
    maps = store("tracepoint:a:b { @n[pid] = count(); @h[pid] = hist(1); }", max_keys=3)
    maps.take(Printed("@n", True, {"1": 1, "2": 1}), S, ending=False)
    assert not view(maps, "@n").full
    maps.take(Printed("@n", True, {"1": 1, "2": 1, "3": 1}), S, ending=False)
    assert view(maps, "@n").full
    two = Histogram((Bucket(1, 1, 5), Bucket(2, 3, 0), Bucket(4, 7, 1)))
    maps.take(Printed("@h", True, {"1": two}), S, ending=False)
    assert not view(maps, "@h").full
    maps.take(Printed("@h", True, {"1": two, "2": two}), S, ending=False)
    assert view(maps, "@h").full, "each bucket that holds something is an entry"


def test_maps_to_come_and_the_programs_memory() -> None:
    maps = store("tracepoint:a:b { @t[tid] = 1; @x[tid] = 1; delete(@x[tid]); @h = hist(1); } END { clear(@t); }")
    assert [each.name for each in maps.views(over=False)] == ["@h", "@x"]
    assert all(not each.prints for each in maps.views(over=False))
    assert maps.views(over=True) == ()
    maps.take(Printed("@x", True, {}), S, ending=True)
    maps.take(scalar("@surprise", 1), S, ending=True)
    assert [each.name for each in maps.views(over=True)] == ["@surprise"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 5)), max_size=8))
def test_rows_are_ordered_and_none_is_lost(pairs: list[tuple[int, int]]) -> None:
    maps = store("tracepoint:a:b { @n[pid] = min(1); }")
    rows: dict[str, Value] = {str(key): value for key, value in pairs}
    maps.take(Printed("@n", True, rows), S, ending=False)
    shown = view(maps, "@n").rows
    assert {each.key[0]: each.value for each in shown} == rows
    values = [each.value for each in shown if isinstance(each.value, int)]
    assert values == sorted(values, reverse=True)


def test_many_keys_have_no_trends() -> None:
    maps = store("tracepoint:a:b { @n[pid] = count(); }", max_keys=10**6)
    for second in (1, 2):
        maps.take(Printed("@n", True, {str(i): i * second for i in range(300)}), second * S, ending=False)
    assert view(maps, "@n").rows[0].history == ()
    assert view(maps, "@n").rows[0].rate == 299.0


@pytest.mark.parametrize(
    ("share", "bucket"),
    [(0.0, (0, 0)), (0.5, (0, 0)), (0.51, (4, 7)), (0.75, (4, 7)), (0.99, (8, None)), (1, (8, None))],
)
def test_quantiles_are_the_bucket_of_the_nearest_rank(share: float, bucket: tuple[int, int | None]) -> None:
    histogram = Histogram((Bucket(0, 0, 2), Bucket(1, 3, 0), Bucket(4, 7, 1), Bucket(8, None, 1)))
    found = histogram.quantile(share)
    assert found is not None
    assert (found.low, found.high) == bucket
    assert Histogram().quantile(0.5) is None


# --- the log ---


def test_lines_are_made_of_pieces() -> None:
    log = Log()
    log.say("12:00 ", 1)
    log.say("one\ntwo\nthr", 2)
    assert [line.text for line in log.newest()] == ["12:00 one", "two", "thr"]
    assert log.total == 2
    log.end_line(3, "@n: 7")
    log.end_line(4)
    log.complain("bpftrace has a word\n", 5)
    assert [(line.text, line.own) for line in log.newest()][2:] == [("thr@n: 7", True), ("bpftrace has a word", False)]
    assert log.since(3) == ([log.newest()[3]], 0)


def test_what_is_dropped_is_counted() -> None:
    log = Log(kept=3)
    for i in range(10):
        log.say(f"{i}\n", i)
    lines, missing = log.since(4)
    assert ([line.text for line in lines], missing, log.dropped, log.total) == (["7", "8", "9"], 3, 7, 10)
    log.say("x" * 10_000, 1)
    assert max(len(line.text) for line in log.newest()) <= 4096
    assert KEPT_LINES >= 10_000


def test_facts_of_maps_that_the_text_does_not_have() -> None:
    assert MapFacts("@x").is_table is False
    assert MapView(MapFacts("@x", "hist"), False).is_histogram
