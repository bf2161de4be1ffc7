"""For whom is it slow? Every client of the chosen measure, by address, by network, or the upstreams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import Binding, BindingType

from bpftop.model import ClientRow, History, Measure, MeasureSnapshot, State
from bpftop.stats.clients import client_rows
from bpftop.stats.groups import Networks
from bpftop.stats.onekey import RecentP99
from bpftop.stats.past import dense_counts, history_of
from bpftop.ui import words
from bpftop.ui.clienttable import IN_CELL, client_columns, counted, from_events, per_client, pinned_words, portrait
from bpftop.ui.paint import EMPTY, Line, Span, beside, fit, line, wrapped
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.panes.lists import ListPane, by_figure, by_name
from bpftop.ui.pin import Part, in_range, kept_by_key
from bpftop.ui.safe import safe
from bpftop.ui.subject import NETWORK, Subject
from bpftop.ui.table import Column, sparkline
from bpftop.ui.view import View, headline

ADDRESS, UPSTREAM = "address", "upstream"
GROUPS = (ADDRESS, NETWORK, UPSTREAM)
_TITLES = {ADDRESS: "Client", NETWORK: "Network", UPSTREAM: "Upstream"}
_RETRANSMITS, _ERRORS = ("retransmits",), ("client_errors_4xx", "client_errors_5xx")
_TABLE, _WIDE = 95, 150
"""What all columns take, the trend too, and from where on there is room beside them."""
TREND_S = 60
"""Seconds of a trend."""


class Clients(ListPane[ClientRow], MeasurePane):
    """Sortable table of clients, ``others`` last."""

    TITLE = "Clients"
    SHORT = "Clients"
    ABOUT = (
        "Every client address of the chosen measure over the window. Percentiles of a client are within 3 %. Of more "
        "than a thousand the busiest and the slowest are kept one by one; 'others' are the rest, so the counts add up "
        "to the total, and networks ('a') have all of their clients (in a flood: of the last seconds). 'Share' is the "
        "client's part of all, 'Slow' that of the slowest 1 % of all. The trend is p99 of each of the last 60 seconds "
        "on the client's own log scale. Retransmits come with the script tcp, errors (answers 4xx and 5xx) with http. "
        "'a' groups by network (/24, IPv6 /64), then shows upstreams. Enter looks at one alone. With a pinned piece of "
        "the heat map the figures are those of its seconds (as the clock counts them: the histogram's end up to 50 ms "
        "later), and 'In cell' is how much of its range of latencies is the client's ('≤': at its edges it may be "
        "less)."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "group", "Group", tooltip="by address, by network (/24, IPv6 /64), upstreams"),
    ]
    SORTS = ("Count", "p99", "Slow", "p50", "Max", "Client", "Rate", "Retr", "Errors", IN_CELL)
    FIGURES: ClassVar[Mapping[str, str]] = {**ListPane.FIGURES, "slow": "slow", "retr": "retr", "errors": "errors"}

    def __init__(self) -> None:
        super().__init__()
        self.group = ADDRESS
        self._kept: tuple[object, object, Sequence[ClientRow]] = ((), (), ())
        self._retransmits: Mapping[str, int] | None = None
        self._errors: Mapping[str, int] | None = None
        self._cell: Mapping[int, Part] | None = None
        self._history = History()
        self._totals = (1, 1)
        """All observations, and the slow ones."""
        self._p99 = RecentP99()
        self._trends: dict[str, NDArray[np.float64]] = {}
        self._sort_before: int | None = None

    # what is shown

    def action_group(self) -> None:
        """Clients by address, by network, then upstreams; from the top."""
        self.group = GROUPS[(GROUPS.index(self.group) + 1) % len(GROUPS)]
        self._go(0)

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """The table; where there is room the chosen client in every measure beside it."""
        self._follow_pin(view)
        if width < _WIDE or self.group != ADDRESS:
            return super().draw(view, width, height)
        side = min(64, width - _TABLE - 3)
        left = width - side - 3
        lines = super().draw(view, left, height)
        row = self.chosen(view)
        return beside(lines, portrait(view, row.client, side, height) if row else [], left, 3)

    def _follow_pin(self, view: View) -> None:
        """While a piece of the heat map is pinned, the clients with most of it come first."""
        if view.box is not None and self._sort_before is None:
            self._sort_before, self.sort, self.reversed = self.sort, self.SORTS.index(IN_CELL), False
        elif view.box is None and self._sort_before is not None:
            self.sort, self._sort_before = self._sort_before, None

    def accepts(self, measure: Measure) -> bool:
        """Only what is split by client."""
        return measure.key == "client"

    def explained(self, view: View) -> list[Measure]:
        """Those that are split by client."""
        return [each for each in super().explained(view) if self.accepts(each)]

    def subject_measure(self, view: View) -> MeasureSnapshot | None:
        """The chosen measure; the headline when that is not about clients; for upstreams their latency."""
        if self.group == UPSTREAM:
            return view.snapshot.measures.get("upstream_latency")
        shown = view.shown if view.shown and self.accepts(view.shown.measure) else headline(view.snapshot)
        return shown if shown and self.accepts(shown.measure) else None

    def rows(self, view: View) -> Sequence[ClientRow]:
        """The clients of the chosen measure, made once for each snapshot."""
        shown = self.subject_measure(view)
        of, choice, rows = self._kept
        if of is not shown or choice != (view.box, self.group):
            rows = self._made(shown, view) if shown else ()
            self._kept = shown, (view.box, self.group), rows
        return rows

    def _made(self, shown: MeasureSnapshot, view: View) -> Sequence[ClientRow]:
        snapshot, name = view.snapshot, shown.measure.name
        history = history_of(snapshot, name)
        rows: Sequence[ClientRow] = shown.clients
        if view.box is not None and not rows and not kept_by_key(view):
            rows = from_events(view)
        if self.group == NETWORK and history.keyed is not None and history.names is not None:
            networks = Networks(history.names)
            history = replace(
                history,
                keyed=networks.grouped(history.keyed),
                keyed_pieces=tuple(map(networks.grouped, history.keyed_pieces[-TREND_S:])),
            )
            assert history.keyed is not None
            position = history.measures.index(name)
            span_s = shown.summary.count / shown.summary.rate_per_s if shown.summary.rate_per_s else 1.0
            counts = dense_counts(shown.histogram)
            rows = client_rows(history.keyed, position + 1, span_s, counts, networks.label)
        self._history = history
        total, slow = sum(row.count for row in rows), sum(row.slow or 0 for row in rows)
        self._totals = max(shown.summary.count, total, 1), max(shown.slow, slow, 1)
        by_network = self.group == NETWORK
        self._retransmits = per_client(snapshot, _RETRANSMITS, by_network)
        self._errors = per_client(snapshot, _ERRORS, by_network)
        self._cell = in_range(history, view.box) if view.box and view.box.measure == name else None
        return rows

    def prepare(self, view: View, visible: Sequence[ClientRow]) -> None:
        """The trends of the visible rows."""
        shown = self.subject_measure(view)
        rows = [row for row in visible if row.code]
        found = self._p99(self._history, shown.measure.name if shown else "", [row.code for row in rows], TREND_S)
        self._trends = {row.client: found[i] for i, row in enumerate(rows)}

    def subject(self, row: ClientRow, view: View) -> Subject | None:
        """A client, a network or an upstream."""
        shown = self.subject_measure(view)
        if not row.code or shown is None:
            return None
        kind = NETWORK if self.group == NETWORK else shown.measure.key
        return Subject(kind, row.client, row.code, shown.measure.name)

    # columns

    def columns(self, view: View) -> list[Column[ClientRow]]:
        """The most telling ones where there is little room."""
        rows = self.rows(view)
        total, slow = self._totals
        columns = client_columns(total, self._longest(rows))
        columns[0] = columns[0]._replace(title=_TITLES[self.group], sort="Client")
        columns[-1] = Column("Slow", 6, lambda row: words.share((row.slow or 0) / slow))
        if self._cell is not None:
            cell = self._cell
            columns.insert(2, Column(IN_CELL, 8, lambda row: Span(str(cell.get(row.code, Part())), "accent")))
        columns += [
            Column(title, 6, partial(counted, counts), rank=rank)
            for title, counts, rank in (("Retr", self._retransmits, 3), ("Errors", self._errors, 2))
            if counts is not None and self.group != UPSTREAM
        ]
        if view.whole is None:
            trend: Column[ClientRow] = Column(
                "p99, 60 s", 10, lambda row: "", left=True, rank=6, grow=TREND_S - 10, draw=self._trend
            )
            columns.append(trend)
        return columns

    def _hint(self, view: View) -> str:
        """Which pane starts the script behind a column that is not there."""
        behind = {"tcp": ("retransmits", self._retransmits), "http": ("errors", self._errors)}
        found = [
            f"{each.pane}: {behind[each.name][0]}"
            for each in view.snapshot.scripts
            if each.name in behind and behind[each.name][1] is None and each.state is State.OFF and not each.unfit
        ]
        return f"; pane {', '.join(found)}" if found and self.group != UPSTREAM else ""

    def _longest(self, rows: Sequence[ClientRow]) -> int:
        return max((len(row.client) for row in rows[:200]), default=15)

    def _trend(self, row: ClientRow, width: int) -> tuple[Span, ...]:
        values = self._trends.get(row.client)
        return (Span(" " * width if values is None else sparkline(values, width), "bar"),)

    def sort_keys(self, rows: Sequence[ClientRow], sort: str) -> NDArray[np.float64]:
        """Numbers for numpy; names by their rank."""
        if sort == "Client":
            return by_name([row.client for row in rows])
        if sort == IN_CELL:
            cell = self._cell
            return by_figure(row.count if cell is None else cell.get(row.code, Part()).most for row in rows)
        if sort in ("Retr", "Errors"):
            counts = (self._retransmits if sort == "Retr" else self._errors) or {}
            return by_figure(counts.get(row.client, 0) for row in rows)
        fields = {"Count": "count", "Rate": "rate_per_s", "p99": "p99_ns", "p50": "p50_ns", "Max": "max_ns"}
        field = fields.get(sort, "slow")
        return by_figure(getattr(row, field) for row in rows)

    def figures_of(self, rows: Sequence[ClientRow], name: str) -> Iterable[float | None]:
        """What a filter compares; the slow ones are a count."""
        if name in ("retr", "errors"):
            counts = self._retransmits if name == "retr" else self._errors
            return (None if counts is None else counts.get(row.client, 0) for row in rows)
        return super().figures_of(rows, name)

    def key(self, row: ClientRow) -> object:
        """The address."""
        return row.client

    def pinned(self, rows: Sequence[ClientRow]) -> int:
        """``others`` is no client."""
        return 1 if rows and rows[-1].client == words.OTHERS else 0

    def heading(self, view: View, width: int) -> list[Line]:
        """Which measure this is about, and how it is grouped."""
        shown = self.subject_measure(view)
        if shown is None:
            nobody = "no script that runs tells clients apart"
            if self.group == UPSTREAM:
                nobody = "no script measures upstreams: open the pane Upstream to start one (a: clients again)"
            return [*wrapped(nobody, width, "strong"), EMPTY]
        rows = self.rows(view)
        n = len(rows) - self.pinned(rows)
        what = _TITLES[self.group].lower()
        more = " one by one, others together" if self.pinned(rows) else ""
        said = f"  {n:,} {what}{'s' * (n != 1)}{more}  (a: group" if rows else "  no client figures in this window"
        title = safe(shown.measure.title)
        for hint in (self._hint(view), "") if rows else ():
            if len(title + said + hint) < width or not hint:
                said += f"{hint})"
                break
        lines = [fit(line(Span(title, "strong"), Span(said, "dim")), width)]
        return [*lines, *[fit(line(Span(each, "accent")), width) for each in pinned_words(view, shown)], EMPTY]
