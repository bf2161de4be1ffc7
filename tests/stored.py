"""A store that was told every observation, and a snapshot of it, for tests that compare with plain lists."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import numpy as np

from bpftop import wire
from bpftop.model import EventStream, Measure, Snapshot, Window
from bpftop.stats import buckets
from bpftop.stats.store import Store
from bpftop.stats.tick import TickData
from tests.snapshots import snapshot

SECOND = 10**9
OFFSET = 1_770_000_000 * SECOND
MEASURES = (
    Measure("request_latency", "Request latency", "s", "e"),
    Measure("response_time", "Response time", "s", "e"),
    Measure("syscall_latency", "Syscalls", "s", "e", key="syscall"),
    Measure("errors", "Errors", "", "", unit="count"),
)
STREAM = EventStream("request", "request_latency", ("timestamp_ns", "latency_ns", "client", "client_port_be"))
ADDRESSES = ("10.0.3.7", "10.0.3.200", "10.0.4.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
CODES = [wire.client_code(each) for each in ADDRESSES]
HALVES = {wire.client_code(each): wire.halves(ipaddress.IPv6Address(each)) for each in ADDRESSES if ":" in each}
Seen = tuple[int, int, int, int]
"""Second, measure (from 1), key and latency of one observation."""


def observed(seconds: int = 90, each: int = 60) -> list[Seen]:
    """Some of each measure in each second."""
    rng = np.random.default_rng(4)
    out: list[Seen] = []
    for second in range(1, seconds + 1):
        for _ in range(each):
            measure = int(rng.integers(1, 5))
            key = int(rng.integers(1, 4)) if measure == 3 else CODES[int(rng.integers(0, len(CODES)))]
            latency = 0 if measure == 4 else int(rng.lognormal(np.log(1e6), 1.5))
            out.append((second, measure, key, latency))
    return out


def stored(seen: list[Seen]) -> Store:
    """A store that was told; the events lane has every request."""
    store = Store(MEASURES, (STREAM,), 65_536)
    store.started(SECOND // 2)
    counts: dict[int, int] = {}
    for second in range(1, max(each[0] for each in seen) + 1):
        mine = [each for each in seen if each[0] == second]
        keyed: dict[int, int] = {}
        for _, measure, key, latency in mine:
            bucket = int(buckets.bucket_of(latency))
            counts[wire.counts_key(measure, bucket)] = counts.get(wire.counts_key(measure, bucket), 0) + 1
            one = wire.clients_key(key, measure, bucket >> 2)
            keyed[one] = keyed.get(one, 0) + 1
        records = tuple(
            (1, (second * SECOND + i, latency, key, 0x1234))
            for i, (_, measure, key, latency) in enumerate(mine)
            if measure == 1
        )
        store.ingest(
            TickData(
                (second + 1) * SECOND,
                np.array(list(counts), np.uint64),
                np.array(list(counts.values()), np.int64),
                np.array(list(keyed), np.uint64),
                np.array(list(keyed.values()), np.int64),
                addresses=HALVES,
                records=records,
            )
        )
    return store


def snapshot_of(store: Store, length_s: float | None = 60.0) -> Snapshot:
    """As a session makes it, one second after the last tick."""
    return replace(
        snapshot(store.measures(length_s)),
        unix_ns=store.history(length_s, OFFSET).unix_ns[-1],
        window=Window("1 min", length_s, store.span_s(length_s)),
        counters=store.counters(length_s),
        slow=store.slow(length_s, OFFSET),
        histories=(store.history(length_s, OFFSET),),
    )
