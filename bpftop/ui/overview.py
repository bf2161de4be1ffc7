"""The parts of the overview: all measures, the chart, the clients of the slow requests, the workers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from typing import NamedTuple

from bpftop import units
from bpftop.model import ClientRow, MeasureSnapshot, Snapshot
from bpftop.ui import words
from bpftop.ui.kinds import REQUEST, of_kind
from bpftop.ui.paint import Line, Role, Span, fit, line
from bpftop.ui.plot import MIN_HEIGHT, latency_lines
from bpftop.ui.safe import safe
from bpftop.ui.table import Column, bar, sparkline, table
from bpftop.ui.view import View

_SHORT = {"Response time": "Response", "Connection duration": "Connection"}
_ROWS = 4
"""With fewer rows the clients are in a single one."""
_DENSE = 100
"""Below this width the columns are close together and the titles short."""


class _Row(NamedTuple):
    """One measure in the table."""

    shown: MeasureSnapshot
    chosen: bool
    usual: float | None


def measures_shown(view: View, most: int) -> list[MeasureSnapshot]:
    """Those that have a row each: all, or ``most`` less one and the chosen one among them."""
    chosen, measures = view.shown, list(view.snapshot.measures.values())
    if len(measures) <= most:
        return measures
    kept = measures[: most - 1]
    return kept if chosen is None or chosen in kept else [*kept[:-1], chosen]


def measures_table(view: View, width: int, most: int) -> list[Line]:
    """One row a measure, the chosen one marked and always there; where there are more than ``most`` it is said."""
    chosen, dense = view.shown, width < _DENSE
    measures = measures_shown(view, most)
    hidden = len(view.snapshot.measures) - len(measures)
    rows = [_Row(each, each is chosen, usual(view, each.measure.name)) for each in measures]
    lines = table(_MEASURES_DENSE if dense else _MEASURES, rows, width, gap=1 if dense else 2)
    return [*lines, line(Span(f"  and {hidden} more measures  (up, down)", "dim"))] if hidden else lines


def _title(row: _Row, dense: bool) -> Span:
    name = row.shown.measure.title
    name = _SHORT.get(name, name).removesuffix(" latency") if dense else name
    return Span(("› " if row.chosen else "  ") + safe(name, 14 if dense else 40), "strong" if row.chosen else "")


def _figure(name: str, field: str, enough: int, rank: int = 0, role: Role = "") -> Column[_Row]:
    value = attrgetter(field)

    def cell(row: _Row) -> Span:
        summary = row.shown.summary
        return words.doubtful(units.duration(value(summary)), summary.count, enough, role)

    return Column(name, 7, cell, rank=rank)


def _columns(dense: bool) -> tuple[Column[_Row], ...]:
    few, fewer = words.ENOUGH_P99, words.ENOUGH_P999
    rate: Column[_Row] = Column("Rate", 7, lambda row: units.rate(row.shown.summary.rate_per_s), rank=1)
    return (
        Column("  Measure", 15 if dense else 22, partial(_title, dense=dense), left=True, grow=2 if dense else 8),
        *(() if dense else (rate,)),
        Column("n", 5 if dense else 6, lambda row: units.count(row.shown.summary.count)),
        _figure("p50", "p50_ns", 1, role="p50"),
        _figure("p90", "p90_ns", 1, 3),
        _figure("p95", "p95_ns", 1, 4),
        _figure("p99", "p99_ns", few, role="p99"),
        _figure("p99.9", "p999_ns", fewer, 2),
        _figure("Max", "max_ns", 1),
        Column("Trend" if dense else "p99 over time", 8 if dense else 14, lambda row: "", left=True, rank=5,
               grow=0 if dense else 40, draw=_spark),
    )  # fmt: skip


def _spark(row: _Row, width: int) -> tuple[Span, ...]:
    """The p99 of the last points, one cell each, on the row's own log scale, which begins at what is usual."""
    return (Span(sparkline(row.shown.trend.p99_ns, width, row.usual), "bar"),)


_MEASURES, _MEASURES_DENSE = _columns(False), _columns(True)


def usual(view: View, name: str) -> float | None:
    """The p99 of the marked baseline, or of the calm seconds before; None while neither is known."""
    marked = view.baseline.measures.get(name) if view.baseline is not None else None
    before = marked.summary if marked is not None else None
    if before is None or not before.count:
        recent = view.snapshot.recent.get(name)
        before = recent.before if recent is not None else None
    return float(before.p99_ns) if before is not None and before.p99_ns else None


def chart(shown: MeasureSnapshot, view: View, width: int, height: int, *, large: bool = False) -> list[Line]:
    """p50 and p99 over time under a heading that says which line is which."""
    if height < MIN_HEIGHT + 1:
        return []
    window = view.snapshot.window
    heading = line(
        Span(safe(shown.measure.title, max(width - 12, 8)), "strong"), Span("  p99", "p99"), Span("  p50", "p50")
    )
    span_s = window.length_s if window.length_s is not None else math.inf
    return [heading, *latency_lines(shown.trend, span_s, width, height - 1, large=large)]


def clients(shown: MeasureSnapshot, width: int, height: int) -> list[Line]:
    """The clients with the most slow requests, with their share of them; with little room in one row."""
    rows = [row for row in shown.clients if row.count and (row.client != words.OTHERS or row.slow)]
    rows.sort(key=lambda row: (row.slow or 0, row.count), reverse=True)
    slow, total = max(shown.slow, 1), max(shown.summary.count, 1)
    seen = [
        _Client(row, min((row.slow or 0) / slow, 1.0), min(row.count / total, 1.0))
        for row in rows[: max(height - 2, _ROWS)]
    ]
    title = f"{words.key_titles(shown.measure.key)} of the slowest 1 %"
    if height < _ROWS:
        return [_in_a_row(title, seen, width)] if seen and height > 0 else []
    if not rows:
        return [line(Span(words.key_titles(shown.measure.key), "strong")), line(Span("no client figures", "dim"))]
    limit = units.duration(shown.summary.p99_ns)
    for said in (f"  from {limit} on, n {shown.slow:,}", f"  from {limit} on", ""):
        heading = line(Span(title, "strong"), Span(said, "dim"))
        if heading.cells <= width:
            break
    columns = _client_columns(words.KEY_TITLES.get(shown.measure.key, "Name"), max([len(row.client) for row in rows]))
    return [heading, *table(columns, seen[: height - 2], width)]


def _in_a_row(title: str, seen: Sequence[_Client], width: int) -> Line:
    """``Clients of the slowest 1 %  10.0.3.7 92 %  10.0.0.9 3 %``: as many as have room."""
    here = line(Span(title, "strong"))
    for each in seen:
        more = line(*here.spans, Span(f"  {safe(each.row.client, 39)} "), Span(words.share(each.of_slow), "strong"))
        if more.cells > width or not each.row.slow:
            break
        here = more
    return fit(here, width)


class _Client(NamedTuple):
    """One client in the table."""

    row: ClientRow
    of_slow: float
    of_all: float


@lru_cache(maxsize=8)
def _client_columns(title: str, longest: int) -> tuple[Column[_Client], ...]:
    return (
        Column(title, 15, lambda each: safe(each.row.client, 39), left=True, grow=max(min(longest, 39) - 15, 0)),
        Column("Of slow", 7, lambda each: Span(words.share(each.of_slow), "strong")),
        Column("Of all", 6, lambda each: words.share(each.of_all), rank=1),
        Column("p99", 7, lambda each: words.p99(each.row, "p99")),
        Column("p50", 7, lambda each: Span(units.duration(each.row.p50_ns), "p50"), rank=2),
        Column("Count", 6, lambda each: units.count(each.row.count), rank=3),
        Column("Max", 7, lambda each: units.duration(each.row.max_ns), rank=4),
        Column("", 8, lambda each: "", rank=5, grow=24, draw=lambda each, n: (Span(bar(each.of_slow, n), "bar"),)),
    )


@dataclass(frozen=True, slots=True)
class Worker:
    """One process in the single requests of the window."""

    pid: int
    requests: int
    longest_wait_ns: int
    longest_ns: int


def workers_of(snapshot: Snapshot) -> list[Worker]:
    """The processes that answered the single slow requests, the most first."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for each in of_kind(snapshot, REQUEST):
        if "pid" in each.fields:
            found[each.fields["pid"]].append((each.fields.get("read_queue_ns", 0), each.latency_ns))
    rows = [
        Worker(pid, len(seen), max(wait for wait, _ in seen), max(whole for _, whole in seen))
        for pid, seen in found.items()
    ]
    return sorted(rows, key=lambda row: -row.requests)


def workers(snapshot: Snapshot, width: int, height: int) -> list[Line]:
    """Which worker the slow requests went through; nothing without single requests or room."""
    rows = workers_of(snapshot)
    if not rows or height < 3:
        return []
    total = sum(row.requests for row in rows)
    names = {process.pid: process.comm for process in snapshot.target.processes}
    seen = [_Seen(row, safe(f"{names.get(row.pid, '')} {row.pid}".strip(), 24), row.requests / total) for row in rows]
    heading = line(Span("Workers", "strong"), Span(f"  of the {total:,} slow requests seen one by one", "dim"))
    return [heading, *table(_WORKERS, seen[: height - 2], width)]


class _Seen(NamedTuple):
    """One worker in the table."""

    worker: Worker
    name: str
    share: float


_WORKERS: tuple[Column[_Seen], ...] = (
    Column("Worker", 14, lambda each: each.name, left=True, grow=10),
    Column("Slow", 5, lambda each: f"{each.worker.requests:,}"),
    Column("Share", 6, lambda each: words.share(each.share)),
    Column("Longest wait", 12, lambda each: units.duration(each.worker.longest_wait_ns)),
    Column("Longest", 8, lambda each: units.duration(each.worker.longest_ns), rank=1),
)
