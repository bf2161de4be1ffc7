"""Which URLs are slow, and which fail: one row for each route."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import Binding, BindingType

from bpftop import units
from bpftop.model import ClientRow, Measure, MeasureSnapshot, ScriptStatus, SlowRequest, Snapshot
from bpftop.stats.routes import route_of
from bpftop.ui import words
from bpftop.ui.histogram import histogram
from bpftop.ui.kinds import REQUEST, of_kind
from bpftop.ui.paint import EMPTY, Line, Role, Span, beside, joined, line, wrapped
from bpftop.ui.panes.latency import look_of
from bpftop.ui.panes.lists import ListPane, by_figure, by_name
from bpftop.ui.panes.slow import slow_columns
from bpftop.ui.panes.startable import Startable
from bpftop.ui.safe import safe
from bpftop.ui.subject import Subject
from bpftop.ui.table import Column, table
from bpftop.ui.view import View

LATENCY = "route_latency"
UNSEEN = "http_unseen"
_ERRORS = {"errors_4xx": "route_errors_4xx", "errors_5xx": "route_errors_5xx", "unanswered": "route_unanswered"}
_CLIENT_ERRORS = {"errors_4xx": "client_errors_4xx", "errors_5xx": "client_errors_5xx"}
_KINDS = {"4xx": "errors_4xx", "5xx": "errors_5xx", "No answer": "unanswered"}
_WIDE = 124
_UNTIMED = ClientRow("", 0, 0.0, None, None, None)


@dataclass(frozen=True, slots=True)
class Route:
    """One row: the answered requests with their times, and how many of them failed or got no answer."""

    name: str
    timed: ClientRow
    errors: dict[str, int] = field(default_factory=dict)
    """By the keys of ``_ERRORS``."""


def routes(snapshot: Snapshot) -> list[Route]:
    """All routes, the most frequent first, ``others`` last."""
    return _joined_rows(snapshot, LATENCY, _ERRORS)


def erring_clients(snapshot: Snapshot) -> list[Route]:
    """The clients with errors, with the times of all their requests."""
    return [row for row in _joined_rows(snapshot, "request_latency", _CLIENT_ERRORS) if row.errors]


def _joined_rows(snapshot: Snapshot, measure: str, counters: Mapping[str, str]) -> list[Route]:
    shown = snapshot.measures.get(measure)
    timed = {row.client: row for row in shown.clients} if shown else {}
    errors: dict[str, dict[str, int]] = {name: {} for name in timed}
    untimed: dict[str, ClientRow] = {}
    for kind, counter in counters.items():
        for row in snapshot.counters[counter].rows if counter in snapshot.counters else ():
            errors.setdefault(row.client, {})[kind] = row.count
            untimed[row.client] = replace(_UNTIMED, code=row.code)
    found = [Route(name, timed.get(name) or untimed[name], kinds) for name, kinds in errors.items()]
    return sorted(found, key=lambda route: route.name == words.OTHERS)


class Routes(Startable, ListPane[Route]):
    """Sortable table of routes; where there is room the chosen one beside it."""

    SORTS = ("Count", "p99", "Max", "Of time", "5xx", "4xx", "Route", "p50", "Rate", "No answer")
    FIGURES: ClassVar[Mapping[str, str]] = {**ListPane.FIGURES, "4xx": "4xx", "5xx": "5xx"}
    NEEDS_FIGURES = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "turn", "Routes/clients", tooltip="routes, or the clients with errors"),
    ]

    def __init__(self, script: ScriptStatus) -> None:
        super().__init__(script)
        self.ABOUT = (
            "HTTP/1 requests by method and path. The query and what follows a ';' are cut off in the kernel; numbers, "
            "UUIDs, hashes and tokens in a path are shown as ':id', a path beyond 64 bytes ends with '…', and 'GET …' "
            "stands for paths that came in two reads. Times are from the read of a request to the first byte of its "
            "response, those of a row within 3 %; 'Of time' is the row's share of all these times together. 4xx and "
            "5xx count by status; 'No answer' counts requests whose connection was closed before the response. 'v' "
            "shows the clients with errors, with the times of all their requests. Not seen: TLS, HTTP/2 and 3, unix "
            "sockets, and of pipelined requests all but the first."
        )
        self._by_client = False
        self._kept: tuple[Snapshot | None, list[Route]] = (None, [])

    def explained(self, view: View) -> list[Measure]:
        """The measure behind the times."""
        shown = view.snapshot.measures.get(LATENCY)
        return [shown.measure] if shown else []

    def action_turn(self) -> None:
        """From routes to clients and back, from the top."""
        self._by_client = not self._by_client
        self._kept = (None, [])
        self._go(0)

    def rows(self, view: View) -> Sequence[Route]:
        """Made once for each snapshot."""
        if self._kept[0] is not view.snapshot:
            self._kept = (view.snapshot, (erring_clients if self._by_client else routes)(view.snapshot))
        return self._kept[1]

    def columns(self, view: View) -> list[Column[Route]]:
        """Errors always have their place; times go first where there is no room."""
        whole = max(sum(row.timed.total_ns or 0 for row in self.rows(view)), 1)
        columns: list[Column[Route]] = [
            Column("Client" if self._by_client else "Route", 18, _name, left=True, grow=46, sort="Route"),
            Column("Count", 6, lambda row: units.count(row.timed.count)),
            Column("Rate", 7, lambda row: units.rate(row.timed.rate_per_s), rank=4),
            Column("p50", 7, lambda row: Span(units.duration(row.timed.p50_ns), "p50"), rank=2),
            Column("p99", 7, lambda row: words.p99(row.timed, "p99")),
            Column("Max", 7, lambda row: units.duration(row.timed.max_ns), rank=3),
            Column("Of time", 7, lambda row: words.share((row.timed.total_ns or 0) / whole), rank=5),
            Column("4xx", 5, lambda row: _errors(row, "errors_4xx", "warn")),
            Column("5xx", 5, lambda row: _errors(row, "errors_5xx", "bad")),
            Column("No answer", 9, lambda row: _errors(row, "unanswered", "warn"), rank=6),
        ]
        return columns[:-1] if self._by_client else columns

    def sort_keys(self, rows: Sequence[Route], sort: str) -> NDArray[np.float64]:
        """Numbers for numpy; names by their rank."""
        if sort == "Route":
            return by_name([row.name for row in rows])
        if sort in _KINDS:
            return np.array([row.errors.get(_KINDS[sort], 0) for row in rows], np.float64)
        fields = {"Count": "count", "Rate": "rate_per_s", "p50": "p50_ns", "p99": "p99_ns", "Max": "max_ns"}
        name = fields.get(sort, "total_ns")
        return by_figure(getattr(row.timed, name) for row in rows)

    def subject(self, row: Route, view: View) -> Subject | None:
        """The route alone, or the client with errors."""
        kind, measure = ("client", "request_latency") if self._by_client else ("route", LATENCY)
        return Subject(kind, row.name, row.timed.code, measure) if row.timed.code else None

    def key(self, row: Route) -> object:
        """Its name."""
        return row.name

    def figures_of(self, rows: Sequence[Route], name: str) -> Iterable[float | None]:
        """A time or count of the route, or how many of its requests failed."""
        if name in ("4xx", "5xx"):
            return (row.errors.get(f"errors_{name}", 0) for row in rows)
        return (getattr(row.timed, self.FIGURES[name]) for row in rows)

    def pinned(self, rows: Sequence[Route]) -> int:
        """``others`` is no route."""
        return 1 if rows and rows[-1].name == words.OTHERS else 0

    def heading(self, view: View, width: int) -> list[Line]:
        """The totals, and how much traffic this table does not show."""
        shown, rows = view.snapshot.measures.get(LATENCY), self.rows(view)
        if shown is None or (not rows and not self._by_client):
            return _nothing(view, width)
        known = len(rows) - self.pinned(rows)
        plural = "s" * (known != 1)
        named = f"{known:,} client{plural} with errors" if self._by_client else f"{known:,} route{plural}"
        turn = [[Span("v: all routes" if self._by_client else "v: clients with errors", "dim")]]
        turn = turn if self._by_client or any(row.errors for row in rows) else []
        lines = joined([[Span(named, "strong")], *_totals(view.snapshot, shown), *turn], width)
        unseen = _count(view.snapshot, UNSEEN)
        if unseen:
            said = f"{units.count(unseen)} reads or responses that are no HTTP/1 (TLS, HTTP/2, late bodies)"
            lines += wrapped(f"not in this table: {said}", width, "dim")
        return [*lines, EMPTY]

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """The table, and beside it the chosen route."""
        if standing := self.standing(view, width):
            return standing
        row = self.chosen(view)
        if width < _WIDE or row is None or self._by_client:
            return super().draw(view, width, height)
        left = max(76, width - 68)
        return beside(super().draw(view, left, height), _portrait(view, row, width - left - 3, height), left, 3)


def _name(row: Route) -> Span | str:
    return Span(row.name, "dim") if row.name == words.OTHERS else safe(row.name, 80)


def _errors(row: Route, kind: str, role: Role) -> Span:
    count = row.errors.get(kind, 0)
    return Span(units.count(count), role if count else "dim")


def _count(snapshot: Snapshot, counter: str) -> int:
    return snapshot.counters[counter].count if counter in snapshot.counters else 0


def _totals(snapshot: Snapshot, shown: MeasureSnapshot) -> Iterator[list[Span]]:
    summary = shown.summary
    yield [Span(f"{units.rate(summary.rate_per_s).removesuffix('/s')} requests/s")]
    yield [Span("p99 "), words.p99(summary, "p99")]
    roles: tuple[tuple[str, str, Role], ...] = (("4xx", "errors_4xx", "warn"), ("5xx", "errors_5xx", "bad"))
    for title, kind, role in roles:
        count = _count(snapshot, _ERRORS[kind])
        yield [Span(f"{title} "), Span(words.share(count / max(summary.count, 1)), role if count else "dim")]
    if unanswered := _count(snapshot, _ERRORS["unanswered"]):
        yield [Span(f"{units.count(unanswered)} without an answer", "warn")]


def _nothing(view: View, width: int) -> list[Line]:
    lines = [line(Span("no HTTP/1 request in this window", "strong"))]
    if unseen := _count(view.snapshot, UNSEEN):
        said = (
            f"but {units.count(unseen)} reads or responses that are no HTTP/1: TLS, HTTP/2 or another protocol? "
            "Here only plain HTTP/1 is seen; every request, whatever its protocol, is in the other panes."
        )
        lines += [EMPTY, *wrapped(said, width, "warn")]
    return lines


def _portrait(view: View, row: Route, width: int, height: int) -> list[Line]:
    """The slow requests of a route; the distribution of all routes below."""
    slow = [each for each in of_kind(view.snapshot, REQUEST) if _is_of(each, row)]
    lines = [line(Span(safe(row.name, width), "strong")), EMPTY]
    lines.append(line(Span("Its slow requests", "strong"), Span(f"  {len(slow):,} in the window", "dim")))
    lines += table(slow_columns(slow), slow[: max(height // 2 - 4, 1)], width) if slow else []
    shown = view.snapshot.measures.get(LATENCY)
    if shown is not None and shown.summary.count and height - len(lines) > 6:
        lines += [EMPTY, line(Span("All routes", "strong"), Span(f"  {safe(shown.measure.end, width - 12)}", "dim"))]
        lines += histogram(shown, width, height - len(lines), look_of(view, shown.measure.name))
    return lines


def _is_of(each: SlowRequest, row: Route) -> bool:
    return "route" in each.texts and route_of(each.texts["route"]) == row.name
