"""One pane for each script that was asked for: its figures on top, below them the chosen one by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.binding import Binding, BindingType

from bpftop import units
from bpftop.model import ClientRow, CounterSnapshot, Measure, MeasureSnapshot, ScriptStatus, Snapshot, State
from bpftop.ui import words
from bpftop.ui.histogram import histogram
from bpftop.ui.paint import EMPTY, Line, Span, beside, line, wrapped
from bpftop.ui.panes.latency import look_of
from bpftop.ui.panes.lists import ListPane, by_name
from bpftop.ui.panes.singly import singly
from bpftop.ui.panes.startable import Startable
from bpftop.ui.safe import safe
from bpftop.ui.subject import Subject
from bpftop.ui.table import Column, bar, table
from bpftop.ui.view import View

Figure = MeasureSnapshot | CounterSnapshot
_WIDE, _TALL = 124, 16
_ABOUT = (
    "Above are the figures of this script, below the rows of the marked one ('v': the next), at first by the time they "
    "took together ('Total'); the bar is that as a share of all rows. 'Of wall' is the same time as a share of the "
    "window: 100 % is one of them all the time. Percentiles of a row are within 3 %. Figures without times are counts. "
    "Where there is room the slowest single events follow."
)
_FIELDS = {
    "Total": "total_ns",
    "Count": "count",
    "Rate": "rate_per_s",
    "p99": "p99_ns",
    "p50": "p50_ns",
    "Max": "max_ns",
    "Of wall": "share_of_wall",
    "Share": "count",
}


def figures(snapshot: Snapshot, script: str) -> list[Figure]:
    """The measures and then the counters of a script."""
    status = next((each for each in snapshot.scripts if each.name == script), None)
    names = status.measures if status else ()
    found: list[Figure] = [snapshot.measures[name] for name in names if name in snapshot.measures]
    return found + [snapshot.counters[name] for name in names if name in snapshot.counters]


class ScriptPane(Startable, ListPane[ClientRow]):
    """The figures of one script. A script that needs more has a pane of its own class (registry.py)."""

    SORTS = ("Total", "Count", "p99", "p50", "Max", "Name", "Rate", "Of wall", "Share")
    NEEDS_FIGURES = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "next_figure(1)", "Figure", tooltip="show the table of the next figure of this pane"),
        Binding("V", "next_figure(-1)", "Figure before", show=False, tooltip="show the table of the figure before"),
    ]

    def __init__(self, script: ScriptStatus) -> None:
        super().__init__(script)
        about = script.summary or script.detail
        self.ABOUT = f"{about} {_ABOUT}"
        self._chosen_figure = ""

    def explained(self, view: View) -> list[Measure]:
        """The figures of this script."""
        return [each.measure for each in figures(view.snapshot, self.script)]

    def figure(self, view: View) -> Figure | None:
        """The chosen figure: at first one that has a table and observations."""
        found = figures(view.snapshot, self.script)
        by_name = {each.measure.name: each for each in found}
        if self._chosen_figure in by_name:
            return by_name[self._chosen_figure]
        return next((each for each in found if rows_of(each)), found[0] if found else None)

    def action_next_figure(self, step: int) -> None:
        """Choose the next figure of this script."""
        current = self.figure(self.view) if self.view else None
        if self.view is None or current is None:
            return
        names = [each.measure.name for each in figures(self.view.snapshot, self.script)]
        self._chosen_figure = names[(names.index(current.measure.name) + step) % len(names)]
        self._go(0)

    def choose(self, figure: str) -> None:
        """Show the table of this figure, when it is one of this script."""
        self._chosen_figure = figure

    def rows(self, view: View) -> Sequence[ClientRow]:
        """The keys of the chosen figure."""
        found = self.figure(view)
        return rows_of(found) if found else ()

    def columns(self, view: View) -> list[Column[ClientRow]]:
        """Times for a measure; only numbers for a counter."""
        found = self.figure(view)
        if found is None:
            return []
        key = found.measure.key
        width = 15 if key == "syscall" else 18  # names of calls are short: on 80 columns "Of wall" has room
        name: Column[ClientRow] = Column(
            words.KEY_TITLES.get(key, "Key"), width, _name, left=True, grow=48 - width, sort="Name", ends=True
        )
        count: Column[ClientRow] = Column("Count", 6, lambda row: units.count(row.count))
        rate: Column[ClientRow] = Column("Rate", 8, lambda row: units.rate(row.rate_per_s), rank=3)
        rows = self.rows(view)
        if isinstance(found, CounterSnapshot):
            total = max(sum(row.count for row in rows), 1)
            return [name, count, rate, Column("Share", 6, lambda row: words.share(row.count / total), rank=4)]
        return [name, count, rate, *_times(rows)]

    def sort_keys(self, rows: Sequence[ClientRow], sort: str) -> NDArray[np.float64]:
        """Numbers for numpy; names by their rank; a counter has counts only."""
        if sort == "Name":
            return by_name([row.client for row in rows])
        field = _FIELDS[sort]
        values = (getattr(row, field) for row in rows)
        return np.fromiter(
            ((row.count / 1e18 if v is None else v) for row, v in zip(rows, values, strict=True)), np.float64, len(rows)
        )

    def subject(self, row: ClientRow, view: View) -> Subject | None:
        """The key alone."""
        found = self.figure(view)
        return Subject(found.measure.key, row.client, row.code, found.measure.name) if found and row.code else None

    def key(self, row: ClientRow) -> object:
        """The key's name."""
        return row.client

    def pinned(self, rows: Sequence[ClientRow]) -> int:
        """``others`` is no key."""
        return 1 if rows and rows[-1].client == words.OTHERS else 0

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """The figures and the table; where there is room the histogram of the chosen figure beside them."""
        if standing := self.standing(view, width):
            return standing
        found = self.figure(view)
        if width < _WIDE or not isinstance(found, MeasureSnapshot) or not found.summary.count:
            return self._tables(view, width, height)
        left = max(76, width - 68)
        return beside(self._tables(view, left, height), _shape(found, view, width - left - 3, height), left, 3)

    def _tables(self, view: View, width: int, height: int) -> list[Line]:
        """The keys, and in the room below them the slowest single events."""
        lines = super().draw(view, width, height)
        status = self.status(view)
        return lines + singly(view.snapshot, status.measures if status else (), width, height - len(lines))

    def heading(self, view: View, width: int) -> list[Line]:
        """All figures of the script, the chosen one marked, and what a high value of it means."""
        found, chosen = figures(view.snapshot, self.script), self.figure(view)
        if chosen is None:
            return [line(Span(f"{self.TITLE}: nothing yet", "strong"))]
        most = max(self.size.height // 2 - 3, 2)
        place = found.index(chosen)
        first = min(max(place - most + 1, 0), max(len(found) - most, 0))
        lines = table(_figure_columns(chosen), found[first : first + most], width, cursor=place - first)
        if len(found) > most:
            lines.append(line(Span(f"figures {first + 1}–{first + most} of {len(found)}  (v: the next one)", "dim")))
        if chosen.measure.tells:
            tells = wrapped(f"high: {safe(chosen.measure.tells)}", width, "dim")
            lines += tells if self.size.height >= _TALL or len(tells) == 1 else []
        if not rows_of(chosen):
            lines += [EMPTY, *wrapped(_nothing(chosen, view), width, "dim")]
        return [*lines, EMPTY]


def rows_of(figure: Figure) -> Sequence[ClientRow]:
    """Its table by key."""
    return figure.clients if isinstance(figure, MeasureSnapshot) else figure.rows


def _nothing(figure: Figure, view: View) -> str:
    if view.snapshot.tracer.state is State.ATTACHING:
        return "attaching …"
    counted = figure.summary.count if isinstance(figure, MeasureSnapshot) else figure.count
    if figure.measure.key == "none" and counted:
        return "this figure has no table: it is not split any further"
    if figure.measure.name.startswith("upstream_"):
        return "no upstream has answered in this window; connections that fail are counted in TCP (failed connects)"
    return "nothing observed in this window"


def _name(row: ClientRow) -> Span | str:
    return Span(row.client, "dim") if row.client == words.OTHERS else safe(row.client, 64)


def _times(rows: Sequence[ClientRow]) -> list[Column[ClientRow]]:
    whole = max(sum(row.total_ns or 0 for row in rows), 1)
    return [
        Column("p50", 7, lambda row: Span(units.duration(row.p50_ns), "p50"), rank=2),
        Column("p99", 7, lambda row: words.p99(row, "p99")),
        Column("Max", 7, lambda row: units.duration(row.max_ns), rank=1),
        Column("Total", 7, lambda row: units.duration(row.total_ns)),
        Column("Of wall", 7, lambda row: words.share(row.share_of_wall or 0.0), rank=5),
        Column(
            "", 8, lambda row: "", rank=6, grow=24,
            draw=lambda row, n: (Span(bar((row.total_ns or 0) / whole, n), "bar"),),
        ),
    ]  # fmt: skip


def _figure_columns(chosen: Figure) -> list[Column[Figure]]:
    def cell(figure: Figure, field: str) -> Span | str:
        if isinstance(figure, CounterSnapshot):
            return Span("", "dim")
        return units.duration(getattr(figure.summary, field))

    def count(figure: Figure) -> str:
        return units.count(figure.summary.count if isinstance(figure, MeasureSnapshot) else figure.count)

    def rate(figure: Figure) -> str:
        return units.rate(figure.summary.rate_per_s if isinstance(figure, MeasureSnapshot) else figure.rate_per_s)

    return [
        Column("Figure", 24, lambda each: safe(each.measure.title, 40), left=True, grow=16),
        Column("Count", 6, count),
        Column("Rate", 8, rate, rank=2),
        Column("p50", 7, lambda each: cell(each, "p50_ns"), rank=1),
        Column("p99", 7, lambda each: cell(each, "p99_ns")),
        Column("Max", 7, lambda each: cell(each, "max_ns"), rank=3),
        Column("Total", 7, lambda each: cell(each, "total_ns"), rank=4),
    ]


def _shape(shown: MeasureSnapshot, view: View, width: int, height: int) -> list[Line]:
    head = line(Span(safe(shown.measure.title, width), "strong"))
    path = line(Span(safe(f"{shown.measure.start} → {shown.measure.end}", width), "dim"))
    return [head, path, EMPTY, *histogram(shown, width, height - 3, look_of(view, shown.measure.name))]
