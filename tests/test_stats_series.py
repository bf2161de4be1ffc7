"""Counts over time, globally and per client, against plain lists and dicts."""

from __future__ import annotations

import ipaddress
import tracemalloc
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bpftop import wire
from bpftop.model import Counts, Keyed
from bpftop.stats import buckets
from bpftop.stats import clients as clients_module
from bpftop.stats.clients import (
    SHOWN,
    SLICE_CLIENTS,
    WHOLE_SLICES,
    ClientSeries,
    client_rows,
    slow_bucket,
    slow_count,
)
from bpftop.stats.distinct import merge
from bpftop.stats.groups import NetworkKeys, Networks
from bpftop.stats.keys import KeyNames
from bpftop.stats.series import KEPT_SLICES, WINDOWS_S, GlobalSeries
from bpftop.stats.totals import FOR_SLOW, MAX_KEYS, KeyedTotals, folded, staying
from tests.fuzz.examples import examples

MEASURES = 3
OBSERVATIONS = st.lists(
    st.tuples(
        st.integers(0, MEASURES - 1),
        st.sampled_from([0, 5, 700, buckets.BUCKETS - 1]),
        st.integers(1, 1000) | st.just(1 << 40),
    ),
    max_size=4,
)
Keys = Any
LOW = (1 << wire.CLIENT_SHIFT) - 1


class SeriesMachine(RuleBasedStateMachine):
    """A child that counts, repeats itself, prints nothing, and begins again; every window against the list."""

    def __init__(self) -> None:
        super().__init__()
        self.series = GlobalSeries(MEASURES)
        self.cumulative = np.zeros((MEASURES, buckets.BUCKETS), np.int64)
        self.slices: list[Counter[tuple[int, int]]] = []
        self.spans: list[float] = []

    def add(self, observations: list[tuple[int, int, int]], printed: bool, span_s: float) -> None:
        piece: Counter[tuple[int, int]] = Counter()
        for measure, bucket, count in observations:
            self.cumulative[measure, bucket] += count
            piece[measure, bucket] += count
        places = np.flatnonzero(self.cumulative)
        told = (places, self.cumulative.reshape(-1)[places]) if printed else None
        places, new = self.series.add(len(self.slices) * 10**9, span_s, told)
        self.slices.append(piece)
        self.spans.append(span_s)
        found = Counter({divmod(place, buckets.BUCKETS): count for place, count in zip(places, new, strict=True)})
        assert found == piece
        assert (np.diff(places) > 0).all()

    @rule(observations=OBSERVATIONS, span_s=st.sampled_from([0.0, 0.5, 1.0]))
    def tick(self, observations: list[tuple[int, int, int]], span_s: float) -> None:
        self.add(observations, True, span_s)

    @rule(ticks=st.integers(1, 310), observations=OBSERVATIONS)
    def many_ticks(self, ticks: int, observations: list[tuple[int, int, int]]) -> None:
        for i in range(ticks):
            self.add(observations if i % 7 == 0 else [], i % 3 > 0 or i % 7 == 0, 1.0)

    @rule()
    def nothing_printed(self) -> None:
        self.add([], False, 1.0)

    @rule()
    def restart(self) -> None:
        self.series.source_restarted()
        self.cumulative[:] = 0

    @rule()
    def counters_begin_again_unnoticed(self) -> None:
        """Found by a count that shrinks; what is not smaller than before can't be told from a repetition."""
        if self.cumulative[0, 5] > 1:
            self.cumulative[:] = 0
            self.add([(0, 5, 1)], True, 1.0)

    @invariant()
    def windows_are_sums_of_slices(self) -> None:
        for length in (*WINDOWS_S, 7, None):
            recent = slice(-length, None) if length else slice(None)
            counts, span = self.series.window(length)
            expected: Counter[tuple[int, int]] = sum(self.slices[recent], Counter())
            found = {(int(m), int(b)): int(counts[m, b]) for m, b in np.argwhere(counts)}
            assert found == dict(expected)
            if length:
                assert span == pytest.approx(sum(self.spans[recent]))

    @invariant()
    def one_point_a_slice(self) -> None:
        trend = self.series.trend(1, len(self.slices) * 10**9)
        recent = list(zip(self.slices, self.spans, strict=True))[-KEPT_SLICES:]
        assert len(trend.age_s) == len(trend.p50_ns) == len(trend.p99_ns) == len(recent)
        assert (np.diff(trend.age_s) < 0).all()
        for i, (piece, span) in enumerate(recent[-3:], max(0, len(recent) - 3)):
            n = sum(count for (measure, _), count in piece.items() if measure == 1)
            assert np.isnan(trend.p50_ns[i]) == (n == 0)
            assert np.isnan(trend.rate_per_s[i]) if span == 0 else trend.rate_per_s[i] == pytest.approx(n / span)


SeriesMachine.TestCase.settings = examples(25, 20)
TestSeries = SeriesMachine.TestCase


# --- clients ---


def keys_of(slice_: dict[tuple[int, int, int], int]) -> tuple[Keys, Keys]:
    """A slice as sorted arrays; its words are (client, measure, bucket)."""
    pairs = sorted((wire.clients_key(*words), count) for words, count in slice_.items())
    return np.array([key for key, _ in pairs], np.uint64), np.array([count for _, count in pairs], np.int64)


def by_low(keys: Keys, counts: Keys) -> dict[int, int]:
    """The sum per measure and bucket, whoever the client is."""
    low, inverse = np.unique(keys & np.uint64(LOW), return_inverse=True)
    sums = np.zeros(len(low), np.int64)
    np.add.at(sums, inverse, counts)
    return as_dict(low, sums)


def as_dict(keys: Keys, counts: Keys) -> dict[int, int]:
    return {k: c for k, c in zip(keys.tolist(), counts.tolist(), strict=True) if c}


CLIENTS = st.one_of(st.integers(1, 6), st.sampled_from([wire.IPV6_BIT | 5, (1 << 48) - 1]))
SLICES = st.lists(
    st.dictionaries(st.tuples(CLIENTS, st.integers(1, 3), st.integers(0, 3)), st.integers(1, 9), max_size=12),
    max_size=20,
)


@given(SLICES, st.integers(1, 4))
def test_totals_are_a_dict_of_sums(slices: list[dict[tuple[int, int, int], int]], length: int) -> None:
    totals = KeyedTotals()
    for i, slice_ in enumerate(slices):
        totals.add(*keys_of(slice_))
        if i >= length:
            totals.subtract(*keys_of(slices[i - length]))
        expected: Counter[int] = Counter()
        for recent in slices[max(0, i - length + 1) : i + 1]:
            expected.update({wire.clients_key(*words): count for words, count in recent.items()})
        assert as_dict(totals.keys, totals.counts) == dict(expected)
        assert (np.diff(totals.keys.astype(object)) > 0).all()
    assert not totals.folded


@given(st.lists(st.tuples(CLIENTS, st.integers(1, 3), st.integers(0, 3), st.integers(1, 9)), max_size=30))
def test_merging_is_adding(rows: list[tuple[int, int, int, int]]) -> None:
    expected: Counter[int] = Counter()
    for client, measure, bucket, count in rows:
        expected[wire.clients_key(client, measure, bucket)] += count
    keys = np.array([wire.clients_key(*row[:3]) for row in rows], np.uint64)
    found = merge(keys, np.array([row[3] for row in rows], np.int64))
    assert as_dict(*found) == dict(expected)
    assert found[0].tolist() == sorted(expected)


@given(
    st.dictionaries(st.tuples(CLIENTS, st.integers(1, 3), st.integers(0, 3)), st.integers(1, 9), min_size=1),
    st.integers(0, 10),
)
def test_folding_keeps_every_sum_the_slowest_and_the_most_active(
    slice_: dict[tuple[int, int, int], int], kept: int
) -> None:
    keys, counts = keys_of(slice_)
    stay = staying(keys, counts, kept)
    found = folded(keys, counts, stay)
    assert by_low(*found) == by_low(keys, counts)
    activity: Counter[int] = Counter()
    for (client, _, _), count in slice_.items():
        activity[client] += count
    stayed = {int(key) >> wire.CLIENT_SHIFT for key in found[0]} - {wire.OTHERS}
    assert len(stayed) == min(kept, len(activity))
    gone = set(activity) - stayed
    most = [client for client in stayed if all(activity[client] >= activity[each] for each in gone)]
    assert len(most) >= len(stayed) - len(stayed) // FOR_SLOW, "all but the share of the slow ones are the most active"


def crowd(clients: int, slow: dict[int, int], count: int = 3) -> tuple[Keys, Counts]:
    """So many clients (from 1) with ``count`` quick observations each; ``slow``: clients with one, by its bucket."""
    slices = {(client, 1, 100): count for client in range(1, clients + 1)} | {(c, 1, at): 1 for c, at in slow.items()}
    return keys_of(slices)


def test_a_client_that_is_slow_and_rare_is_kept_among_many_busy_ones() -> None:
    series = ClientSeries()
    series.add(*crowd(20_000, {70_000: 400}), False)
    for second in range(1, 60):
        series.add(*crowd(20_000, {70_000 + second: 150}), False)
    whole = counted(60 * 20_000 * 3 + 60)
    for length in (60, None):
        rows = client_rows(series.window(length), 1, 60.0, whole, str)
        slowest = max(rows, key=lambda row: row.max_ns or 0)
        assert (slowest.client, slowest.count) == ("70000", 1)
        assert sum(row.count for row in rows) == whole.sum()


def test_rows_are_the_busiest_and_the_slowest() -> None:
    keys, counts = crowd(5000, {6000: 300, 6001: 200})
    rows = client_rows(Keyed(keys, counts), 1, 1.0, counted(15_002), str)
    assert len(rows) > SHOWN
    assert {"6000", "6001"} < {row.client for row in rows}
    assert rows[-1].client == "others"
    assert [row.count for row in rows[:-1]] == sorted((row.count for row in rows[:-1]), reverse=True)
    assert sum(row.count for row in rows) == 15_002


@pytest.mark.parametrize("six", [False, True])
def test_networks_are_exact_for_all_clients_however_many(six: bool) -> None:
    """3,000 clients of 40 networks a second: more than are kept one by one, also after totals were folded again."""
    chance = np.random.default_rng(11)
    names = KeyNames()
    series = ClientSeries(NetworkKeys(names, {1, 2}))
    recent: list[Counter[str]] = []
    for second in range(70):
        truth: Counter[str] = Counter()
        codes: list[int] = []
        for network, host in zip(
            chance.integers(1, 41, 3000).tolist(), chance.integers(0, 256, 3000).tolist(), strict=True
        ):
            text = (
                f"2001:db8:0:{network:x}::{second % 5 * 256 + host:x}" if six else f"10.{second % 9}.{network}.{host}"
            )
            codes.append(wire.client_code(text))
            truth[f"2001:db8:0:{network:x}::/64" if six else f"10.{second % 9}.{network}.0/24"] += 1
            if six:
                names.learn({codes[-1]: wire.halves(ipaddress.IPv6Address(text))}, {})
        low = np.uint64(1 << wire.CLIENT_MEASURE_SHIFT) + chance.integers(90, 110, 3000).astype(np.uint64)
        keys = (np.array(codes, np.uint64) << np.uint64(wire.CLIENT_SHIFT)) | low
        series.add(keys, np.ones(3000, np.int64), False)
        recent.append(truth)
        for length in (10, 60, None, 7):
            if second % 23 == 22:
                networks = Networks(names)
                keyed = series.window(length)
                grouped = networks.grouped(keyed)
                wanted = sum(recent[-length:] if length else recent, Counter())
                rows = client_rows(grouped, 1, 1.0, counted(wanted.total()), networks.label)
                assert {row.client: row.count for row in rows} == wanted
                assert keyed.incomplete
                assert not grouped.incomplete
    past = series.window(10, skip=20)
    rows = client_rows(Networks(names).grouped(past), 1, 1.0, counted(30_000), str)
    assert sum(row.count for row in rows) == 30_000


def one_of_forty(keys: Keys) -> Keys:
    """The keys of the networks of these clients."""
    shift = np.uint64(wire.CLIENT_SHIFT)
    return keys & np.uint64(LOW) | (keys >> shift) % np.uint64(40) + np.uint64(1 << 30) << shift


def test_a_flood_of_clients_folds_what_is_oldest_and_keeps_every_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """300 other clients of 40 networks each second, where there is room for half of that."""
    few = {"SLICE_CLIENTS": 64, "SLICE_NETWORKS": 64, "MAX_SLICE_ENTRIES": 45_000}
    for name, value in few.items():
        monkeypatch.setattr(clients_module, name, value)
    chance = np.random.default_rng(5)
    series = ClientSeries(one_of_forty)
    for second in range(KEPT_SLICES + 5):
        clients = np.arange(300, dtype=np.uint64) + np.uint64(1 + 300 * second)
        low = np.uint64(1 << wire.CLIENT_MEASURE_SHIFT) + chance.integers(90, 93, 300).astype(np.uint64)
        series.add((clients << np.uint64(wire.CLIENT_SHIFT)) | low, np.ones(300, np.int64), False)
        for length in WINDOWS_S:
            assert series.window(length).counts.sum() == 300 * min(second + 1, length)
    kept = [len(each.keys) + (len(each.networks.keys) if each.networks else 0) for each in series.slices()]
    assert sum(kept) <= few["MAX_SLICE_ENTRIES"]
    assert min(kept[-WHOLE_SLICES:]) > 64, "the newest are whole"
    ten_minutes_ago = series.window(None, skip=KEPT_SLICES - 1)
    assert ten_minutes_ago.counts.sum() == 300 * 6
    anybody = ten_minutes_ago.keys[ten_minutes_ago.counts > 0] >> np.uint64(wire.CLIENT_SHIFT)
    assert set(anybody.tolist()) == {wire.OTHERS}, "whom the seconds since then had is not known any more"


def test_what_has_no_known_network_stays_in_others() -> None:
    names = KeyNames()
    series = ClientSeries(NetworkKeys(names, {1}))
    unknown = {(wire.IPV6_BIT | client, 1, 100): 1 for client in range(1, 3001)}
    syscalls = {(client, 2, 100): 1 for client in range(1, 301)}
    series.add(*keys_of(unknown | syscalls), False)
    networks = Networks(names)
    grouped = networks.grouped(series.window(10))
    rows = client_rows(grouped, 1, 1.0, counted(3000), networks.label)
    assert grouped.incomplete
    assert rows[-1].client == "others"
    assert sum(row.count for row in rows) == 3000


def random_slice(chance: np.random.Generator, clients: Keys, size: int) -> tuple[Keys, Keys]:
    keys = clients.astype(np.uint64) << np.uint64(wire.CLIENT_SHIFT)
    low = chance.integers(1, 3, size) << wire.CLIENT_MEASURE_SHIFT | chance.integers(100, 160, size)
    return merge(keys | low.astype(np.uint64), chance.integers(1, 5, size).astype(np.int64))


def test_windows_stay_exact_while_clients_come_fold_and_come_back() -> None:
    """The same clients return after they were folded; every window's sum per measure and bucket stays exact."""
    chance = np.random.default_rng(3)
    series = ClientSeries()
    slices: list[tuple[Keys, Keys]] = []
    for tick in range(360):
        size = 30_000 if tick % 30 < 3 else 200
        clients = chance.zipf(1.1, size) % 60_000 + 1
        slices.append(random_slice(chance, clients, size))
        series.add(*slices[-1], False)
        if tick % 40 == 39 or tick in (10, 60, 300, 301):
            for length in (*WINDOWS_S, None):
                totals = series.window(length)
                recent = slices[-length:] if length else slices
                joined = [np.concatenate(column) for column in zip(*recent, strict=True)]
                assert by_low(totals.keys, totals.counts) == by_low(joined[0], joined[1])
                assert totals.incomplete or length
                assert len(totals.keys) <= MAX_KEYS


def test_ten_minutes_take_eight_bytes_for_each_count_of_a_second() -> None:
    series, places = GlobalSeries(MEASURES), np.arange(0, 2000, 2)
    for second in range(KEPT_SLICES + 10):
        series.add_new(second * 10**9, 1.0, (places, np.full(len(places), second)))
    pieces = series.slices()[2]
    assert len(pieces) == KEPT_SLICES
    assert sum(index.nbytes + counts.nbytes for index, counts in pieces) == 8 * len(places) * KEPT_SLICES


def test_an_odd_window_is_summed_from_its_slices() -> None:
    series = ClientSeries()
    for tick in range(20):
        series.add(*keys_of({(tick + 1, 1, 7): tick + 1}), tick == 3)
    totals = series.window(3)
    assert as_dict(totals.keys, totals.counts) == {wire.clients_key(c, 1, 7): c for c in (18, 19, 20)}
    assert not totals.incomplete
    assert series.window(None).incomplete
    assert series.window(17).incomplete
    assert not series.window(10).incomplete


@pytest.mark.parametrize(("clients", "ticks", "megabytes"), [(100_000, 20, 24), (1_000_000, 60, 24)])
def test_a_flood_of_addresses_takes_bounded_memory(clients: int, ticks: int, megabytes: int) -> None:
    chance = np.random.default_rng(5)
    codes = chance.choice((1 << 32) - 2, clients, replace=False) + 1
    produced = 0
    tracemalloc.start()
    try:
        series = ClientSeries()
        for part in np.array_split(codes, ticks):
            keys, counts = random_slice(chance, part, len(part))
            produced += int(counts.sum())
            series.add(keys, counts, False)
            for length in (*WINDOWS_S, None):
                assert len(series.window(length).keys) <= MAX_KEYS
        del keys, counts
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    total = series.window(None)
    assert total.incomplete
    assert total.counts.sum() == produced
    assert used < megabytes << 20


def test_busy_clients_with_many_buckets_do_not_keep_the_totals_above_their_bound() -> None:
    """The average entries per client say little when a few busy ones have hundreds."""
    chance = np.random.default_rng(9)
    totals = KeyedTotals()
    busy = np.repeat(np.arange(1, 101), 600)
    low = np.tile(np.arange(600), 100) + (1 << wire.CLIENT_MEASURE_SHIFT)
    busy_keys = busy.astype(np.uint64) << np.uint64(wire.CLIENT_SHIFT) | low.astype(np.uint64)
    totals.add(*merge(busy_keys, np.full(len(busy_keys), 50)))
    for _ in range(3):
        totals.add(*random_slice(chance, chance.choice(10**9, 40_000, replace=False) + 1000, 40_000))
        assert len(totals.keys) <= MAX_KEYS
    assert totals.counts.sum() >= 50 * len(busy_keys)


# --- rows ---


def rows_of(
    slices: dict[tuple[int, int, int], int], everything: int, incomplete: bool = False, measure: int = 1
) -> list[tuple[str, int]]:
    rows = client_rows(Keyed(*keys_of(slices), incomplete), measure, 2.0, counted(everything), str)
    return [(row.client, row.count) for row in rows]


def counted(everything: int) -> Counts:
    """So many global counts, all in one bucket."""
    counts = np.zeros(buckets.BUCKETS, np.int64)
    counts[5 << buckets.CLIENT_SHIFT] = everything
    return counts


def test_rows_are_of_one_measure_by_count_with_others_last() -> None:
    slices = {(1, 1, 5): 3, (2, 1, 5): 4, (2, 1, 9): 4, (3, 2, 5): 99, (wire.OTHERS, 1, 5): 100}
    assert rows_of(slices, 111) == [("2", 8), ("1", 3), ("others", 100)]
    assert rows_of(slices, 99, measure=2) == [("3", 99)]
    assert rows_of(slices, 0, measure=3) == []


def test_others_hold_what_no_client_accounts_for_and_only_when_something_was_left_out() -> None:
    assert rows_of({(1, 1, 5): 3}, 10, incomplete=True) == [("1", 3), ("others", 7)]
    assert rows_of({(1, 1, 5): 3}, 4) == [("1", 3)], "the halves lag behind the counts by what is under way"
    assert rows_of({(1, 1, 5): 3}, 3, incomplete=True) == [("1", 3)]
    assert rows_of({(1, 1, 5): 3}, 2, incomplete=True) == [("1", 3)], "never below 0"


def test_rows_have_a_bound_and_the_sum_is_everything() -> None:
    rows = rows_of({(client, 1, 5): client for client in range(1, 1501)}, sum(range(1501)))
    assert [row[1] for row in rows[:1000]] == list(range(1500, 500, -1))
    assert rows[-1] == ("others", sum(range(1501)) - sum(row[1] for row in rows[:-1]))
    assert len(rows) == 1251


@given(
    st.dictionaries(
        st.integers(1, 5), st.lists(st.integers(0, 2**40 - 1), min_size=1, max_size=40), min_size=1, max_size=5
    )
)
def test_percentiles_of_a_client_are_those_of_its_list(values: dict[int, list[int]]) -> None:
    slice_: Counter[tuple[int, int, int]] = Counter()
    for client, latencies in values.items():
        slice_.update((client, 1, int(b) >> buckets.CLIENT_SHIFT) for b in buckets.bucket_of(latencies))
    whole = np.bincount(
        buckets.bucket_of([each for mine in values.values() for each in mine]), minlength=buckets.BUCKETS
    )
    slow_from = slow_bucket(whole)
    rows = client_rows(Keyed(*keys_of(slice_)), 1, 2.0, whole, str)
    assert sum(row.slow or 0 for row in rows) == slow_count(whole, slow_from) >= 1
    assert [row.count for row in rows] == sorted((len(v) for v in values.values()), reverse=True)
    for row in rows:
        mine = sorted(values[int(row.client)])
        n = len(mine)
        assert row.slow == sum(int(b) >> buckets.CLIENT_SHIFT >= slow_from for b in buckets.bucket_of(mine))
        assert row.rate_per_s == n / 2
        assert row.code == int(row.client)
        for found, true in ((row.p50_ns, mine[-(-n // 2) - 1]), (row.p99_ns, mine[-(-99 * n // 100) - 1])):
            assert found is not None
            assert abs(found - true) <= max(0.032 * true, 2)
        assert row.max_ns is not None
        assert abs(row.max_ns - mine[-1]) <= max(0.032 * mine[-1], 2)


def test_the_slow_ones_of_others_are_what_the_clients_do_not_account_for() -> None:
    totals = KeyedTotals()
    totals.add(*keys_of({(1, 1, 5): 90, (2, 1, 500): 3}))
    whole = counted(100)
    whole[500 << buckets.CLIENT_SHIFT] = 8
    slow_from = slow_bucket(whole)
    rows = client_rows(Keyed(totals.keys, totals.counts, True), 1, 2.0, whole, str)
    assert [(row.client, row.count, row.slow) for row in rows] == [("1", 90, 0), ("2", 3, 3), ("others", 15, 5)]
    assert slow_count(whole, slow_from) == 8
    assert slow_count(counted(0), slow_bucket(counted(0))) == 0, "nothing is slow where nothing was"


def test_a_slice_keeps_so_many_clients_and_says_so() -> None:
    series = ClientSeries()
    series.add(*keys_of({(client, 1, 5): 1 + (client == 7) for client in range(1, SLICE_CLIENTS + 2)}), False)
    totals = series.window(10)
    assert totals.incomplete
    assert len(totals.keys) == SLICE_CLIENTS + 1
    assert wire.clients_key(7, 1, 5) in totals.keys.tolist()
