"""A moment of the past, one key alone and networks, against plain lists of what was observed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bpftop import wire
from bpftop.stats import buckets, onekey, past
from bpftop.stats.clients import client_rows
from bpftop.stats.groups import Networks, network_of
from bpftop.ui.subject import NETWORK, Subject
from tests.stored import ADDRESSES, CODES, MEASURES, OFFSET, SECOND, observed, snapshot_of, stored

SEEN = observed()
SHOT = snapshot_of(stored(SEEN))


def latencies(from_s: int, to_s: int, measure: int, key: int | None = None) -> list[int]:
    found = (each for each in SEEN if from_s <= each[0] < to_s and each[1] == measure)
    return [latency for _, _, k, latency in found if key is None or k == key]


def test_a_moment_has_the_counts_and_percentiles_of_its_seconds() -> None:
    there = past.between(SHOT, OFFSET + 40 * SECOND, OFFSET + 47 * SECOND, "7 s")
    assert there.window.span_s == 7
    for number, measure in enumerate(MEASURES[:3], 1):
        true = sorted(latencies(40, 47, number))
        found = there.measures[measure.name]
        assert found.summary.count == len(true) == found.histogram.counts.sum()
        assert found.summary.rate_per_s == len(true) / 7
        assert found.summary.p50_ns == pytest.approx(true[-(-len(true) // 2) - 1], rel=0.008)
        assert found.summary.max_ns == pytest.approx(true[-1], rel=0.008)
        assert sum(row.count for row in found.clients) == len(true)
    assert there.counters["errors"].count == len(latencies(40, 47, 4))
    rows = {row.client: row for row in there.measures["request_latency"].clients}
    assert {name: row.count for name, row in rows.items()} == {
        name: len(latencies(40, 47, 1, code)) for name, code in zip(ADDRESSES, CODES, strict=True)
    }
    assert len(there.slow) == len(latencies(40, 47, 1))
    assert {each.latency_ns for each in there.slow} == set(latencies(40, 47, 1))


def test_a_trend_ends_with_its_moment() -> None:
    there = past.between(SHOT, OFFSET + 40 * SECOND, OFFSET + 47 * SECOND, "7 s")
    trend = there.measures["request_latency"].trend
    assert len(trend.age_s) == 46
    assert trend.rate_per_s[-1] == len(latencies(46, 47, 1))


def test_seconds_that_are_not_kept_are_empty() -> None:
    there = past.between(SHOT, OFFSET - 40 * SECOND, OFFSET - 30 * SECOND, "then")
    assert there.window.span_s == 0
    assert there.measures["request_latency"].summary.count == 0
    assert there.slow == ()


def test_what_is_no_longer_kept_by_key_is_in_others() -> None:
    history = past.history_of(SHOT, "request_latency")
    short = replace(SHOT, histories=(replace(history, keyed_pieces=history.keyed_pieces[-48:]),))
    assert past.keyed_since(short.histories[0]) == OFFSET + 43 * SECOND
    rows = past.between(short, OFFSET + 40 * SECOND, OFFSET + 47 * SECOND, "").measures["request_latency"].clients
    assert rows[-1].client == "others"
    assert rows[-1].count == len(latencies(40, 43, 1))
    assert sum(row.count for row in rows) == len(latencies(40, 47, 1))


def test_one_key_alone_in_every_measure_of_its_kind() -> None:
    code = CODES[1]
    alone = onekey.only(SHOT, "client", {code}, lambda event: event.client == ADDRESSES[1])
    assert list(alone.measures) == ["request_latency", "response_time"]
    for number, name in ((1, "request_latency"), (2, "response_time")):
        true = sorted(latencies(31, 91, number, code))
        found = alone.measures[name]
        assert found.summary.count == len(true) == found.histogram.counts.sum()
        assert found.summary.p99_ns == pytest.approx(true[-(-99 * len(true) // 100) - 1], rel=0.032)
        assert found.summary.rate_per_s == pytest.approx(len(true) / 60)
        assert found.trend.rate_per_s[-1] == len(latencies(90, 91, number, code))
    assert alone.counters["errors"].count == len(latencies(31, 91, 4, code))
    assert sorted(each.latency_ns for each in alone.slow) == sorted(latencies(31, 91, 1, code))
    places = np.concatenate([index for index, _ in alone.histories[0].pieces])
    assert len(places)


def test_one_key_of_another_kind_has_its_own_measures() -> None:
    alone = onekey.only(SHOT, "syscall", {2}, lambda event: False)
    assert list(alone.measures) == ["syscall_latency"]
    assert alone.measures["syscall_latency"].summary.count == len(latencies(31, 91, 3, 2))
    assert alone.slow == ()


def test_recent_percentiles_of_many_keys() -> None:
    history = past.history_of(SHOT, "request_latency")
    p99 = onekey.RecentP99()
    p99(history, "request_latency", CODES[1:3], 20)  # what is known is not asked for again
    found = p99(history, "request_latency", CODES, 30)
    assert found.shape == (len(CODES), 30)
    for row, code in enumerate(CODES):
        for column in range(30):
            true = sorted(latencies(61 + column, 62 + column, 1, code))
            if not true:
                assert np.isnan(found[row, column])
            else:
                assert found[row, column] == pytest.approx(true[-(-99 * len(true) // 100) - 1], rel=0.032)


def test_networks_have_the_sum_of_their_members() -> None:
    history = past.history_of(SHOT, "request_latency")
    assert history.names is not None
    assert history.keyed is not None
    networks = Networks(history.names)
    everything = np.bincount(buckets.bucket_of(latencies(31, 91, 1)), minlength=buckets.BUCKETS)
    rows = client_rows(networks.grouped(history.keyed), 1, 60.0, everything, networks.label)
    true: dict[str, int] = {}
    for name, code in zip(ADDRESSES, CODES, strict=True):
        true[network_of(name)] = true.get(network_of(name), 0) + len(latencies(31, 91, 1, code))
    assert {row.client: row.count for row in rows} == true
    assert set(true) == {"10.0.3.0/24", "10.0.4.0/24", "2001:db8::/64", "2001:db8:0:1::/64"}
    assert networks.codes(np.array([0], np.uint64)).tolist() == [0]


def test_a_network_of_clients_that_are_not_kept_one_by_one_is_looked_at_with_all_of_them() -> None:
    """2,500 clients of ten networks a second; one network has all that is slow."""
    seen = [
        (second, 1, wire.client_code(f"10.0.{network}.{host}"), 50_000_000 if network == 3 and host < 40 else 100_000)
        for second in range(1, 8)
        for network in range(10)
        for host in range(250)
    ]
    shot = snapshot_of(stored(seen))
    assert shot.measures["request_latency"].clients[-1].client == "others"
    subject = Subject(NETWORK, "10.0.3.0/24", wire.client_code("10.0.3.0"), "request_latency")
    found = subject.alone(shot).measures["request_latency"]
    assert found.summary.count == 7 * 250 == found.histogram.counts.sum()
    assert found.slow == 7 * 40 == shot.measures["request_latency"].slow
    assert found.trend.rate_per_s.tolist()[1:] == [250.0] * 6, "the first second began earlier"
