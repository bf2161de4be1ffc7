"""Columns of the heat map against plain sums and numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpftop.model import EventStream, History, Measure
from bpftop.stats import buckets
from bpftop.stats.heat import columns
from bpftop.stats.store import Store
from bpftop.stats.tick import TickData
from bpftop.wire import counts_key

SECOND = 10**9
NOW = 1_770_000_000 * SECOND
OBSERVED = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 1), st.integers(0, 10**10)), max_size=60)


def history(observed: list[tuple[int, int, int]]) -> History:
    """(age in seconds, measure, value in ns) as slices that end at whole seconds."""
    pieces = []
    for age in range(59, -1, -1):
        places = [m * buckets.BUCKETS + int(buckets.bucket_of(v)) for a, m, v in observed if a == age]
        index, counts = np.unique(np.array(places, np.int64), return_counts=True)
        pieces.append((index, counts.astype(np.int64)))
    return History(("a", "b"), tuple(NOW - age * SECOND for age in range(59, -1, -1)), tuple(pieces))


@settings(deadline=None)
@given(OBSERVED, st.integers(1, 90), st.sampled_from([10.0, 60.0]))
def test_nothing_is_counted_twice_or_dropped(observed: list[tuple[int, int, int]], most: int, length_s: float) -> None:
    found = columns(history(observed), "b", length_s, NOW, most)
    assert len(found.counts) <= most
    step = found.length_ns
    assert (found.starts_unix_ns % step == 0).all()
    inside = [
        v for a, m, v in observed if m == 1 and found.starts_unix_ns[0] <= NOW - a * SECOND - SECOND // 2 < NOW + step
    ]
    assert found.counts.sum() == len(inside)
    edges = np.array([1.0, 1e3, 1e6, 1e9, 1e12])
    rows = found.rows(edges)
    assert (rows.sum(axis=1) == found.counts.sum(axis=1)).all()


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50), st.sampled_from([0.5, 0.9, 0.99]))
def test_quantiles_of_a_column_are_nearest_rank(values: list[int], q: float) -> None:
    found = columns(history([(1, 0, value) for value in values]), "a", 10.0, NOW, 10).quantiles(q)[0]
    filled = found[~np.isnan(found)]
    expected = np.quantile(values, q, method="inverted_cdf")
    assert filled == pytest.approx([expected], rel=0.01, abs=1)


def test_the_store_keeps_its_seconds_and_a_snapshot_of_them_does_not_change() -> None:
    measure = Measure("a", "A", "s", "e")
    store = Store((measure,), (EventStream("x", "a", ("timestamp_ns", "latency_ns")),), 65_536)
    store.started(SECOND)
    for second in range(2, 6):
        keys = np.array([counts_key(1, 500)], np.uint64)
        store.ingest(TickData(second * SECOND, keys, np.array([10 * second])))
    before = store.history(60.0, 100 * SECOND)
    assert before.unix_ns == tuple((100 + s) * SECOND for s in range(2, 6))
    assert [piece[1].tolist() for piece in before.pieces] == [[20], [10], [10], [10]]
    store.ingest(TickData(6 * SECOND, np.array([counts_key(1, 500)], np.uint64), np.array([99])))
    assert [piece[1].tolist() for piece in before.pieces] == [[20], [10], [10], [10]]
    assert columns(before, "a", 10.0, 105 * SECOND, 10).counts.sum() == 50


def test_an_unknown_measure_is_empty() -> None:
    assert not columns(history([(1, 0, 5)]), "zzz", 60.0, NOW, 20).counts.any()
    assert np.isnan(columns(History(), "a", 60.0, NOW, 20).quantiles(0.5)[0]).all()


def test_the_columns_of_a_pause_are_not_told_as_empty() -> None:
    """bpftrace stood still for 20 s: one slice of that length, and nothing known of its seconds."""
    whole = history([(1, 0, 5), (21, 0, 7)])
    kept = [place for place, end in enumerate(whole.unix_ns) if not NOW - 20 * SECOND <= end < NOW]
    spans = tuple(21.0 if whole.unix_ns[place] == NOW else 1.0 for place in kept)
    paused = replace(
        whole, unix_ns=tuple(whole.unix_ns[i] for i in kept), pieces=tuple(whole.pieces[i] for i in kept), spans_s=spans
    )
    found = columns(paused, "a", 60.0, NOW - SECOND // 2, 60)
    ages = (NOW - found.starts_unix_ns) // SECOND
    assert set(ages[found.untold].tolist()) == set(range(2, 22))
    assert not columns(whole, "a", 60.0, NOW, 60).untold.any()
