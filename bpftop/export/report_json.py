"""A snapshot as JSON: schema 1, integers in nanoseconds. Keys may be added; none changes its meaning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bpftop.export.report_slow import slowest_json
from bpftop.export.report_stood_out import stood_out_json
from bpftop.model import ClientRow, CounterSnapshot, MeasureSnapshot, Snapshot, losses, run_s
from bpftop.stats.episodes import Episode
from bpftop.text import safe

SCHEMA = 1


def to_json(snapshot: Snapshot, episodes: Sequence[Episode] | None = None) -> dict[str, Any]:
    """The figures over the snapshot's window, ready for ``json.dumps``; ``episodes``: what stood out."""
    span_ns = round(snapshot.window.span_s * 1e9)
    a, o = snapshot.accounting, snapshot.overhead
    return {
        "schema": SCHEMA,
        "target": {
            "name": safe(snapshot.target.name),
            "pids": list(snapshot.target.pids),
            "ports": list(snapshot.target.ports),
        },
        "started_at": iso_utc(snapshot.unix_ns - span_ns),
        "duration_s": round(snapshot.window.span_s, 3),
        **({} if episodes is None else {"stood_out": stood_out_json(episodes)}),
        "measures": {name: _measure(measure) for name, measure in snapshot.measures.items()},
        "counters": {name: _counter(counter) for name, counter in snapshot.counters.items()},
        "slowest": slowest_json(snapshot),
        "accounting": {
            "produced": a.produced,
            "shown": a.shown,
            "suppressed": a.suppressed,
            "lost": a.lost,
            "rejected": a.rejected,
            "untracked": a.untracked,
            "unseen_s": round(a.unseen_ns / 1e9, 3),
            "run_s": round(run_s(snapshot), 3),
        },
        "loss_share": _share(losses(snapshot).share),
        "inconclusive": list(losses(snapshot).problems),
        "overhead": {
            "ns_per_hit": _number(o.ns_per_hit),
            "hits_per_s": _number(o.hits_per_s),
            "cpu_percent": _number(o.cpu_percent),
            "missed": snapshot.missed,
        },
        "over_budget": [safe(sentence, 300) for sentence in snapshot.over_budget],
        "bpftrace": {"version": snapshot.bpftrace_version},
        "kernel": snapshot.kernel,
        "source": snapshot.tracer.source,
    }


def iso_utc(unix_ns: int) -> str:
    """``2026-11-22T20:45:00.123Z``."""
    moment = datetime.fromtimestamp(unix_ns / 1e9, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _measure(measure: MeasureSnapshot) -> dict[str, Any]:
    s, h = measure.summary, measure.histogram
    edges = zip(h.low_ns.tolist(), h.high_ns.tolist(), h.counts.tolist(), strict=True)
    return {
        "count": int(s.count),
        "rate_per_s": _number(s.rate_per_s),
        "p50_ns": _whole(s.p50_ns),
        "p90_ns": _whole(s.p90_ns),
        "p95_ns": _whole(s.p95_ns),
        "p99_ns": _whole(s.p99_ns),
        "p999_ns": _whole(s.p999_ns),
        "max_ns": _whole(s.max_ns),
        "total_ns": _whole(s.total_ns),
        "histogram": [list(bucket) for bucket in edges],
        **_rows(measure.measure.key, measure.clients, timed=True),
    }


def _counter(counter: CounterSnapshot) -> dict[str, Any]:
    return {
        "count": counter.count,
        "rate_per_s": _number(counter.rate_per_s),
        **_rows(counter.measure.key, counter.rows, timed=False),
    }


def _rows(key: str, rows: Sequence[ClientRow], *, timed: bool) -> dict[str, Any]:
    """``clients``, or ``keys`` with the name of their kind; nothing where a measure has no table."""
    if key == "none":
        return {}
    name = "client" if key == "client" else "key"
    table = [{name: safe(row.client), **_row(row, timed), **_of_wall(row, timed and key != "client")} for row in rows]
    return {"clients": table} if key == "client" else {"key": key, "keys": table}


def _row(row: ClientRow, timed: bool) -> dict[str, Any]:
    counted = {"count": int(row.count), "rate_per_s": _number(row.rate_per_s)}
    if not timed:
        return counted
    times = {"p50_ns": row.p50_ns, "p99_ns": row.p99_ns, "max_ns": row.max_ns, "total_ns": row.total_ns}
    return counted | {name: _whole(value) for name, value in times.items()}


def _share(value: float) -> float:
    return round(value, 9)


def _of_wall(row: ClientRow, wanted: bool) -> dict[str, Any]:
    """A thread that is in a call for a millionth of the time is seen."""
    share = row.share_of_wall
    return {"share_of_wall": None if share is None else round(share, 6)} if wanted else {}


def _whole(value: int | None) -> int | None:
    return None if value is None else int(value)


def _number(value: float | None) -> float | None:
    """Three decimals; JSON has no word for what is not a number."""
    return None if value is None or not math.isfinite(value) else round(float(value), 3)
