"""``python -m tests.faults.memory crowd|day SIZE``: what a store has grown by after warming up, and its sums."""

from __future__ import annotations

import json
import os
import sys

import numpy as np

from bpftop import wire
from bpftop.model import EventStream, Measure
from bpftop.stats import buckets
from bpftop.stats.store import Store
from bpftop.stats.tick import TickData

SECOND = 10**9
MEASURES = (Measure("request_latency", "Request latency", "s", "e"),)
STREAM = EventStream("request", "request_latency", ("timestamp_ns", "latency_ns", "client", "client_port_be"))
EACH = 1000
"""Clients a second, each with one request."""


def rss() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Seconds:
    """One second after the other for a store. ``clients``: so many different ones in all."""

    def __init__(self, clients: int, each: int = EACH) -> None:
        self.store = Store(MEASURES, (STREAM,), 65_536)
        self.store.started(SECOND // 2)
        self.total = 0
        self._clients, self._each = clients, each
        self._totals: dict[int, int] = {}
        self._chance = np.random.default_rng(1)

    def tick(self) -> None:
        """A second with so many requests, each of another client."""
        second = self.total // self._each + 1
        found = buckets.bucket_of(self._chance.lognormal(np.log(1e6), 1.0, self._each).astype(np.int64))
        for bucket in found.tolist():
            key = wire.counts_key(1, bucket)
            self._totals[key] = self._totals.get(key, 0) + 1
        codes = [1 + (self.total + i) % self._clients for i in range(self._each)]
        keyed = [wire.clients_key(code, 1, bucket >> 2) for code, bucket in zip(codes, found.tolist(), strict=True)]
        records = tuple((1, (second * SECOND + i, 10**6 + i, codes[i], 0x1234)) for i in range(min(30, self._each)))
        self.store.ingest(
            TickData(
                (second + 1) * SECOND,
                np.array(list(self._totals), np.uint64),
                np.array(list(self._totals.values()), np.int64),
                np.array(keyed, np.uint64),
                np.ones(self._each, np.int64),
                records=records,
            )
        )
        self.total += self._each
        if second % 10 == 0:
            self.store.measures(60.0)


def main() -> None:
    """Warm up, go on, tell."""
    kind, size = sys.argv[1], int(sys.argv[2])
    seconds = Seconds(size) if kind == "crowd" else Seconds(200, 50)
    for _ in range(100 if kind == "crowd" else 1500):
        seconds.tick()
    before = rss()
    for _ in range(size // EACH if kind == "crowd" else size):
        seconds.tick()
    grown = rss() - before
    measure = seconds.store.measures(None)["request_latency"]
    rows = sum(row.count for row in measure.clients)
    others = [row.count for row in measure.clients if row.client == "others"]
    told = {
        "grown": grown, "total": seconds.total, "count": measure.summary.count, "clients": rows, "others": others,
        "histogram": int(measure.histogram.counts.sum()),
    }  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
