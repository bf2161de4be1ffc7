"""``python -m tests.faults.memory crowd|day SIZE [traced]``: what something has grown by after warming up; its sums.

``crowd``: a store with so many clients. ``day``: all from the bytes of bpftrace to the drawn panes, so many seconds.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tracemalloc

import numpy as np

from bpftop import wire
from bpftop.clock import boot_ns
from bpftop.model import EventStream, Measure, Process, Target, TargetKind
from bpftop.session import Session
from bpftop.stats import buckets
from bpftop.stats.store import Store
from bpftop.stats.tick import TickData
from bpftop.tracer.decode import LineSplitter, decode_line
from bpftop.tracer.supervisor import BpftraceSource
from bpftop.ui.panes.clients import Clients
from bpftop.ui.panes.heatmap import HeatMap
from bpftop.ui.panes.latency import Latency
from bpftop.ui.panes.overview import Overview
from bpftop.ui.panes.slow import SlowRequests
from bpftop.ui.view import View
from tests.recordings import line, program

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

    def __init__(self, clients: int) -> None:
        self.store = Store(MEASURES, (STREAM,), 65_536)
        self.store.started(SECOND // 2)
        self.total = 0
        self._clients, self._each = clients, EACH
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


class Day:
    """One second after the other as bytes of bpftrace, read by a session, looked at and drawn every ten seconds."""

    def __init__(self) -> None:
        target = Target("nginx", TargetKind.NAME, "nginx", "nginx", (Process(11, 1, "nginx"),), (80,))
        self.session = Session(BpftraceSource(program(), "/nonexistent"), program(), target)
        self.total = self._second = 0
        self._splitter = LineSplitter()
        self._totals: dict[str, int] = {}
        self._chance = np.random.default_rng(1)
        self._begun_ns = boot_ns()
        self._panes = (Overview(), Latency(), HeatMap(), Clients(), SlowRequests())

    def tick(self) -> None:
        """A second with 50 requests of 200 clients."""
        self._second += 1
        at = self._begun_ns + self._second * SECOND
        latencies = self._chance.lognormal(np.log(1e6), 1.0, 50).astype(np.int64)
        keyed: dict[str, int] = {}
        lines = []
        for i, (bucket, latency_ns) in enumerate(
            zip(buckets.bucket_of(latencies).tolist(), latencies.tolist(), strict=True)
        ):
            client = 1 + (self.total + i) % 200
            key = str(wire.counts_key(2, bucket))
            self._totals[key] = self._totals.get(key, 0) + 1
            key = str(wire.clients_key(client, 2, bucket >> 2))
            keyed[key] = keyed.get(key, 0) + 1
            lines.append(line("printf", f"E 1 {at + i} {latency_ns} 1000 {client} 21905 11\n"))
        self.total += 50
        half = wire.CLIENTS[self._second % 2]
        maps = ({wire.COUNTS: self._totals}, {wire.SENT: {"1": self.total}}, {half: keyed})
        lines += [line("printf", f"T {at}\n"), *(line("map", each) for each in maps), line("printf", f"t {at}\n")]
        for each in self._splitter.feed(b"".join(lines)):
            for message in decode_line(each):
                self.session._message(message)
        if self._second % 10 == 0:
            shown = View(self.session.snapshot(60.0))
            for pane in self._panes:
                pane.draw(shown, 100, 30)


def main() -> None:
    """Warm up, go on, tell. A last word ``traced``: also what Python has allocated."""
    kind, size, traced = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["traced"]
    told = day(size, traced) if kind == "day" else crowd(size)
    print(json.dumps(told))


def day(seconds: int, traced: bool) -> dict[str, object]:
    """So many seconds, after 1500 others."""
    one = Day()
    for _ in range(1500):
        one.tick()
    if traced:
        tracemalloc.start()
        for _ in range(700):  # everything that is kept for ten minutes is new and traced then
            one.tick()
    gc.collect()
    before, allocated = rss(), tracemalloc.get_traced_memory()[0]
    for _ in range(seconds):
        one.tick()
    gc.collect()
    grown, more = rss() - before, tracemalloc.get_traced_memory()[0] - allocated
    shown = one.session.snapshot(None)
    measure, accounts = shown.measures["request_latency"], shown.accounting
    return {
        "grown": grown, "allocated": more, "total": one.total, "count": measure.summary.count,
        "clients": sum(row.count for row in measure.clients), "histogram": int(measure.histogram.counts.sum()),
        "produced": accounts.produced, "shown": accounts.shown, "lost": accounts.lost + accounts.rejected,
    }  # fmt: skip


def crowd(clients: int) -> dict[str, object]:
    """So many clients with a request each, after 100,000 others."""
    seconds = Seconds(clients)
    for _ in range(100):
        seconds.tick()
    before = rss()
    for _ in range(clients // EACH):
        seconds.tick()
    grown = rss() - before
    measure = seconds.store.measures(None)["request_latency"]
    return {
        "grown": grown, "total": seconds.total, "count": measure.summary.count,
        "clients": sum(row.count for row in measure.clients),
        "others": [row.count for row in measure.clients if row.client == "others"],
        "histogram": int(measure.histogram.counts.sum()),
    }  # fmt: skip


if __name__ == "__main__":
    main()
