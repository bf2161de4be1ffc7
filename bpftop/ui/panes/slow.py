"""The slowest single requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import Binding, BindingType

from bpftop import units
from bpftop.model import SlowRequest
from bpftop.ui.kinds import kinds, of_kind
from bpftop.ui.paint import EMPTY, Line, Role, Span, fit, line, pad, wrapped
from bpftop.ui.panes.lists import ListPane, by_figure, by_name
from bpftop.ui.pin import box_words, when
from bpftop.ui.safe import safe
from bpftop.ui.subject import Subject, subject_of
from bpftop.ui.table import Column
from bpftop.ui.view import Box, View

ROUTE, STATUS = "route", "status"
"""What the script ``http`` tells of a request."""
_TEXTS = {"Request": ROUTE, "Peer": "peer", "Syscall": "syscall", "Device": "device", "Label": "label"}
_NUMBERS = {
    "Latency": "latency_ns", "Time": "unix_ns", "Read queue": "read_queue_ns", "Client port": "client_port",
    "PID": "pid", "TID": "tid", "In syscall": "in_syscall_ns", "Sectors": "sectors", "Request key": "request_key",
}  # fmt: skip
"""The fields behind the headings of all streams."""
_NOUNS = {
    "upstream": "upstream request", "stall": "event-loop stall", "disk_io": "disk request", "call": "function call",
    "marked_request": "marked request",
}  # fmt: skip


_LAST = "\U0010ffff"


@lru_cache(maxsize=256)
def time_of_day(unix_ns: int) -> str:
    """Local time with milliseconds, as logs have it."""
    return datetime.fromtimestamp(unix_ns / 1e9).strftime("%H:%M:%S.%f")[:12]


def slow_columns(rows: Sequence[SlowRequest], *, client: bool = True) -> list[Column[SlowRequest]]:
    """Time, latency, client, and whatever words and numbers the stream carries."""
    longest = max([len(row.client) for row in rows[:200]], default=15)
    grow = max(min(longest, 39) - 15, 0)
    texts = dict.fromkeys(chain.from_iterable([row.texts for row in rows[:200]]))
    names = dict.fromkeys(chain.from_iterable([row.fields for row in rows[:200]]))
    if "read_queue_ns" in names:  # part of the latency: where there is room for one number, this one
        names = {"read_queue_ns": None, **names}
    return [*_slow_columns(grow if client else -1, tuple(texts), tuple(names))]


@lru_cache(maxsize=16)
def _slow_columns(grow: int, texts: tuple[str, ...], names: tuple[str, ...]) -> tuple[Column[SlowRequest], ...]:
    columns: list[Column[SlowRequest]] = [
        Column("Time", 12, lambda row: time_of_day(row.unix_ns), left=True),
        Column("Latency", 8, lambda row: Span(units.duration(row.latency_ns), "p99")),
    ]
    if grow >= 0:
        columns.append(Column("Client", 15, lambda row: safe(row.client, 64), left=True, grow=grow, ends=True))
    columns += [_text_column(name) for name in texts]
    shown = [name for name in names if name != STATUS or ROUTE not in texts]
    for rank, name in enumerate(shown, 1):
        columns.append(_number_column(name, rank))
    return tuple(columns)


def _text_column(name: str) -> Column[SlowRequest]:
    if name == ROUTE:
        return Column("Request", 22, lambda row: "", left=True, grow=46, draw=request_line)
    title = safe(name.replace("_", " ").capitalize(), 16)

    def text(row: SlowRequest) -> Span | str:
        return safe(row.texts.get(name, ""), 64) or Span("–", "dim")

    return Column(title, 16, text, left=True, grow=24, ends=True)


def request_line(row: SlowRequest, width: int) -> tuple[Span, ...]:
    """``GET /api/users 500``, as far as it was seen; of a long one the status stays."""
    route, status = row.texts.get(ROUTE, ""), row.fields.get(STATUS, 0)
    if not route and not status:
        return (Span(pad("–", width, left=True), "dim"),)
    role: Role = "bad" if status >= 500 else "warn" if status >= 400 else ""
    return (Span(pad(f"{safe(route, width - 4)} {status or '–'}", width, left=True), role),)


def _number_column(name: str, rank: int) -> Column[SlowRequest]:
    title = safe(name.removesuffix("_ns").replace("_", " ").capitalize(), 16)
    title = {"Pid": "PID", "Tid": "TID"}.get(title, title)
    write: Callable[[int], str] = units.duration if name.endswith("_ns") else str

    def cell(row: SlowRequest) -> Span | str:
        return write(row.fields[name]) if name in row.fields else Span("–", "dim")

    return Column(title, max(len(title) + 1, 7), cell, rank=rank)


class SlowRequests(ListPane[SlowRequest]):
    """List of single requests, newest or slowest first."""

    TITLE = "Slow requests"
    SHORT = "Slow"
    ABOUT = (
        "The slowest single requests of the window, at most 300. Latency is the whole wait, from the arrival of the "
        "request's data to the first byte of the answer: read queue and request latency together. The kernel sends "
        "only requests above a threshold that it adapts to the load, so that a slow one always comes through; those "
        "held back are counted (pane Scripts) and are in all percentiles. Each kind of event (requests, connections) "
        "has a list of its own. PID is the process that answered, the port that of the client. With the script 'http' "
        "a plain HTTP/1 request has its method, path and status; '–': it is none, from before that script ran, or was "
        "slow only to be read (started together, as by --scripts requests,http, those have it, too). All columns sort; "
        "'/' compares latency, queue, status, port, pid."
    )
    SORTS = ("Latency", "Time", "Client", *_TEXTS, *[title for title in _NUMBERS if title not in ("Latency", "Time")])
    FIGURES: ClassVar[Mapping[str, str]] = {
        "latency": "latency_ns", "queue": "read_queue_ns", "status": STATUS, "port": "client_port", "pid": "pid",
    }  # fmt: skip
    EXAMPLE = "latency>50ms"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "next_kind", "Kind", tooltip="show the next kind of event: requests, connections"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._kind = ""
        self._kept: tuple[object, object, list[SlowRequest]] = ((), "", [])

    def action_next_kind(self) -> None:
        """The next kind of event, from the top."""
        if self.view is None:
            return
        names = kinds(self.view.snapshot)
        current = self._shown_kind(self.view)
        self._kind = names[(names.index(current) + 1) % len(names)] if names else ""
        if self.SORTS[self.sort] not in [column.title for column in self.columns(self.view)]:
            self.sort, self.reversed = 0, False  # no column of this kind
        self._go(0)

    def _shown_kind(self, view: View) -> str:
        names = kinds(view.snapshot)
        return self._kind if self._kind in names else (names[0] if names else "")

    def rows(self, view: View) -> Sequence[SlowRequest]:
        """Those of the chosen kind, made once for each snapshot."""
        kind = self._shown_kind(view)
        made_from = (view.snapshot.slow, kind, view.box)
        if self._kept[0] is not made_from[0] or self._kept[1] != made_from[1:]:
            rows = of_kind(view.snapshot, kind)
            if view.box is not None:
                rows = [row for row in rows if view.box.reaches(row) or not view.box.tells(row)]
            self._kept = (made_from[0], made_from[1:], rows)
        return self._kept[2]

    def columns(self, view: View) -> list[Column[SlowRequest]]:
        """All there is room for."""
        rows = self.rows(view)
        return slow_columns(rows, client=any(row.client for row in rows))

    def sort_keys(self, rows: Sequence[SlowRequest], sort: str) -> NDArray[np.float64]:
        """Numbers for numpy; words by their rank, rows without them last."""
        if sort == "Client":
            return by_name([row.client for row in rows])
        if sort in _TEXTS:
            return by_name([row.texts.get(_TEXTS[sort]) or _LAST for row in rows])
        field = _NUMBERS[sort]
        if sort in ("Latency", "Time"):
            return by_figure(getattr(row, field) for row in rows)
        return by_figure(row.fields.get(field) for row in rows)

    def subject(self, row: SlowRequest, view: View) -> Subject | None:
        """The client, or whatever else it is about."""
        return subject_of(row, view.snapshot)

    def key(self, row: SlowRequest) -> object:
        """A request is named by its moment and its client."""
        return row.unix_ns, row.client, row.latency_ns

    def text(self, row: SlowRequest) -> str:
        """Client and whatever the stream says in words."""
        return " ".join((row.client, *row.texts.values()))

    def figures_of(self, rows: Sequence[SlowRequest], name: str) -> Iterable[float | None]:
        """The latency, or a number of the stream."""
        return (row.latency_ns if name == "latency" else row.fields.get(self.FIGURES[name]) for row in rows)

    def heading(self, view: View, width: int) -> list[Line]:
        """How many, what was held back, and whether some are missing."""
        rows, accounting = self.rows(view), view.snapshot.accounting
        first = _order_words(self.SORTS[self.sort])[self.reversed]
        pinned = _pinned(view.box, rows, width) if view.box else []
        if not rows:
            where = "sent from that piece of the heat map" if view.box else "in this window"
            more = "" if view.box or view.snapshot.window.length_s is None else "  (+: a longer one)"
            return [*pinned, line(Span(f"no single requests {where}", "strong"), Span(more, "dim"))]
        kind = self._shown_kind(view)
        others = len(kinds(view.snapshot)) - 1
        more = "  (v: other kinds)" if others else ""
        title = f"{len(rows):,} slow {safe(_NOUNS.get(kind, kind), 24)}{'s' * (len(rows) != 1)}"
        if kind == "request" and width >= 76:
            first += ", arrival to first byte"
        lines = [line(Span(title, "strong"), Span(f"  {first}{more}", "dim"))]
        if accounting.lost:
            said = f"{accounting.lost:,} lost on the way: this list is incomplete, the percentiles are not affected"
            lines += wrapped(said, width, "bad")
        return [*pinned, *lines, EMPTY]


def _order_words(sort: str) -> tuple[str, str]:
    """The order of the rows, and the other way round."""
    known = {"Latency": ("slowest first", "fastest first"), "Time": ("newest first", "oldest first")}
    name = sort if sort.isupper() else sort.lower()
    return known.get(sort, (f"by {name}", f"by {name}, backwards"))


def _pinned(box: Box, rows: Sequence[SlowRequest], width: int) -> list[Line]:
    known = not rows or box.tells(rows[0])
    said = box_words(box) if known else f"{when(box)}, of any latency: they do not tell {box.measure.replace('_', ' ')}"
    return [fit(line(Span(f"only {said}  ", "accent"), Span("(Esc: all again)", "dim")), width)]
