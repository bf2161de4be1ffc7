"""The lists of one client alone: its single events and its connections, filtered and sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bpftop import units
from bpftop.model import SlowRequest
from bpftop.ui.columns import Columns
from bpftop.ui.filters import Filter
from bpftop.ui.kinds import REQUEST
from bpftop.ui.paint import Span
from bpftop.ui.panes.slow import time_of_day
from bpftop.ui.safe import safe
from bpftop.ui.table import Column

Row = TypeVar("Row")
FIGURES = ("latency", "queue", "port", "pid", "status", "requests")
"""What a filter compares; a row without the figure does not pass."""
TIMES = ("latency", "queue")
_FIELDS: Mapping[str, str] = {"queue": "read_queue_ns", "port": "client_port", "pid": "pid", "status": "status"}


@dataclass(frozen=True, slots=True)
class Connection:
    """What single events tell of one connection of a client."""

    client: str
    port: int
    requests: tuple[SlowRequest, ...]
    ended: SlowRequest | None


def connections(events: Sequence[SlowRequest]) -> list[Connection]:
    """By client and port, those with the slowest request first."""
    found: dict[tuple[str, int], list[SlowRequest]] = {}
    for each in events:
        if "client_port" in each.fields:
            found.setdefault((each.client, each.fields["client_port"]), []).append(each)
    out = []
    for (client, port), mine in found.items():
        requests = tuple(each for each in mine if each.event == REQUEST)
        out.append(Connection(client, port, requests, next((e for e in mine if e.event == "connection"), None)))
    return sorted(out, key=lambda each: -max((event.latency_ns for event in each.requests), default=0))


def passing(events: Sequence[SlowRequest], wanted: Filter) -> list[SlowRequest]:
    """The events that pass a filter."""

    def figure(name: str) -> Iterable[float | None]:
        field = _FIELDS.get(name, "")
        return (each.latency_ns if name == "latency" else each.fields.get(field) for each in events)

    columns = Columns(len(events), lambda: (" ".join((each.client, *each.texts.values())) for each in events), figure)
    return [events[i] for i in wanted.passing(columns)]


def passing_connections(found: Sequence[Connection], wanted: Filter) -> list[Connection]:
    """The connections that pass a filter; their latency is that of the slowest request."""

    def figure(name: str) -> Iterable[float | None]:
        known = {"port": lambda of: of.port, "requests": lambda of: len(of.requests), "latency": _worst}
        return map(known.get(name, lambda _: None), found)

    columns = Columns(len(found), lambda: (f"{each.client} {each.port}" for each in found), figure)
    return [found[i] for i in wanted.passing(columns)]


def _worst(each: Connection) -> int | None:
    return max((event.latency_ns for event in each.requests), default=None)


EVENT_SORTS: Sequence[tuple[str, Callable[[SlowRequest], float]]] = (
    ("Latency", lambda each: each.latency_ns),
    ("Time", lambda each: each.unix_ns),
)
CONNECTION_SORTS: Sequence[tuple[str, Callable[[Connection], float]]] = (
    ("Slowest", lambda each: _worst(each) or 0),
    ("Last one", lambda each: max((event.unix_ns for event in each.requests), default=0)),
    ("Slow requests", lambda each: len(each.requests)),
    ("Duration", lambda each: each.ended.latency_ns if each.ended else -1),
    ("Port", lambda each: each.port),
)


def ordered(
    rows: Sequence[Row], sorts: Sequence[tuple[str, Callable[[Row], float]]], sort: int, reverse: bool
) -> list[Row]:
    """The rows by the chosen one of these, the largest first unless ``reverse``."""
    return sorted(rows, key=sorts[sort % len(sorts)][1], reverse=not reverse)


def marked(
    columns: Sequence[Column[Row]],
    sorts: Sequence[tuple[str, Callable[[Row], float]]],
    sort: int,
    reverse: bool,
) -> list[Column[Row]]:
    """The columns, with an arrow at the one that sorts."""
    by, arrow = sorts[sort % len(sorts)][0], "▲" if reverse else "▼"
    return [each._replace(mark=arrow) if each.title == by else each for each in columns]


def _slowest(each: Connection) -> Span | str:
    worst = _worst(each)
    return Span(units.duration(worst), "p99") if worst is not None else Span("–", "dim")


def _last(each: Connection) -> Span | str:
    moment = max((event.unix_ns for event in each.requests), default=None)
    return time_of_day(moment) if moment is not None else Span("–", "dim")


def _duration(each: Connection) -> Span | str:
    return units.duration(each.ended.latency_ns) if each.ended else Span("open or not sent", "dim")


CONNECTION_COLUMNS: list[Column[Connection]] = [
    Column("Port", 5, lambda each: str(each.port)),
    Column("Slow requests", 14, lambda each: f"{len(each.requests):,}"),
    Column("Slowest", 8, _slowest),
    Column("Last one", 12, _last, rank=2),
    Column("Duration", 16, _duration, rank=1),
]
NETWORK_COLUMNS: list[Column[Connection]] = [
    Column("Client", 15, lambda each: safe(each.client, 39), left=True, grow=24),
    *CONNECTION_COLUMNS,
]
