"""Snapshots for tests of everything that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bpftop.model import (
    Accounting,
    ClientRow,
    CounterSnapshot,
    Histogram,
    Measure,
    MeasureSnapshot,
    Overhead,
    Process,
    SlowRequest,
    Snapshot,
    State,
    Summary,
    Target,
    TargetKind,
    TracerStatus,
    Trend,
    Window,
)

UNIX_NS = 1_795_383_900_123_456_789
"""2026-11-22T21:45:00.123Z."""


def histogram(buckets: Sequence[tuple[int, int, int]] = ()) -> Histogram:
    """Low edge, high edge and count of each bucket."""
    columns = np.array(buckets, np.int64).reshape(-1, 3)
    return Histogram(columns[:, 0], columns[:, 1], columns[:, 2])


def measure(
    name: str = "request_latency",
    summary: Summary | None = None,
    buckets: Sequence[tuple[int, int, int]] = (),
    clients: Sequence[ClientRow] = (),
) -> MeasureSnapshot:
    """One measure; its title is the name with a capital letter."""
    empty = np.zeros(0)
    return MeasureSnapshot(
        Measure(name, name.replace("_", " ").capitalize(), "it begins", "it ends"),
        summary or Summary(0, 0.0),
        histogram(buckets),
        tuple(clients),
        Trend(empty, empty, empty, empty),
    )


def busy() -> MeasureSnapshot:
    """Four observations of two clients."""
    return measure(
        summary=Summary(4, 0.4, 1_000_000, 2_000_000, 2_000_000, 2_000_000, 2_000_000, 2_000_001),
        buckets=[(990_000, 1_010_000, 3), (1_990_000, 2_010_000, 1)],
        clients=[
            ClientRow("10.0.0.1", 3, 0.3, 1_000_000, 1_000_000, 1_000_000),
            ClientRow("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 1, 0.1, 2_000_000, 2_000_000, 2_000_001),
        ],
    )


def by_call() -> MeasureSnapshot:
    """Forty system calls of two kinds in ten seconds, a quarter of the time."""
    shown = measure(
        "read_time",
        Summary(40, 4.0, 50_000_000, 80_000_000, 85_000_000, 90_000_000, 99_000_000, 99_000_000, 2_500_000_000),
        clients=[
            ClientRow("pread64", 30, 3.0, 50_000_000, 90_000_000, 99_000_000, 2_000_000_000),
            ClientRow("openat", 10, 1.0, 50_000_000, 60_000_000, 60_000_000, 500_000_000),
        ],
    )
    return replace(shown, measure=replace(shown.measure, key="syscall"))


def scripted(measures: Mapping[str, MeasureSnapshot], slow: Sequence[SlowRequest] = ()) -> Snapshot:
    """A snapshot over 10 s with a counter by client besides."""
    resets = Measure("resets", "Resets", "", "", unit="count")
    counter = CounterSnapshot(resets, 7, 0.7, (ClientRow("10.0.0.1", 7, 0.7, None, None, None),))
    return replace(snapshot(measures, slow=slow), counters={"resets": counter})


def snapshot(
    measures: Mapping[str, MeasureSnapshot] | None = None,
    *,
    name: str = "nginx",
    slow: Sequence[SlowRequest] = (),
    accounting: Accounting | None = None,
    overhead: Overhead | None = None,
    source: str = "bpftrace",
) -> Snapshot:
    """A snapshot over 10 s."""
    return Snapshot(
        unix_ns=UNIX_NS,
        started_unix_ns=UNIX_NS - 12_000_000_000,
        target=Target(name, TargetKind.NAME, name, name[:15], (Process(11, 1, "x"), Process(12, 2, "x")), (80, 443)),
        window=Window("all", None, 10.0),
        measures={"request_latency": busy()} if measures is None else measures,
        slow=tuple(slow),
        accounting=accounting or Accounting(10, 4, 6, 0, 0, 0),
        overhead=overhead or Overhead(260.0, 1000.0, 0.026),
        tracer=TracerStatus(State.LIVE, source=source),
        scripts=(),
        bpftrace_version="0.17.0",
        kernel="6.18.0",
        ticks=10,
    )
