"""The answer on one screen: how slow, where the time goes, for whom."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from textual.binding import Binding, BindingType

from bpftop import units
from bpftop.model import ClientRow, MeasureSnapshot
from bpftop.ui import words
from bpftop.ui.clienttable import client_columns
from bpftop.ui.histogram import Look, histogram
from bpftop.ui.paint import EMPTY, Line, Role, Span, beside, joined, line, pad
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.panes.slow import kinds, of_kind, slow_columns
from bpftop.ui.plot import MIN_HEIGHT, latency_lines
from bpftop.ui.safe import safe
from bpftop.ui.table import Column, bar, table
from bpftop.ui.view import View


class Overview(MeasurePane):
    """Verdict, all measures, percentiles over time, clients; more where there is room."""

    TITLE = "Overview"
    SHORT = "Overview"
    WHOLE = True
    ABOUT = (
        "The first line is the answer in words. Below it every measure over the window; percentiles are within 0.8 %. "
        "A dim p99 rests on fewer than 100 observations, a dim p99.9 on fewer than 1,000. The chart shows p50 and p99 "
        "of the marked measure, one point a second, on a log axis; a gap is a second without observations."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "screen.next_measure(-1)", "Previous measure", show=False),
        Binding("down,j", "screen.next_measure(1)", "Next measure", show=False),
        Binding("m", "maximise", "Maximise", tooltip="the chart alone, or all again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.maximised = False

    def action_maximise(self) -> None:
        """The chart alone, or all again."""
        self.maximised = not self.maximised
        self.redraw()

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """Top down, the most important first; what has no room is left out whole."""
        shown = view.shown
        if shown is None:
            return []
        lines = joined(words.verdict(view.snapshot), width)
        if self.maximised:
            return [*lines, EMPTY, *chart(shown, view, width, height - len(lines) - 1)]
        lines += [EMPTY, *measures_table(view, width), EMPTY]
        room = height - len(lines)
        if room <= MIN_HEIGHT:
            return lines + (clients(shown, width, room) if room > 2 else [])
        if width < 76:
            return lines + chart(shown, view, width, room)
        if width >= 110 and room >= 24:
            return lines + _large(shown, view, width, room)
        side = 32 if width < 100 else min(46, width // 3)
        left = width - side - 3
        return lines + beside(chart(shown, view, left, room), clients(shown, side, room), left, 3)


def _large(shown: MeasureSnapshot, view: View, width: int, height: int) -> list[Line]:
    """Two columns: chart, time breakdown and histogram; clients and slow requests."""
    side = max(min(62, width * 2 // 5), 46)
    left = width - side - 3
    stages = breakdown(view, left)
    upper = (height - len(stages) - 2) * 11 // 20
    lower = height - upper - 1 - (len(stages) + 1 if stages else 0)
    one = [*chart(shown, view, left, upper), EMPTY]
    one += [*stages, EMPTY] if stages else []
    one += [_title("Histogram", shown), *histogram(shown, left, lower - 1, Look(view.log_counts))]
    two = [*clients(shown, side, upper), EMPTY]
    two += slowest(view, side, height - len(two))
    return beside(one, two, left, 3)


def _title(what: str, shown: MeasureSnapshot) -> Line:
    return line(Span(what, "strong"), Span(f"  {safe(shown.measure.title).lower()}", "dim"))


def measures_table(view: View, width: int) -> list[Line]:
    """One row a measure; the chosen one is marked."""
    chosen = view.shown
    few, fewer = words.ENOUGH_P99, words.ENOUGH_P999

    def title(row: MeasureSnapshot) -> Span:
        here = row is chosen
        return Span(("› " if here else "  ") + safe(row.measure.title, 40), "strong" if here else "")

    columns: list[Column[MeasureSnapshot]] = [
        Column("  Measure", 22, title, left=True, grow=8),
        Column("Rate", 7, lambda row: units.rate(row.summary.rate_per_s)),
        Column("Count", 6, lambda row: units.count(row.summary.count), rank=1),
        Column("p50", 7, lambda row: _dim_none(row.summary.p50_ns, row.summary.count, 1, "p50")),
        Column("p90", 7, lambda row: _dim_none(row.summary.p90_ns, row.summary.count, 1), rank=3),
        Column("p95", 7, lambda row: _dim_none(row.summary.p95_ns, row.summary.count, 1), rank=4),
        Column("p99", 7, lambda row: _dim_none(row.summary.p99_ns, row.summary.count, few, "p99")),
        Column("p99.9", 7, lambda row: _dim_none(row.summary.p999_ns, row.summary.count, fewer), rank=2),
        Column("Max", 7, lambda row: _dim_none(row.summary.max_ns, row.summary.count, 1)),
    ]
    if width >= 120:
        columns.append(Column("p99 over time", 14, lambda row: "", left=True, rank=5, grow=40, draw=_spark))
    return table(columns, list(view.snapshot.measures.values()), width)


def _dim_none(value: int | None, n: int, enough: int, role: Role = "") -> Span:
    return words.doubtful(units.duration(value), n, enough, role)


def _spark(row: MeasureSnapshot, width: int) -> tuple[Span, ...]:
    """The p99 of the last points, one cell each, on the row's own log scale."""
    values = row.trend.p99_ns[-width:]
    usable = np.isfinite(values) & (values > 0)
    if not usable.any():
        return (Span(" " * width),)
    logs = np.log10(np.where(usable, values, 1.0))
    low = float(logs[usable].min())
    scale = max(float(logs[usable].max()) - low, 0.3)
    marks = "▁▂▃▄▅▆▇"
    cells = (
        marks[min(int((each - low) / scale * 6.99), 6)] if good else " "
        for each, good in zip(logs, usable, strict=True)
    )
    return (Span("".join(cells).rjust(width), "bar"),)


def chart(shown: MeasureSnapshot, view: View, width: int, height: int) -> list[Line]:
    """p50 and p99 over time under a heading that says which line is which."""
    if height < MIN_HEIGHT + 1:
        return []
    window = view.snapshot.window
    heading = line(
        Span(safe(shown.measure.title, max(width - 12, 8)), "strong"), Span("  p99", "p99"), Span("  p50", "p50")
    )
    span_s = window.length_s if window.length_s is not None else math.inf
    return [heading, *latency_lines(shown.trend, span_s, width, height - 1)]


def clients(shown: MeasureSnapshot, width: int, height: int) -> list[Line]:
    """The clients with the highest p99; those seen often enough first."""
    rows = [row for row in shown.clients if row.client != words.OTHERS and row.count]
    rows.sort(key=lambda row: (row.count >= words.ENOUGH_P99, row.p99_ns or 0), reverse=True)
    heading = line(Span("Slowest clients", "strong"), Span(f"  {len(rows):,} seen", "dim"))
    if not rows:
        return [heading, line(Span("no client figures", "dim"))]
    columns: list[Column[ClientRow]] = client_columns(
        max(shown.summary.count, 1), max(len(row.client) for row in rows), brief=True
    )
    return [heading, *table(columns, rows[: max(height - 2, 0)], width)]


def slowest(view: View, width: int, height: int) -> list[Line]:
    """The slowest single requests."""
    found = of_kind(view.snapshot, next(iter(kinds(view.snapshot)), ""))
    rows = found[: max(height - 2, 0)]
    heading = line(Span("Slowest requests", "strong"), Span(f"  {len(found):,} in the window", "dim"))
    if not rows:
        return [heading, line(Span("none sent by the kernel yet", "dim"))]
    return [heading, *table(slow_columns(rows), rows, width)]


def breakdown(view: View, width: int) -> list[Line]:
    """Where the time of all requests together went."""
    parts = words.stages(view.snapshot)
    if not parts:
        return []
    room = max(width - 14 - 8 - 10, 8)
    lines = [line(Span("Where the time goes", "strong"), Span("  all requests of the window together", "dim"))]
    for label, total, share in parts:
        lines.append(
            line(
                Span(pad(label, 14, left=True)),
                Span(bar(share, room), "bar"),
                Span(pad(units.percent(share), 7), "strong"),
                Span(pad(units.duration(total), 10), "dim"),
            )
        )
    return lines
