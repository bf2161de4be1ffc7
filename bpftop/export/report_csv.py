"""A report as one CSV table, so that many intervals append to one file: rows for each measure, counter and key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bpftop.export.table import Cell, share
from bpftop.model import ClientRow, Measure, Snapshot


def csv_header() -> Sequence[Cell]:
    """The names of the columns. ``timestamp_ns`` is the Unix time of the end of the interval."""
    return (
        *("timestamp_ns", "duration_s", "measure", "count", "rate_per_s"),
        *("p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns"),
        *("produced", "lost", "rejected", "untracked", "unseen_s", "over_budget"),
        *("total_ns", "share_of_wall", "kind", "key"),
    )


def csv_rows(snapshot: Snapshot) -> Iterator[Sequence[Cell]]:
    """A row for each measure and counter, with an empty key, and behind it one for each of its keys."""
    a = snapshot.accounting
    start: tuple[Cell, ...] = (snapshot.unix_ns, float(snapshot.window.span_s))
    lost = (a.produced, a.lost, a.rejected, a.untracked, a.unseen_ns / 1e9)
    accounts: tuple[Cell, ...] = (*lost, "; ".join(snapshot.over_budget))
    for name, shown in snapshot.measures.items():
        s = shown.summary
        quantiles = (s.p50_ns, s.p90_ns, s.p95_ns, s.p99_ns, s.p999_ns, s.max_ns)
        whole = ClientRow("", s.count, s.rate_per_s, s.p50_ns, s.p99_ns, s.max_ns, s.total_ns)
        yield *start, name, s.count, float(s.rate_per_s), *quantiles, *accounts, *_total(whole), shown.measure.key, ""
        yield from _keys((*start, name), accounts, shown.measure, shown.clients)
    for name, counter in snapshot.counters.items():
        count = (counter.count, float(counter.rate_per_s), *(None,) * 6)
        yield *start, name, *count, *accounts, None, None, counter.measure.key, ""
        yield from _keys((*start, name), accounts, counter.measure, counter.rows)


def _keys(
    start: Sequence[Cell], accounts: Sequence[Cell], measure: Measure, rows: Sequence[ClientRow]
) -> Iterator[Sequence[Cell]]:
    """The keys have only some of the percentiles; a counter's have none."""
    for row in rows:
        times = (row.p50_ns, None, None, row.p99_ns, None, row.max_ns)
        yield *start, row.count, float(row.rate_per_s), *times, *accounts, *_total(row), measure.key, row.client


def _total(row: ClientRow) -> tuple[Cell, Cell]:
    return row.total_ns, share(row)
