"""Panes that are one long sorted list with a cursor: only the visible rows are formatted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from textual import events
from textual.binding import Binding, BindingType

from bpftop.ui.columns import Columns, Positions, figures
from bpftop.ui.filters import Filter, Filterable, parse
from bpftop.ui.paint import Line, Span, line
from bpftop.ui.panes.base import Pane
from bpftop.ui.safe import safe
from bpftop.ui.subject import Subject
from bpftop.ui.table import Column, places, row_words, table
from bpftop.ui.view import View

Row = TypeVar("Row")
_MOVES = Binding.Group("Move", compact=True)


def by_name(names: Sequence[str]) -> NDArray[np.float64]:
    """Sort keys for names: the first one in the alphabet comes first."""
    keys = np.empty(len(names))
    keys[sorted(range(len(names)), key=names.__getitem__)] = -np.arange(len(names), dtype=np.float64)
    return keys


def by_figure(values: Iterable[float | None]) -> NDArray[np.float64]:
    """Sort keys for figures; one that a row does not have comes last."""
    return np.nan_to_num(figures(values), nan=-1.0)


class ListPane(Pane, Filterable, Generic[Row]):
    """Sorting, cursor and scrolling. Subclasses say what the rows, the columns and the sort keys are."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash", "screen.filter", "Filter", key_display="/", tooltip="filter: 10.0.0.0/8, p99>50ms, a word, !word"
        ),
        Binding("enter", "drill", "Drill in", tooltip="look at the row under the cursor alone"),
        Binding("s,right", "sort(1)", "Sort", key_display="s", tooltip="sort by the next column"),
        Binding("left", "sort(-1)", "Sort before", show=False, tooltip="sort by the column before"),
        Binding("y", "copy", "Copy", show=False, tooltip="copy the row to the clipboard of your terminal (OSC 52)"),
        Binding("S", "reverse", "Reverse", tooltip="sort the other way round", show=False),
        Binding("up,k", "move(-1)", "Up", show=False, tooltip="one row up"),
        Binding("down,j", "move(1)", "Down", show=False, tooltip="one row down"),
        Binding("pageup", "page(-1)", "Page up", show=False, tooltip="one page up"),
        Binding("pagedown", "page(1)", "Page down", show=False, tooltip="one page down"),
        Binding("g", "jump(0)", "First", show=False, tooltip="to the first row"),
        Binding("G", "jump(-1)", "Last", show=False, tooltip="to the last row"),
    ]
    FIGURES: ClassVar[Mapping[str, str]] = {
        "count": "count", "rate": "rate_per_s", "p50": "p50_ns", "p99": "p99_ns", "max": "max_ns", "total": "total_ns",
    }  # fmt: skip
    """What the filter can compare, and the fields that hold it."""
    SORTS: ClassVar[tuple[str, ...]]
    """Column headings that ``s`` steps through, those that are shown."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name)
        self.sort = 0
        self.reversed = False
        self.cursor = 0
        self.top = 0
        self._chosen: object = None
        self._rows_shown = 1
        self._ordered: Sequence[Row] | None = None
        self._order: tuple[object, Positions] = ((), np.zeros(0, np.intp))
        self.filter = Filter()
        self._columns: tuple[Sequence[Row] | None, Columns] = (None, Columns(0, tuple, lambda _: ()))
        self._passed: tuple[object, Filter, Positions] = ((), self.filter, np.zeros(0, np.intp))
        self._headings: tuple[int, list[tuple[int, str]]] = (-1, [])
        """The row on the screen where the headings are, and where each one ends."""

    # what a subclass says

    def rows(self, view: View) -> Sequence[Row]:
        """All rows, unsorted."""
        raise NotImplementedError

    def columns(self, view: View) -> list[Column[Row]]:
        """The columns, by rank."""
        raise NotImplementedError

    def sort_keys(self, rows: Sequence[Row], sort: str) -> NDArray[np.float64]:
        """One number a row; the largest comes first."""
        raise NotImplementedError

    def key(self, row: Row) -> object:
        """What a row is about, so that the cursor stays with it when the order changes."""
        raise NotImplementedError

    def pinned(self, rows: Sequence[Row]) -> int:
        """How many rows at the end stay last whatever the order."""
        return 0

    def heading(self, view: View, width: int) -> list[Line]:
        """Lines above the table."""
        return []

    def text(self, row: Row) -> str:
        """What the words of a filter look for."""
        return str(self.key(row))

    def figures_of(self, rows: Sequence[Row], name: str) -> Iterable[float | None]:
        """What the comparisons of a filter compare: a name of FIGURES; one a row."""
        return map(attrgetter(self.FIGURES[name]), rows)

    def subject(self, row: Row, view: View) -> Subject | None:
        """What Enter looks at alone; None when the row is nothing by itself."""
        return None

    def prepare(self, view: View, visible: Sequence[Row]) -> None:
        """Called with the rows that are about to be formatted, and no others."""

    # filtering

    def refilter(self, text: str) -> None:
        """Show only the rows that pass this filter from now on. Raises FilterError."""
        times = [name for name, field in self.FIGURES.items() if field.endswith("_ns")]
        self.filter = parse(text, tuple(self.FIGURES), times)
        self._go(0)

    def listed(self, view: View) -> Positions:
        """The positions in ``rows`` of those that pass the filter, in the order shown."""
        rows = self.rows(view)
        order = self.order(rows)
        if not self.filter.terms:
            return order
        passes = np.zeros(len(rows), np.bool_)
        passes[self._passing(rows)] = True
        return order[passes[order]]

    def _passing(self, rows: Sequence[Row]) -> Positions:
        """Who passes, ascending; after one more letter only those that passed before are looked at."""
        if self._columns[0] is not rows:
            free = rows[: len(rows) - self.pinned(rows)]
            texts, figure = partial(map, self.text, free), partial(self.figures_of, free)
            self._columns = rows, Columns(len(free), texts, figure)
        of, before, found = self._passed
        if of is not rows or before is not self.filter:
            among = found if of is rows and self.filter.narrows(before) else None
            self._passed = rows, self.filter, self.filter.passing(self._columns[1], among)
        return self._passed[2]

    def _filter_line(self, shown: int, rows: Sequence[Row]) -> list[Line]:
        if not self.filter.terms:
            return []
        said = f"filter {safe(self.filter.text, 60)}  "
        of = f"{len(rows) - self.pinned(rows):,}{' kept one by one' if self.pinned(rows) else ''}"
        return [line(Span(said, "accent"), Span(f"{shown:,} of {of}  (/ changes it, Esc: all)", "dim"))]

    # drawing

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """Heading, the visible rows, and where they are in the list."""
        rows, order = self.rows(view), self.listed(view)
        above = self.heading(view, width) + self._filter_line(len(order), rows)
        if not len(order):
            return above
        self._rows_shown = max(height - len(above) - 2, 1)
        self._follow(rows, order)
        self.top = min(max(self.top, self.cursor - self._rows_shown + 1), self.cursor)
        self.top = max(min(self.top, len(order) - self._rows_shown), 0)
        visible = [rows[i] for i in order[self.top : self.top + self._rows_shown]]
        arrow = "▲" if self.reversed else "▼"
        self.prepare(view, visible)
        by = self.SORTS[self.sort]
        columns = [
            each._replace(mark=arrow) if by == (each.sort or each.title) else each for each in self.columns(view)
        ]
        self._headings = self.size.height - height + len(above), places(columns, width)
        lines = table(columns, visible, width, cursor=self.cursor - self.top)
        last = self.top + len(visible)
        if len(order) > len(visible):
            lines.append(line(Span(f"rows {self.top + 1:,}–{last:,} of {len(order):,}", "dim")))
        return above + lines

    def order(self, rows: Sequence[Row]) -> Positions:
        """Positions of all rows in the order shown; kept until rows or sort change."""
        choice = (self.sort, self.reversed)
        if self._ordered is not rows or self._order[0] != choice:
            free = len(rows) - self.pinned(rows)
            keys = self.sort_keys(rows[:free], self.SORTS[self.sort])
            ranked = np.argsort(keys if self.reversed else -keys, kind="stable")
            self._ordered = rows
            self._order = (choice, np.concatenate([ranked, np.arange(free, len(rows))]))
        return self._order[1]

    def chosen(self, view: View) -> Row | None:
        """The row under the cursor."""
        order = self.listed(view)
        return self.rows(view)[order[min(self.cursor, len(order) - 1)]] if len(order) else None

    def _follow(self, rows: Sequence[Row], order: Positions) -> None:
        """The cursor stays with its row; at the top it stays at the top, where the news is."""
        self.cursor = min(self.cursor, len(order) - 1)
        if self.cursor and self._chosen is not None and self.key(rows[order[self.cursor]]) != self._chosen:
            place = next((i for i, row in enumerate(rows) if self.key(row) == self._chosen), -1)
            found = np.flatnonzero(order == place)
            self.cursor = int(found[0]) if len(found) else self.cursor
        self._chosen = self.key(rows[order[self.cursor]])

    # keys

    def action_sort(self, step: int) -> None:
        """Sort by the next (1) column that is shown or the one before (-1), from the top."""
        shown = [title for _, title in self._headings[1]]
        places = [i for i, title in enumerate(self.SORTS) if title in shown or i == self.sort]
        self.sort_by(self.SORTS[places[(places.index(self.sort) + step) % len(places)]])

    def sort_by(self, title: str) -> None:
        """Sort by this column, from the top; by the same one again: the other way round."""
        place = self.SORTS.index(title)
        self.reversed = not self.reversed if place == self.sort else False
        self.sort = place
        self._go(0)

    def action_drill(self) -> None:
        """Look at the row under the cursor alone."""
        row = self.chosen(self.view) if self.view else None
        found = self.subject(row, self.view) if self.view is not None and row is not None else None
        if found is None:
            self.app.notify("there is nothing more to show of this row", timeout=3)
        else:
            self.screen.drill(found)  # type: ignore[attr-defined]

    def on_click(self, event: events.Click) -> None:
        """A heading sorts, a row takes the cursor, a double click drills in."""
        head, ends = self._headings
        x, y = event.x - self.styles.padding.left, event.y
        if y == head:
            title = next((title for end, title in ends if x < end), "")
            if title in self.SORTS:
                self.sort_by(title)
        elif head < y <= head + self._rows_shown:
            self._go(self.top + y - head - 1)
            if event.chain == 2:
                self.action_drill()

    def action_reverse(self) -> None:
        """Sort the other way round, from the top."""
        self.reversed = not self.reversed
        self._go(0)

    def action_copy(self) -> None:
        """The row under the cursor, in words, to the terminal's clipboard."""
        row = self.chosen(self.view) if self.view else None
        if self.view is None or row is None:
            self.app.notify("there is no row to copy", timeout=3)
            return
        self.copy(row_words(self.columns(self.view), row))

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        self._go(self.cursor + rows)

    def action_page(self, pages: int) -> None:
        """Move the cursor by what is visible."""
        self._go(self.cursor + pages * self._rows_shown)

    def action_jump(self, place: int) -> None:
        """To the first (0) or the last (-1) row."""
        self._go(place if place >= 0 else 10**9)

    def _go(self, place: int) -> None:
        if self.view is None:
            return
        count = len(self.listed(self.view))
        self.cursor, self._chosen = min(max(place, 0), max(count - 1, 0)), None
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        self._go(self.cursor + 3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the cursor."""
        self._go(self.cursor - 3)
