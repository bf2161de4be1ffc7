"""One client, route, system call … alone: its figures, histogram, heat map, single events and connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from textual import events
from textual.binding import Binding, BindingType

from bpftop.model import Measure, MeasureSnapshot, Snapshot
from bpftop.ui import words
from bpftop.ui.drillfigures import counters, figure_columns, said
from bpftop.ui.drilllists import (
    CONNECTION_COLUMNS,
    CONNECTION_SORTS,
    EVENT_SORTS,
    FIGURES,
    NETWORK_COLUMNS,
    TIMES,
    connections,
    marked,
    ordered,
    passing,
    passing_connections,
)
from bpftop.ui.drillparts import crumb, filled, heat_map, no_events
from bpftop.ui.filters import Filter, Filterable, parse
from bpftop.ui.histogram import histogram
from bpftop.ui.kinds import kinds, of_kind
from bpftop.ui.paint import EMPTY, Line, Span, beside, fit, line
from bpftop.ui.panes.base import Pane
from bpftop.ui.panes.latency import look_of
from bpftop.ui.panes.slow import slow_columns
from bpftop.ui.safe import safe
from bpftop.ui.subject import NETWORK, Subject
from bpftop.ui.table import Column, row_words, table
from bpftop.ui.view import View

Row = TypeVar("Row")
SECTIONS = ("Histogram", "Heat map", "Slow requests", "Connections")
_ROOM = 11
"""Rows for everything but the measures: less is no section."""
_WIDE, _HIGH = 120, 30
"""From this size on all sections stand side by side."""


class Drill(Pane, Filterable):
    """The row that Enter was pressed on; Esc leads back."""

    TITLE = SHORT = "Drill in"
    EXAMPLE = "latency>50ms"
    ABOUT = (
        "One row alone, over the window or the pinned seconds: every measure that is counted by its kind of key, the "
        "distribution and the heat map of one of them (v: the next), the single events that the kernel sent and are "
        "kept, and, for clients, what these tell of each connection. Counts are exact; percentiles and bars are those "
        "that are kept by key, within 3 %. Left and right step through the sections; on large screens all are shown. "
        "Esc leads back. With a baseline (b) its figures of then are behind those of now. '/' filters the lists (a "
        "word, latency>50ms, port=41000, status=500), s and S sort them."
    )
    NEEDS_FIGURES = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", tooltip="take the filter back; then back to the table"),
        Binding("backspace", "screen.undrill", "Back", show=False, tooltip="back to the table"),
        Binding("right", "section(1)", "Section", key_display="←→", tooltip="the next section"),
        Binding("left", "section(-1)", "Section before", show=False, tooltip="the section before"),
        Binding("v", "next_measure", "Measure", tooltip="histogram and heat map of the next measure"),
        Binding("slash", "screen.filter", "Filter", key_display="/", tooltip="filter the lists: latency>50ms, a word"),
        Binding("s", "sort", "Sort", tooltip="sort the lists by the next column", show=False),
        Binding("S", "reverse", "Reverse", tooltip="sort the lists the other way round", show=False),
        Binding("y", "copy", "Copy", show=False, tooltip="copy the marked row of a list, or the figures (OSC 52)"),
        Binding("l", "screen.log_counts", "Log/linear", show=False, tooltip="bars on a log or linear scale"),
        Binding("c", "screen.curve", "Cumulative", show=False, tooltip="the cumulative curve over the bars, or not"),
        Binding("up,k", "move(-1)", "Up", show=False, tooltip="one row up in the list"),
        Binding("down,j", "move(1)", "Down", show=False, tooltip="one row down in the list"),
        Binding("pageup", "move(-10)", "Page up", show=False, tooltip="ten rows up"),
        Binding("pagedown", "move(10)", "Page down", show=False, tooltip="ten rows down"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.subject: Subject | None = None
        self.origin = ""
        """The title of the pane it came from."""
        self._section = 0
        self._top = 0
        self._measure = ""
        self._kept: list[tuple[Snapshot, Subject, Snapshot]] = []
        """The newest ones: the snapshot, whose, and of that one alone."""
        self._sort, self._reversed = 0, False
        self._words, self._listed = "", False
        """What ``y`` copies, and whether that is the first row of a list, which is marked then."""

    def look_at(self, subject: Subject, origin: str) -> None:
        """Show this one from now on."""
        self.subject, self.origin = subject, origin
        self._measure, self._section, self._top = subject.measure, 0, 0
        self._sort, self._reversed, self.filter = 0, False, Filter()

    def explained(self, view: View) -> list[Measure]:
        """The measures of this kind of key."""
        alone = self._alone(view)
        return [each.measure for each in alone.measures.values()] if alone else []

    def action_section(self, step: int) -> None:
        """Another section."""
        self._section = (self._section + step) % len(self._sections())
        self._top = 0
        self.redraw()

    def action_next_measure(self) -> None:
        """The next measure."""
        alone = self._alone(self.view) if self.view else None
        names = list(alone.measures) if alone else []
        if names:
            place = names.index(self._measure) if self._measure in names else -1
            self._measure = names[(place + 1) % len(names)]
            self.redraw()

    def refilter(self, text: str) -> None:
        """In the lists only what passes this filter. Raises FilterError."""
        self.filter, self._top = parse(text, FIGURES, TIMES), 0
        self.redraw()

    def action_back(self) -> None:
        """All rows of the lists again; then the table."""
        if self.filter.terms:
            self.refilter("")
        else:
            self.screen.action_undrill()  # type: ignore[attr-defined]

    def action_sort(self) -> None:
        """The lists by their next column, from the top."""
        self._sort, self._reversed, self._top = self._sort + 1, False, 0
        self.redraw()

    def action_reverse(self) -> None:
        """The lists the other way round, from the top."""
        self._reversed, self._top = not self._reversed, 0
        self.redraw()

    def action_copy(self) -> None:
        """The marked row of a list, in words; without a list the figures of the measure."""
        if self._words and self.subject is not None:
            self.copy(f"{self.subject.name}: {self._words}")

    def action_move(self, rows: int) -> None:
        """Scroll the list."""
        self._top = max(self._top + rows, 0)
        self.redraw()

    def _sections(self) -> tuple[str, ...]:
        by_client = self.subject is not None and self.subject.kind in ("client", NETWORK)
        return SECTIONS if by_client else SECTIONS[:-1]

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls the list."""
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls the list."""
        self.action_move(-3)

    def _alone(self, view: View, whole: bool = False) -> Snapshot | None:
        """The snapshot, or that of the whole window when a piece of the heat map is pinned, of this one alone."""
        if self.subject is None:
            return None
        return self._of(view.whole if whole and view.whole is not None else view.snapshot)

    def _of(self, snapshot: Snapshot) -> Snapshot:
        """A snapshot of this one alone, made once."""
        assert self.subject is not None
        for of, subject, alone in self._kept:
            if of is snapshot and subject == self.subject:
                return alone
        alone = self.subject.alone(snapshot)
        self._kept = [(snapshot, self.subject, alone), *self._kept[:2]]
        return alone

    def _base(self, view: View) -> Mapping[str, MeasureSnapshot]:
        """Its measures when the baseline was marked; none without one, or when that is a file without clients."""
        kept = view.baseline.snapshot if view.baseline else None
        return self._of(kept).measures if kept is not None and self.subject is not None else {}

    # drawing

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """Who it is, its figures, and a section or all."""
        alone, subject = self._alone(view), self.subject
        if alone is None or subject is None:
            return []
        shown = alone.measures.get(self._measure) or next(iter(alone.measures.values()), None)
        lines = [crumb(self.origin, subject, view, shown, width), EMPTY]
        found = list(alone.measures.values())
        if shown is not None and height < len(found) + _ROOM:
            found = [shown]  # v shows the others
        base = self._base(view)
        lines += table(
            figure_columns(base), found, width, cursor=found.index(shown) if shown and len(found) > 1 else None
        )
        lines += [*counters(alone, width), *said(view, self.filter, bool(base), width)]
        self._words = row_words(figure_columns(base), shown) if shown is not None else ""
        self._listed = False
        if shown is None:
            return [*lines, EMPTY, line(Span("nothing is counted by this kind of key any more", "dim"))]
        only = replace(view, snapshot=alone, whole=view.whole or view.snapshot, measure=shown.measure.name)
        if width >= _WIDE and height >= _HIGH:
            return [*lines, EMPTY, *self._all(only, shown, width, height - len(lines) - 1)]
        lines += [EMPTY, self._tabs(width)]
        return lines + self._one(self._sections()[self._section], only, shown, width, height - len(lines))

    def _tabs(self, width: int) -> Line:
        names = self._sections()
        spans = [Span(f" {name} ", "tab" if i == self._section else "dim") for i, name in enumerate(names)]
        arrows = "" if self.ascii else "  ← →"  # in ASCII they would be < and >, which are other keys
        return fit(line(*spans, Span(arrows, "dim")), width)

    def _one(self, section: str, view: View, shown: MeasureSnapshot, width: int, room: int) -> list[Line]:
        if room < 2:
            return []
        if section == "Slow requests":
            return self._slow(view, width, room)
        if section == "Connections":
            return self._connections(view, width, room)
        if section == "Heat map":
            around = self._alone(view, whole=True)  # a pinned piece is marked in it
            return heat_map(replace(view, snapshot=around or view.snapshot), shown, width, room)
        if not shown.summary.count:
            return [line(Span(f"no {words.noun(shown.measure.name)} of it in this window", "dim"))]
        look = replace(look_of(view, shown.measure.name), base=self._base(view).get(shown.measure.name))
        return histogram(shown, width, room, look)

    def _all(self, view: View, shown: MeasureSnapshot, width: int, room: int) -> list[Line]:
        """Histogram above heat map; events above connections."""
        left = width - min(width // 2 - 2, 92) - 3
        right = width - left - 3
        title = safe(shown.measure.title)
        upper = room // 2
        one = [line(Span("Histogram", "strong"), Span(f"  {title}", "dim"))]
        one += filled(self._one("Histogram", view, shown, left, upper - 2), upper - 1)
        one += self._one("Heat map", view, shown, left, room - upper)
        lists = [name for name in self._sections() if name in SECTIONS[2:]]
        two: list[Line] = []
        for place, name in enumerate(lists):
            share = room // len(lists) + (room % len(lists) if place == len(lists) - 1 else 0)
            two += filled([line(Span(name, "strong")), *self._one(name, view, shown, right, share - 2)], share)
        return beside(one, two, left, 3)

    def _slow(self, view: View, width: int, room: int) -> list[Line]:
        names = kinds(view.snapshot)
        if not names:
            return [fit(line(Span(no_events(view, self.subject), "dim")), width)]
        everything = of_kind(view.snapshot, names[0])
        rows = ordered(passing(everything, self.filter), EVENT_SORTS, self._sort, self._reversed)
        self._top = min(self._top, max(len(rows) - 1, 0))
        said = f"{self._count(len(rows), len(everything))} sent one by one and kept"
        own = self.subject is not None and self.subject.kind == "client"
        visible = rows[self._top : self._top + room - 2]
        columns = marked(slow_columns(rows, client=not own), EVENT_SORTS, self._sort, self._reversed)
        return [line(Span(said, "dim")), *self._list(columns, visible, width)]

    def _connections(self, view: View, width: int, room: int) -> list[Line]:
        everything = connections(view.snapshot.slow)
        found = ordered(passing_connections(everything, self.filter), CONNECTION_SORTS, self._sort, self._reversed)
        if not everything:
            return [line(Span("no single event of its connections is kept", "dim"))]
        counted = view.snapshot.measures.get("connection_duration")
        ended = counted.summary.count if counted else 0
        said = f"{self._count(len(found), len(everything))} known from single events; {ended:,} ended in the window"
        self._top = min(self._top, max(len(found) - 1, 0))
        visible = found[self._top : self._top + room - 2]
        columns = CONNECTION_COLUMNS if self.subject and self.subject.kind == "client" else NETWORK_COLUMNS
        shown = marked(columns, CONNECTION_SORTS, self._sort, self._reversed)
        return [line(Span(said, "dim")), *self._list(shown, visible, width)]

    def _list(self, columns: list[Column[Row]], visible: Sequence[Row], width: int) -> list[Line]:
        """The visible rows of a list; the first one is marked when no other list is drawn."""
        marked = bool(visible) and not self._listed
        if marked:
            self._words, self._listed = row_words(columns, visible[0]), True
        return table(columns, visible, width, cursor=0 if marked else None)

    def _count(self, n: int, of: int) -> str:
        return f"{n:,} of {of:,}" if self.filter.terms else f"{n:,}"
