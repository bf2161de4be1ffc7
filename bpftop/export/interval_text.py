"""One interval as one line, like vmstat: for `report -i` in text."""

from __future__ import annotations

from datetime import UTC, datetime

from bpftop import units
from bpftop.model import MeasureSnapshot, Snapshot


def heading() -> str:
    """The names of the columns: request latency, and how long requests waited to be read."""
    return f"{'UTC':8} {'n':>6} {'rate':>8} {'p50':>8} {'p90':>8} {'p99':>8} {'max':>8} {'wait p99':>8} {'lost':>6}"


def line(snapshot: Snapshot) -> str:
    """The figures under the heading."""
    moment = datetime.fromtimestamp(snapshot.unix_ns / 1e9, UTC)
    main = snapshot.measures.get("request_latency") or next(iter(snapshot.measures.values()), None)
    waited = snapshot.measures.get("read_queue_latency")
    return f"{moment:%H:%M:%S} {_figures(main)} {_p99(waited):>8} {units.count(snapshot.accounting.lost):>6}"


def _figures(measure: MeasureSnapshot | None) -> str:
    if measure is None:
        return f"{'–':>6} {'–':>8} {'–':>8} {'–':>8} {'–':>8} {'–':>8}"
    s = measure.summary
    times = " ".join(f"{units.duration(value):>8}" for value in (s.p50_ns, s.p90_ns, s.p99_ns, s.max_ns))
    return f"{units.count(s.count):>6} {units.rate(s.rate_per_s):>8} {times}"


def _p99(measure: MeasureSnapshot | None) -> str:
    return units.duration(measure.summary.p99_ns if measure else None)
