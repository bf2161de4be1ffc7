"""A snapshot as CSV files beside each other: long tables, integers in nanoseconds, the unit in the column name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bpftop.errors import FileError
from bpftop.export.files import NameTaken, create_all
from bpftop.export.table import Cell, share, to_csv
from bpftop.model import Snapshot, losses, run_s

_TRIES = 100


def write_snapshot(snapshot: Snapshot, directory: Path) -> tuple[Path, ...]:
    """Write percentiles, histogram, clients, slow requests, accounting, and the other tables by key: all or none.

    Returns their paths. Never overwrites: when the names are taken it takes others. Raises FileError.
    """
    named = tables(snapshot)
    for number in range(1, _TRIES + 1):
        stem = file_stem(snapshot) + (f"-{number}" if number > 1 else "")
        try:
            return create_all(directory, {f"{stem}-{name}.csv": text for name, text in named.items()})
        except NameTaken:
            continue
    raise FileError(f"{directory} holds {_TRIES} snapshots of this very second; nothing was written")


def tables(snapshot: Snapshot) -> dict[str, str]:
    """The text of every table by its name."""
    out = {
        "percentiles": to_csv(percentiles(snapshot)),
        "histogram": to_csv(histogram(snapshot)),
        "clients": to_csv(clients(snapshot)),
        "slow_requests": to_csv(slow_requests(snapshot)),
        "accounting": to_csv(accounting(snapshot)),
    }
    if any(m.measure.key != "client" for m in snapshot.measures.values()) or snapshot.counters:
        out["keys"] = to_csv(keys(snapshot))
    return out


def file_stem(snapshot: Snapshot) -> str:
    """``bpftop-nginx-20261122T204500Z``: the target made safe, the moment in ISO 8601 (basic format, UTC)."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", snapshot.target.name)[:40].strip("._-") or "target"
    return f"bpftop-{name}-{datetime.fromtimestamp(snapshot.unix_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}"


def percentiles(snapshot: Snapshot) -> Iterator[Sequence[Cell]]:
    """One row per measure."""
    yield (
        *("measure", "count", "rate_per_s", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns"),
        *("window_s",),
    )
    for name, measure in snapshot.measures.items():
        s = measure.summary
        quantiles = (s.p50_ns, s.p90_ns, s.p95_ns, s.p99_ns, s.p999_ns, s.max_ns)
        yield name, s.count, float(s.rate_per_s), *quantiles, float(snapshot.window.span_s)


def histogram(snapshot: Snapshot) -> Iterator[Sequence[Cell]]:
    """One row per bucket that holds something: ``low_ns <= latency < high_ns``."""
    yield "measure", "low_ns", "high_ns", "count"
    for name, measure in snapshot.measures.items():
        h = measure.histogram
        for low, high, count in zip(h.low_ns.tolist(), h.high_ns.tolist(), h.counts.tolist(), strict=True):
            yield name, low, high, count


def clients(snapshot: Snapshot) -> Iterator[Sequence[Cell]]:
    """One row per measure and client."""
    yield "measure", "client", "count", "rate_per_s", "p50_ns", "p99_ns", "max_ns"
    for name, measure in snapshot.measures.items():
        for row in measure.clients if measure.measure.key == "client" else ():
            yield name, row.client, row.count, float(row.rate_per_s), row.p50_ns, row.p99_ns, row.max_ns


def keys(snapshot: Snapshot) -> Iterator[Sequence[Cell]]:
    """One row per measure and key that is no client, and per counter and key; a counter's total has an empty key."""
    yield "measure", "kind", "key", "count", "rate_per_s", "p50_ns", "p99_ns", "max_ns", "total_ns", "share_of_wall"
    for name, measure in snapshot.measures.items():
        kind = measure.measure.key
        for row in measure.clients if kind != "client" else ():
            times = (row.p50_ns, row.p99_ns, row.max_ns, row.total_ns, share(row))
            yield name, kind, row.client, row.count, float(row.rate_per_s), *times
    for name, counter in snapshot.counters.items():
        kind = counter.measure.key
        yield name, kind, "", counter.count, float(counter.rate_per_s), *(None,) * 5
        for row in counter.rows:
            yield name, kind, row.client, row.count, float(row.rate_per_s), *(None,) * 5


def slow_requests(snapshot: Snapshot) -> Iterator[Sequence[Cell]]:
    """One row per event, slowest first; ``timestamp_ns`` is Unix time, further numbers follow."""
    first = ("timestamp_ns", "latency_ns", "event", "client")
    more: list[dict[str, Cell]] = [{**slow.fields, **slow.texts} for slow in snapshot.slow]
    further = list(dict.fromkeys(name for fields in more for name in fields if name not in first))
    yield *first, *further
    for slow, fields in zip(snapshot.slow, more, strict=True):
        yield slow.unix_ns, slow.latency_ns, slow.event, slow.client, *(fields.get(name) for name in further)


def accounting(snapshot: Snapshot) -> Iterator[Sequence[Cell]]:
    """What was counted and what was lost since the start, what it cost, and where it was."""
    a, o = snapshot.accounting, snapshot.overhead
    yield "quantity", "value"
    yield from (("produced", a.produced), ("shown", a.shown), ("suppressed", a.suppressed), ("lost", a.lost))
    yield from (("rejected", a.rejected), ("untracked", a.untracked))
    yield from (("unseen_s", round(a.unseen_ns / 1e9, 3)), ("run_s", round(run_s(snapshot), 3)))
    yield from (("overhead_ns_per_hit", o.ns_per_hit), ("overhead_hits_per_s", o.hits_per_s))
    yield from (("overhead_cpu_percent", o.cpu_percent), ("missed", snapshot.missed))
    yield "loss_share", round(losses(snapshot).share, 9)
    yield "inconclusive", "; ".join(losses(snapshot).problems)
    yield "over_budget", "; ".join(snapshot.over_budget)
    yield "window_s", float(snapshot.window.span_s)
    yield from (("target", snapshot.target.name), ("source", snapshot.tracer.source))
    yield from (("bpftrace", snapshot.bpftrace_version), ("kernel", snapshot.kernel))
