"""For whom is it slow? Every client of the chosen measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import BindingType

from bpftop import units
from bpftop.model import ClientRow, Measure, MeasureSnapshot
from bpftop.ui import words
from bpftop.ui.paint import EMPTY, Line, Span, beside, line
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.panes.lists import ListPane, by_figure, by_name
from bpftop.ui.panes.slow import REQUEST, of_kind, slow_columns
from bpftop.ui.safe import safe
from bpftop.ui.table import Column, bar, table
from bpftop.ui.view import View, headline


def client_columns(total: int, longest: int, *, brief: bool = False) -> list[Column[ClientRow]]:
    """The columns of a client table; ``brief`` for a corner of the overview."""
    grow = max(min(longest, 39) - 15, 0)
    columns: list[Column[ClientRow]] = [
        Column("Client", 15, lambda row: safe(row.client, 39), left=True, grow=grow),
        Column("Count", 6, lambda row: units.count(row.count), rank=2 if brief else 0),
        Column("Rate", 7, lambda row: units.rate(row.rate_per_s), rank=4),
        Column("p50", 7, lambda row: Span(units.duration(row.p50_ns), "p50"), rank=5 if brief else 1),
        Column("p99", 7, lambda row: words.p99(row, "p99")),
        Column("Max", 7, lambda row: units.duration(row.max_ns), rank=3),
        Column("Share", 6, lambda row: words.share(row.count / total), rank=6),
    ]
    if not brief:
        columns.append(
            Column(
                "", 8, lambda row: "", rank=7, grow=30, draw=lambda row, n: (Span(bar(row.count / total, n), "bar"),)
            )
        )
    return columns


def portrait(view: View, client: str, width: int, height: int) -> list[Line]:
    """One client in every measure, and its slow requests."""
    found = [
        (shown.measure, row)
        for shown in view.snapshot.measures.values()
        for row in shown.clients
        if row.client == client and shown.measure.key == "client"
    ]
    columns: list[Column[tuple[Measure, ClientRow]]] = [
        Column("Measure", 20, lambda each: safe(each[0].title, 30), left=True, grow=8),
        Column("Count", 6, lambda each: units.count(each[1].count)),
        Column("p50", 7, lambda each: Span(units.duration(each[1].p50_ns), "p50")),
        Column("p99", 7, lambda each: words.p99(each[1], "p99")),
        Column("Max", 7, lambda each: units.duration(each[1].max_ns), rank=1),
    ]
    lines = [line(Span(safe(client, 40), "strong"), Span("  in every measure", "dim")), EMPTY]
    lines += table(columns, found, width)
    rows = [each for each in of_kind(view.snapshot, REQUEST) if each.client == client]
    lines += [EMPTY, line(Span("Its slow requests", "strong"), Span(f"  {len(rows):,} in the window", "dim"))]
    room = height - len(lines) - 1
    return lines + table(slow_columns(rows, client=False), rows[:room], width) if rows and room > 0 else lines


class Clients(ListPane[ClientRow], MeasurePane):
    """Sortable table of clients, ``others`` last."""

    TITLE = "Clients"
    SHORT = "Clients"
    ABOUT = (
        "Every client address of the chosen measure over the window. Percentiles of a client are within 3 %; "
        "'others' are the clients beyond those kept one by one, so the counts add up to the total."
    )
    BINDINGS: ClassVar[list[BindingType]] = []
    SORTS = ("Count", "p99", "p50", "Max", "Client")

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """The table; where there is room the chosen client in every measure beside it."""
        if width < 120:
            return super().draw(view, width, height)
        side = min(64, width - 76)
        left = width - side - 3
        lines = super().draw(view, left, height)
        row = self.chosen(view)
        return beside(lines, portrait(view, row.client, side, height) if row else [], left, 3)

    def accepts(self, measure: Measure) -> bool:
        """Only what is split by client."""
        return measure.key == "client"

    def subject(self, view: View) -> MeasureSnapshot | None:
        """The chosen measure; the headline when that is not about clients."""
        shown = view.shown if view.shown and self.accepts(view.shown.measure) else headline(view.snapshot)
        return shown if shown and self.accepts(shown.measure) else None

    def rows(self, view: View) -> Sequence[ClientRow]:
        """The clients of the chosen measure."""
        shown = self.subject(view)
        return shown.clients if shown else ()

    def columns(self, view: View) -> list[Column[ClientRow]]:
        """With shares of the measure's count."""
        rows = self.rows(view)
        shown = self.subject(view)
        total = max(shown.summary.count if shown else 0, sum(row.count for row in rows), 1)
        return client_columns(total, max((len(row.client) for row in rows), default=15))

    def sort_keys(self, rows: Sequence[ClientRow], sort: str) -> NDArray[np.float64]:
        """Numbers for numpy; names by their rank."""
        if sort == "Client":
            return by_name([row.client for row in rows])
        field = {"Count": "count", "p99": "p99_ns", "p50": "p50_ns", "Max": "max_ns"}[sort]
        return by_figure(getattr(row, field) for row in rows)

    def key(self, row: ClientRow) -> object:
        """The address."""
        return row.client

    def pinned(self, rows: Sequence[ClientRow]) -> int:
        """``others`` is no client."""
        return 1 if rows and rows[-1].client == words.OTHERS else 0

    def heading(self, view: View, width: int) -> list[Line]:
        """Which measure this is about."""
        shown = self.subject(view)
        if shown is None:
            return [line(Span("no script that runs tells clients apart", "strong")), EMPTY]
        rows = self.rows(view)
        clients = len(rows) - self.pinned(rows)
        more = " and others" if self.pinned(rows) else ""
        title = safe(shown.measure.title)
        if not rows:
            return [line(Span(title, "strong"), Span("  no client figures in this window", "dim")), EMPTY]
        return [line(Span(title, "strong"), Span(f"  {clients:,} client{'s' * (clients != 1)}{more}", "dim")), EMPTY]
