"""The figures of one client, route … alone: its table, its counters, what a baseline and a filter are to it."""

from __future__ import annotations

from collections.abc import Mapping

from bpftop import units
from bpftop.model import MeasureSnapshot, Snapshot
from bpftop.ui import words
from bpftop.ui.filters import Filter
from bpftop.ui.histogram import change
from bpftop.ui.paint import Line, Role, Span, joined
from bpftop.ui.panes.slow import time_of_day
from bpftop.ui.safe import safe
from bpftop.ui.table import Column
from bpftop.ui.view import View

_COLUMNS: list[Column[MeasureSnapshot]] = [
    Column("Measure", 20, lambda each: safe(each.measure.title, 30), left=True, grow=10),
    Column("Count", 6, lambda each: units.count(each.summary.count)),
    Column("Rate", 8, lambda each: units.rate(each.summary.rate_per_s), rank=3),
    Column("p50", 7, lambda each: Span(units.duration(each.summary.p50_ns), "p50")),
    Column("p90", 7, lambda each: units.duration(each.summary.p90_ns), rank=2),
    Column("p99", 7, lambda each: words.p99(each.summary, "p99")),
    Column("Max", 7, lambda each: units.duration(each.summary.max_ns), rank=1),
]


def figure_columns(base: Mapping[str, MeasureSnapshot]) -> list[Column[MeasureSnapshot]]:
    """With the change of p50 and p99 where there is a baseline."""
    if not base:
        return _COLUMNS

    def changed(field: str) -> Column[MeasureSnapshot]:
        def cell(each: MeasureSnapshot) -> Span:
            then = base.get(each.measure.name)
            return change(getattr(each.summary, field), getattr(then.summary, field) if then else None)

        return Column("±", 6, cell)

    *before, p90, p99, longest = _COLUMNS
    return [*before, changed("p50_ns"), p90, p99, changed("p99_ns"), longest]


def counters(alone: Snapshot, width: int) -> list[Line]:
    """What is only counted, when there was any."""
    clauses: list[list[Span]] = []
    for each in alone.counters.values():
        role: Role = "warn" if each.count else "dim"
        title = safe(each.measure.title.removesuffix(" per client"), 30)
        clauses.append([Span(f"{title} ", "dim"), Span(units.count(each.count), role)])
    return joined(clauses, width) if clauses else []


def said(view: View, wanted: Filter, compared: bool, width: int) -> list[Line]:
    """The filter of the lists, and whether there is a baseline of this one."""
    clauses = []
    if wanted.terms:
        clauses.append([Span(f"filter of the lists: {safe(wanted.text, 40)}", "accent"), Span("  Esc: all", "dim")])
    if view.baseline is not None:
        moment = time_of_day(view.baseline.unix_ns)[:8]
        why = "a file does not have it by client" if view.baseline.from_file else "it was not there then"
        clauses.append([Span(f"± since {moment}" if compared else f"no baseline of it: {why}", "dim")])
    return joined(clauses, width) if clauses else []
