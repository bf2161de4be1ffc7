"""The store from ticks to figures, the ring of events, and the accounts against a model child that loses things."""

from __future__ import annotations

import ipaddress
import math
import random
import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop import wire
from bpftop.model import Accounting, EventStream, Measure, SlowRequest
from bpftop.stats import buckets
from bpftop.stats.events import EventRing
from bpftop.stats.exclude import Excluded
from bpftop.stats.store import SLOW_SHOWN, Store
from bpftop.stats.tick import TickData
from bpftop.stats.who import OTHERS_LEAST

SECOND = 10**9
MEASURES = tuple(Measure(name, name, "start", "end") for name in ("request_latency", "response_time"))
FIELDS = ("timestamp_ns", "latency_ns", "read_queue_ns", "client", "client_port_be", "pid")
STREAMS = (
    EventStream("request", "request_latency", FIELDS),
    EventStream("response", "response_time", ("timestamp_ns", "latency_ns")),
)


# --- ring ---


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9)), max_size=60),
    st.integers(1, 12),
    st.integers(0, 40),
    st.integers(1, 20),
)
def test_the_ring_keeps_the_newest_and_gives_the_slowest(
    rows: list[tuple[int, int]], size: int, since: int, most: int
) -> None:
    ring = EventRing(2, size)
    for row in rows:
        ring.extend([row])
    assert ring.taken == len(rows)
    kept = [row for row in rows[-size:] if row[0] >= since]
    found = [tuple(row) for row in ring.slowest(since, most).rows.tolist()]
    assert [latency for _, latency in found] == sorted((row[1] for row in kept), reverse=True)[:most]
    assert not Counter(found) - Counter(kept)


def test_the_ring_refuses_what_is_not_as_declared() -> None:
    ring = EventRing(2)
    for wrong in ((), (1,), (1, 2, 3), (1, 1 << 63), (-(1 << 63) - 1, 1)):
        assert not ring.fits(wrong)
    assert ring.fits((-1, (1 << 63) - 1))


# --- accounts ---


class ModelChild:
    """One run of bpftrace on a clock of its own; it knows what really happened to every event.

    ``late_s``: maps are read so much after the tick's time, as bpftrace reads them when it gets to it.
    """

    def __init__(self, chance: random.Random, start_ns: int, late_s: float) -> None:
        self.chance = chance
        self.now_ns = start_ns
        self.late_s = late_s
        self.produced = Counter[int]()
        self.sent = Counter[int]()
        self.truth = Counter[str]()
        self._pending: list[tuple[int, tuple[int, tuple[int, ...]] | None]] = []
        self._later: list[tuple[int, int]] = []
        self._told = 0

    def second(self, busy: bool) -> TickData:
        """What happens up to the next tick, and that tick as it arrives."""
        start, self.now_ns = self.now_ns, self.now_ns + SECOND
        happened = self._later
        if busy:
            moments = (start + int(self.chance.random() * SECOND * 1.2) for _ in range(self.chance.randrange(60)))
            happened = sorted([*happened, *((at, self.chance.choice((1, 1, 2))) for at in moments)])
        read_ns = self.now_ns + int(self.late_s * self.chance.random() * SECOND)
        self._later = [event for event in happened if event[0] > read_ns]
        for at, stream in happened:
            if at <= read_ns:
                self._happens(at, stream)
        return self._tick(read_ns, False)

    def end(self, maps: bool = True) -> TickData:
        """The dump at the end; after a SIGKILL only what was under way."""
        for at, stream in self._later:
            self._happens(at, stream)
        self._later = []
        tick = self._tick(1 << 62, True)
        return tick if maps else replace(tick, counts_keys=tick.counts_keys[:0], counts=tick.counts[:0], sent={})

    def _happens(self, at: int, stream: int) -> None:
        self.produced[stream] += 1
        fate = self.chance.random()
        if fate < 0.3:
            self.truth["suppressed"] += 1
            return
        self.sent[stream] += 1
        if fate < 0.4:
            self.truth["lost"] += 1
            self._told += 1
            return
        fields = len(STREAMS[stream - 1].fields)
        wrong = fate < 0.45
        self.truth["rejected" if wrong else "shown"] += 1
        record = None if fate < 0.42 else (stream, (at, 5000, *[7] * (fields - 2 + wrong)))
        self._pending.append((at + int(self.chance.random() * 0.8 * SECOND), record))

    def _tick(self, until_ns: int, final: bool) -> TickData:
        arrived = [record for at, record in self._pending if at <= until_ns]
        self._pending = [pending for pending in self._pending if pending[0] > until_ns]
        self.chance.shuffle(arrived)  # a buffer for each CPU: no order among them
        keys = [wire.counts_key(measure, 700) for measure in sorted(self.produced)]
        told, self._told = self._told, 0
        return TickData(
            self.now_ns,
            np.array(keys, np.uint64),
            np.array([self.produced[measure] for measure in sorted(self.produced)], np.int64),
            sent=dict(self.sent),
            records=tuple(record for record in arrived if record is not None),
            rejected=sum(record is None for record in arrived),
            lost=told,
            final=final,
        )


def settled(accounts: Accounting) -> int:
    return accounts.shown + accounts.suppressed + accounts.lost + accounts.rejected


@pytest.mark.parametrize("late_s", [0.0, 0.04, 0.95])
@pytest.mark.parametrize("seed", range(60))
def test_the_accounts_add_up_at_every_tick_and_are_exact_at_the_end(seed: int, late_s: float) -> None:
    chance = random.Random(seed)
    store = Store(MEASURES, STREAMS, 65_536)
    truth = Counter[str]()
    accounts = Accounting()
    now_ns, unseen_ns = 77 * SECOND, 0
    for _ in range(chance.randrange(1, 4)):
        store.started(now_ns)
        child = ModelChild(chance, now_ns, late_s)
        for _ in range(chance.randrange(12)):
            store.ingest(child.second(chance.random() < 0.8))
            before, accounts = accounts, store.accounting
            assert accounts.produced == settled(accounts)
            assert accounts.lost >= before.lost, "a loss that is taken back"
            assert accounts.lost <= truth["lost"] + child.truth["lost"], "a loss that never was"
            assert accounts.shown <= truth["shown"] + child.truth["shown"]
        store.ingest(child.end())
        truth += child.truth
        now_ns = child.now_ns + 3 * SECOND
        accounts = store.accounting
        known = (truth.total(), truth["shown"], truth["suppressed"], truth["lost"], truth["rejected"])
        assert accounts == Accounting(*known, unseen_ns=unseen_ns)
        unseen_ns += 3 * SECOND if store.ticks else 0


@pytest.mark.parametrize("seed", range(20))
def test_a_loss_is_known_a_tick_after_it_gets_quiet(seed: int) -> None:
    store, child = Store(MEASURES, STREAMS, 65_536), ModelChild(random.Random(seed), SECOND, 0)
    for busy in (True, True, True, False, False, False):
        store.ingest(child.second(busy))
    assert child.truth["lost"] > 0
    assert store.accounting.lost == child.truth["lost"]
    assert store.accounting.produced == child.truth.total()


def test_a_tick_is_settled_at_once_when_all_that_was_sent_is_here_and_a_tick_late_when_not() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    first = np.array([wire.counts_key(2, 700)], np.uint64)

    def second(number: int, counted: int, sent: int, *arrived_ns: int) -> Accounting:
        records = tuple((2, (at_ns, 5000)) for at_ns in arrived_ns)
        store.ingest(TickData(number * SECOND, first, np.array([counted]), sent={2: sent}, records=records))
        return store.accounting

    assert second(1, 5, 2, SECOND - 9, SECOND - 7) == Accounting(5, 2, 3)
    assert second(2, 9, 4, 2 * SECOND - 9) == Accounting(5, 2, 3), "one is on its way: as of the tick before"
    assert second(3, 9, 4, 2 * SECOND - 7) == Accounting(9, 4, 5)
    assert second(4, 9, 5) == Accounting(9, 4, 5)
    assert second(5, 9, 5) == Accounting(9, 4, 4, 1), "it is lost"
    assert second(6, 10, 6, 6 * SECOND - 9) == Accounting(10, 5, 4, 1), "what is known to be lost delays nothing"


@pytest.mark.parametrize("seed", range(20))
def test_the_accounts_add_up_after_a_run_that_was_killed(seed: int) -> None:
    chance = random.Random(seed)
    store = Store(MEASURES, STREAMS, 65_536)
    before = Accounting()
    for run in range(3):
        store.started((1 + 20 * run) * SECOND)
        child = ModelChild(chance, (1 + 20 * run) * SECOND, 0.02)
        for _ in range(5):
            store.ingest(child.second(True))
        store.ingest(child.end(maps=False))
        accounts = store.accounting
        assert accounts.produced == settled(accounts)
        assert accounts.shown == before.shown + child.truth["shown"], "all that arrived is shown"
        assert accounts.rejected == before.rejected + child.truth["rejected"]
        assert accounts.produced >= before.produced
        before = accounts


def test_garbage_on_stdout_is_rejected_and_takes_nothing_from_what_is_shown() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    one = np.array([wire.counts_key(2, 700)], np.uint64)
    store.ingest(
        TickData(SECOND, one, np.array([1]), sent={2: 1}, records=((2, (SECOND // 2, 5000)),), rejected=4, final=True)
    )
    assert store.accounting == Accounting(5, 1, 0, 0, 4)


def test_untracked_connections_add_up_over_restarts_and_a_tick_without_the_map_loses_none() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    for run in range(2):
        store.started((1 + run * 9) * SECOND)
        for second, untracked in enumerate((0, 3, 0, 5), 2 + run * 9):
            store.ingest(TickData(second * SECOND, untracked=untracked))
        store.ingest(TickData((7 + run * 9) * SECOND, final=True))
    assert store.accounting.untracked == 10


# --- figures ---


def tick(at_s: float, counts: dict[tuple[int, int], int], clients: dict[tuple[str, int, int], int]) -> TickData:
    """A tick from words: counts by (measure, value), clients by (address, measure, value)."""
    client_keys = {
        wire.clients_key(wire.client_code(a), m, int(buckets.bucket_of(v)) >> buckets.CLIENT_SHIFT): n
        for (a, m, v), n in clients.items()
    }
    counts_keys = {wire.counts_key(m, int(buckets.bucket_of(v))): n for (m, v), n in counts.items()}
    return TickData(
        int(at_s * SECOND),
        np.array(list(counts_keys), np.uint64),
        np.array(list(counts_keys.values()), np.int64),
        np.array(list(client_keys), np.uint64),
        np.array(list(client_keys.values()), np.int64),
    )


def test_windows_and_the_whole_run_from_the_same_ticks() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    store.started(100 * SECOND)
    for i in range(1, 21):
        value = 1_000_000 if i <= 10 else 3_000_000
        new = {("10.0.0.1" if i % 2 else "::1", 1, value): 5}
        cumulative = {(1, 1_000_000): 5 * min(i, 10), (1, 3_000_000): 5 * max(0, i - 10)}
        store.ingest(tick(100 + i, cumulative, new))
    ten, everything = store.measures(10)["request_latency"], store.measures(None)["request_latency"]
    assert (ten.summary.count, everything.summary.count) == (50, 100)
    assert store.span_s(10) == 10
    assert store.span_s(None) == 20
    assert (ten.summary.rate_per_s, everything.summary.rate_per_s) == (5, 5)
    assert ten.summary.p50_ns == pytest.approx(3_000_000, rel=0.008)
    assert everything.summary.p50_ns == pytest.approx(1_000_000, rel=0.008)
    assert everything.summary.p90_ns == pytest.approx(3_000_000, rel=0.008)
    assert [(row.count, row.rate_per_s) for row in ten.clients] == [(25, 2.5), (25, 2.5)]
    assert {row.client for row in ten.clients} == {"10.0.0.1", f"ipv6#{wire.client_code('::1') & ~wire.IPV6_BIT:012x}"}
    assert ten.histogram.counts.tolist() == [50]
    assert len(ten.trend.age_s) == 20
    assert ten.trend.age_s[-1] == 0
    assert store.measures(10)["response_time"].summary.count == 0
    assert math.isnan(store.measures(10)["response_time"].trend.p50_ns[-1])
    assert store.ticks == 20
    assert store.last_seen_ns == 120 * SECOND


@pytest.mark.parametrize("flood_s", [5, 30, 120])
def test_who_brings_more_requests_is_compared_with_the_time_before_them(flood_s: int) -> None:
    """However long it lasts: its own seconds are not what it was before."""
    store = Store(MEASURES, STREAMS, 65_536)
    store.started(100 * SECOND)
    total = 0
    for i in range(1, 41 + flood_s):
        new = {("10.0.0.1", 1, 1_000_000): 60, ("10.0.0.7", 1, 1_000_000): 10 if i <= 40 else 900}
        total += sum(new.values())
        store.ingest(tick(100 + i, {(1, 1_000_000): total}, new))
    found = store.recent()["request_latency"]
    assert found.busier_s is not None
    assert found.earlier_per_s == pytest.approx({"10.0.0.1": 60.0, "10.0.0.7": 10.0})


def test_a_client_that_asks_far_more_is_seen_among_enough_others() -> None:
    """Also when the same few are first by count, by time and by slow ones."""
    store = Store(MEASURES, STREAMS, 65_536)
    store.started(100 * SECOND)
    new = {(f"10.0.0.{i}", 1, 1_000_000): 1000 if i == 1 else 10 - i for i in range(1, 10)}
    for i in range(1, 6):
        store.ingest(tick(100 + i, {(1, 1_000_000): i * sum(new.values())}, new))
    assert len(store.recent()["request_latency"].rows) > OTHERS_LEAST


def test_counters_of_a_new_run_are_added_to_those_before() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    store.started(SECOND)
    store.ingest(tick(2, {(1, 500): 8}, {}))
    store.started(5 * SECOND)
    store.ingest(tick(6, {(1, 500): 9}, {}))
    store.ingest(replace(tick(6.5, {(1, 500): 11}, {}), final=True))
    assert store.measures(None)["request_latency"].summary.count == 19
    assert store.ticks == 2
    assert store.span_s(10) == pytest.approx(1 + 1 + 0.5), "the gap between the runs is not in a window"
    assert store.accounting.unseen_ns == 3 * SECOND


def test_figures_end_with_the_last_tick_when_the_counts_at_the_end_did_not_come() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    store.started(SECOND)
    store.ingest(tick(2, {(1, 500): 8}, {}))
    store.ingest(TickData(int(2.9 * SECOND), final=True))
    assert store.span_s(None) == 1
    store.started(5 * SECOND)
    assert store.accounting.unseen_ns == 3 * SECOND


def test_keys_of_nothing_we_know_change_nothing() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    keys = [wire.counts_key(0, 5), wire.counts_key(3, 5), wire.counts_key(2, 0xFFFF), (1 << 64) - 1]
    store.ingest(TickData(SECOND, np.array(keys, np.uint64), np.ones(4, np.int64)))
    assert store.measures(None)["request_latency"].summary.count == 0
    response = store.measures(None)["response_time"]
    assert response.summary.count == 1, "a value beyond the last bucket counts in the last"
    assert response.histogram.high_ns.tolist() == [1 << buckets.OCTAVES]


def test_a_full_map_shows_as_others_with_the_exact_rest() -> None:
    store = Store(MEASURES, STREAMS, 4)
    store.ingest(tick(1, {(1, 500): 100}, {(f"10.0.0.{i}", 1, 500): 2 for i in range(4)}))
    rows = store.measures(10)["request_latency"].clients
    assert [row.count for row in rows] == [2, 2, 2, 2, 92]
    assert rows[-1].client == "others"
    assert rows[-1].p99_ns is None


def test_addresses_of_ipv6_clients_are_remembered() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    code = wire.client_code("2001:db8::7")
    high, low = 0xB80D0120, 0x0700000000000000
    assert wire.ipv6_text(high, low) == "2001:db8::7"
    store.ingest(replace(tick(1, {(1, 500): 1}, {("2001:db8::7", 1, 500): 1}), addresses={code: (high, low)}))
    store.ingest(tick(2, {(1, 500): 2}, {("2001:db8::7", 1, 500): 1}))
    assert [(row.client, row.count) for row in store.measures(10)["request_latency"].clients] == [("2001:db8::7", 2)]


def test_slow_requests_are_the_slowest_of_the_window_in_words() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    store.started(SECOND)
    code = wire.client_code("10.0.0.9")
    for i in range(2, 30):
        records = ((1, (i * SECOND - 1, i * 1000, 17, code, 0x901F, 42)), (2, (i * SECOND - 2, i * 999)))
        store.ingest(TickData(i * SECOND, records=records))
    slow = store.slow(10, 5 * SECOND)
    assert slow[0] == SlowRequest(
        34 * SECOND - 1, "request", 29_000, "10.0.0.9", {"read_queue_ns": 17, "client_port": 8080, "pid": 42}
    )
    assert slow[1].event == "response"
    assert slow[1].client == ""
    assert [s.latency_ns for s in slow] == sorted((s.latency_ns for s in slow), reverse=True)
    assert len(slow) == 20
    assert len(store.slow(None, 0)) == 56


def test_only_so_many_slow_requests_are_shown() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    store.ingest(TickData(9 * SECOND, records=tuple((2, (SECOND, i)) for i in range(SLOW_SHOWN + 50))))
    slow = store.slow(None, 0)
    assert len(slow) == SLOW_SHOWN
    assert slow[-1].latency_ns == 50


def test_an_hour_of_ever_new_clients_with_a_screen_that_looks_takes_bounded_memory() -> None:
    chance = np.random.default_rng(4)
    store = Store(MEASURES, STREAMS, 65_536)
    sizes = []
    tracemalloc.start()
    try:
        for i in range(1, 241):
            clients = chance.integers(1, 1 << 32, 2500).astype(np.uint64) << np.uint64(wire.CLIENT_SHIFT)
            keys = clients | np.uint64(1 << wire.CLIENT_MEASURE_SHIFT | 150)
            counted = np.array([wire.counts_key(1, 600)], np.uint64), np.array([2500 * i])
            store.ingest(TickData(i * SECOND, *counted, keys, np.ones(2500, np.int64)))
            if i % 10 == 0:
                shown = store.measures(60)["request_latency"].clients
                assert sum(row.count for row in shown) == 2500 * min(i, 60)
                del shown
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes) < 24 << 20
    assert store.measures(None)["request_latency"].summary.count == 600_000


def test_a_look_at_the_past_is_what_was_seen_then_and_a_reset_hides_no_loss() -> None:
    chance = np.random.default_rng(7)
    store = Store(MEASURES, STREAMS, 65_536)
    store.started(SECOND)
    cumulative: dict[tuple[int, int], int] = {}
    seen = []
    for second in range(2, 90):
        clients: dict[tuple[str, int, int], int] = {}
        for _ in range(int(chance.integers(0, 6))):
            value = 500 << int(chance.integers(0, 20))
            cumulative[1, value] = cumulative.get((1, value), 0) + 1
            client = f"10.0.0.{chance.integers(1, 9)}", 1, value
            clients[client] = clients.get(client, 0) + 1
        records = ((1, (second * SECOND - 5, int(chance.integers(1, 10**9)), 17, 9, 0x901F, 42)),)
        store.ingest(replace(tick(second, cumulative, clients), records=records))
        seen.append((second, _look(store, None)))
    for second, then in seen:
        assert _look(store, second * SECOND + SECOND // 2) == then
    assert store.history(None, 0, 50 * SECOND).unix_ns[-1] == 50 * SECOND
    produced = store.accounting.produced
    store.reset()  # between two ticks: what the next one brings is of all the time since the last
    assert store.measures(None)["request_latency"].summary.count == 0
    cumulative[1, 500] = cumulative.get((1, 500), 0) + 3
    store.ingest(tick(90, cumulative, {("10.0.0.1", 1, 500): 3}))
    store.ingest(tick(91, cumulative, {}))
    assert store.measures(None)["request_latency"].summary.count == 3
    assert store.measures(None)["request_latency"].summary.rate_per_s == pytest.approx(1.5)
    assert store.slow(None, 0) == ()
    assert store.span_s(None) == pytest.approx(2)
    assert store.accounting.produced >= produced + 3


def _look(store: Store, until_ns: int | None) -> list[object]:
    """Everything a snapshot shows, comparable."""
    out: list[object] = []
    for window in (10, 25, 60, None):
        shown = store.measures(window, until_ns)["request_latency"]
        trend = shown.trend
        out += [store.span_s(window, until_ns), shown.summary, shown.histogram.counts.tolist(), shown.clients]
        out += [trend.age_s.tolist(), np.nan_to_num(trend.p99_ns).tolist(), store.slow(window, 0, until_ns)]
    return out


def test_excluded_clients_are_in_the_totals_and_in_no_table() -> None:
    store = Store(MEASURES, STREAMS, 65_536)
    store.started(SECOND)
    store.excluded = Excluded([ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("2001:db8::/64")])
    six, other = (wire.client_code(address) for address in ("2001:db8::7", "2001:db8:1::7"))
    halves = {
        code: wire.halves(ipaddress.IPv6Address(a)) for code, a in ((six, "2001:db8::7"), (other, "2001:db8:1::7"))
    }
    clients = {(a, 1, 500): 2 for a in ("10.0.0.9", "10.0.1.9", "2001:db8::7", "2001:db8:1::7")}
    records = tuple((1, (2 * SECOND - 1, 9, 1, wire.client_code(a), 0x901F, 42)) for a in ("10.0.0.9", "10.0.1.9"))
    store.ingest(replace(tick(2, {(1, 500): 8}, clients), addresses=halves, records=records))
    store.ingest(tick(3, {(1, 500): 8}, {}))
    store.ingest(tick(4, {(1, 500): 8}, {}))
    shown = store.measures(10)["request_latency"]
    assert shown.summary.count == 8
    assert {row.client: row.count for row in shown.clients} == {"10.0.1.9": 2, "2001:db8:1::7": 2, "others": 4}
    assert [slow.client for slow in store.slow(10, 0)] == ["10.0.1.9"]
    assert store.accounting.shown == 2
    assert store.accounting.lost == 0


def test_a_row_that_is_still_slow_is_made_once_and_anew_when_a_name_has_come() -> None:
    store = Store(MEASURES, STREAMS, 1000)
    address = ipaddress.ip_address("2001:db8::7")
    code = wire.client_code(str(address))
    high, low = wire.halves(ipaddress.IPv6Address(str(address)))
    record = (1, (3 * SECOND, 7_000_000, 1000, code, 0, 12))
    store.ingest(TickData(3 * SECOND, records=(record,)))
    first, again = store.slow(None, 5), store.slow(None, 5)
    assert first[0] is again[0]
    assert first[0].client.startswith("ipv6#")
    store.ingest(TickData(4 * SECOND, addresses={code: (high, low)}))
    assert store.slow(None, 5)[0].client == str(address)
    assert store.slow(None, 6)[0].unix_ns == 3 * SECOND + 6


def test_tables_are_those_of_the_moment_of_the_snapshot() -> None:
    def tick(second: int, n: int) -> TickData:
        client = wire.client_code("10.0.0.1")
        return TickData(
            second * SECOND,
            counts_keys=np.array([wire.counts_key(1, 900)], np.uint64),
            counts=np.array([n], np.int64),
            client_keys=np.array([wire.clients_key(client, 1, 225)], np.uint64),
            client_counts=np.array([n], np.int64),
        )

    store = Store(MEASURES, STREAMS, 1000)
    store.ingest(tick(3, 4))
    before = store.measures(10.0)["request_latency"]
    store.ingest(tick(4, 9))
    assert [(row.client, row.count) for row in before.clients] == [("10.0.0.1", 4)]
    assert before.clients == tuple(before.clients)
    assert before.clients[:1] == (before.clients[0],)
