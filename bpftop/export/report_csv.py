"""A report as one CSV table: a row per interval and measure, so that many intervals append to one file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bpftop.export.table import Cell
from bpftop.model import Snapshot


def csv_header() -> Sequence[Cell]:
    """The names of the columns. ``timestamp_ns`` is the Unix time of the end of the interval."""
    return (
        *("timestamp_ns", "duration_s", "measure", "count", "rate_per_s"),
        *("p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns"),
        *("produced", "lost", "rejected", "untracked", "over_budget"),
    )


def csv_rows(snapshot: Snapshot) -> Iterator[Sequence[Cell]]:
    """One row per measure."""
    a = snapshot.accounting
    for name, measure in snapshot.measures.items():
        s = measure.summary
        yield (
            *(snapshot.unix_ns, float(snapshot.window.span_s), name, s.count, float(s.rate_per_s)),
            *(s.p50_ns, s.p90_ns, s.p95_ns, s.p99_ns, s.p999_ns, s.max_ns),
            *(a.produced, a.lost, a.rejected, a.untracked, "; ".join(snapshot.over_budget)),
        )
