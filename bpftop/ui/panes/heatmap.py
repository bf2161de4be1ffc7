"""When was it slow, and how slow? Time by latency, the colour is the count; a cursor asks what is behind a cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from textual import events
from textual.binding import Binding, BindingType

from bpftop.model import MeasureSnapshot, SlowRequest
from bpftop.stats.routes import route_of
from bpftop.ui import words
from bpftop.ui.heat import AXIS, Map, grid, heading, make_map, times
from bpftop.ui.paint import Line, Span, fit, line, wrapped
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.panes.slow import ROUTE, slow_columns
from bpftop.ui.pin import Part, behind, box_words
from bpftop.ui.safe import safe
from bpftop.ui.table import table
from bpftop.ui.view import Box, View, telling

_HINTS = (
    "arrows or mouse: what is behind a cell  n: the hottest slow one  Enter or a drag: pin",
    "arrows, mouse: behind a cell  n: hottest slow  Enter: pin",
)
"""The first one that has room."""
_FINE = 46
"""Of more rows than these, half are for what is behind the cell."""
_FEW = 0.1
"""A row with a smaller share of all observations is one of slow ones."""
Behind = tuple[list[SlowRequest], list[tuple[str, Part]]]


class HeatMap(MeasurePane):
    """The map, its cursor, and the rows behind the cell."""

    TITLE = "Heat map"
    SHORT = "Heat"
    ABOUT = (
        "Every observation of the chosen measure by the moment it was counted (left to right) and its latency "
        "(upwards, logarithmic). The colour of a cell is its count on a log scale; the lines are p50 and p99 of each "
        "column. Two bands are two kinds of requests, a column that goes up is a stall; ? at the bottom is a pause of "
        "bpftrace, what it counted is in the column behind it. Move the cursor with the arrow "
        "keys or the mouse, with shift for a larger piece: below stand how many observations are behind it, by client "
        "('≤': at the edges of its range it may be less), and the single requests the kernel sent (the slowest ones). "
        "Enter or a drag pins the piece: the other panes show its seconds only, Slow requests its range of latencies, "
        "too. Esc takes that back."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "hottest(1)", "Hottest slow", tooltip="the cell with most slow observations; again: the next one"),
        Binding("N", "hottest(-1)", "Hotter", show=False, tooltip="back to the next hotter one"),
        Binding("enter", "pin", "Pin", tooltip="all panes show only this piece of the map; again: all"),
        Binding("left,h", "go(-1, 0)", "Column earlier", show=False, tooltip="one column earlier"),
        Binding("right", "go(1, 0)", "Column later", show=False, tooltip="one column later"),
        Binding("up,k", "go(0, 1)", "Row slower", show=False, tooltip="one row slower"),
        Binding("down,j", "go(0, -1)", "Row faster", show=False, tooltip="one row faster"),
        Binding("g", "go(-100000, 0)", "First", show=False, tooltip="to the oldest column"),
        Binding("G", "go(100000, 0)", "Newest", show=False, tooltip="to the newest column"),
        Binding("shift+left", "extend(-1, 0)", "Select earlier", show=False, tooltip="select a column more"),
        Binding("shift+right", "extend(1, 0)", "Select later", show=False, tooltip="select a column more"),
        Binding("shift+up", "extend(0, 1)", "Select slower", show=False, tooltip="select a row more"),
        Binding("shift+down", "extend(0, -1)", "Select faster", show=False, tooltip="select a row more"),
    ]
    WHOLE = True

    def __init__(self) -> None:
        super().__init__()
        self.cursor: tuple[int, float] | None = None
        """Where it stands: Unix time (ns) and latency (ns), so that it stays with its cell while time goes on."""
        self._map: Map | None = None
        self._top = 0
        self._anchor: tuple[int, int] | None = None
        """Where a drag began."""
        self._by_heat = False
        """The cursor was led to its cell by ``n``: from there it goes on."""
        self._corner: tuple[int, float] | None = None
        """The other corner of a selection, kept as the cursor is."""
        self._behind: tuple[object, Box | None, Behind] = (None, None, ([], []))

    def remarks(self, view: View, width: int) -> list[Line]:
        """The piece is marked in the map."""
        return []

    # drawing

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """Heading, map, time axis, and what is behind the cell."""
        shown = view.shown
        if shown is None:
            return []
        below = min(10 + max(height - _FINE, 0) // 2, height // 3)  # always: the map does not move under the mouse
        room = max(height - 3 - below, 2)
        self._map = drawn = make_map(shown, view, max(width - AXIS - 2, 10), room)
        at, box = self._place(drawn, self.cursor), self._selected(shown.measure.name)
        pinned = view.box if view.box and view.box.measure == shown.measure.name else None
        marked = box if self._corner else pinned
        if pinned and self.cursor and not self._corner and pinned.covers(*self.cursor):
            box = pinned
        lines = [heading(shown, drawn, width), *grid(drawn, at, marked), times(drawn)]
        self._top = self.size.height - height + 1
        room = height - len(lines)
        if box is None or not drawn.counts.any():
            return lines + _slowest(view, drawn, shown, width, room)
        return lines + self._panel(view, box, width, room)

    def _place(self, drawn: Map, where: tuple[int, float] | None) -> tuple[int, int] | None:
        """Column and row of the cursor; None without one. A cell that has left the map takes the cursor to its edge."""
        if where is None:
            return None
        moment, latency = where
        column = int((moment - int(drawn.columns.starts_unix_ns[0])) // drawn.columns.length_ns)
        return min(max(column, 0), len(drawn.counts) - 1), drawn.axis.row_of(latency)

    def _selected(self, measure: str) -> Box | None:
        """The cell of the cursor, or all cells up to the other corner; None without a cursor."""
        drawn = self._map
        at = self._place(drawn, self.cursor) if drawn else None
        if drawn is None or at is None:
            return None
        return drawn.piece(measure, at, self._place(drawn, self._corner) or at)

    def _panel(self, view: View, box: Box, width: int, room: int) -> list[Line]:
        """What is behind a piece of the map."""
        if self._behind[0] is not view.snapshot or self._behind[1] != box:
            self._behind = view.snapshot, box, behind(view.snapshot, box)
        rows, keys = self._behind[2]
        assert self._map is not None
        n, total = self._map.count(box), max(int(self._map.counts.sum()), 1)
        said = f"{box_words(box)}: {n:,} {words.noun(box.measure, n)}"
        share = f", {words.share(n / total)} of the map"
        sent = f"  {len(rows):,} sent one by one" if rows else ""
        more = next((each for each in (share + sent, share) if len(said + each) <= width), "")
        lines = [fit(line(Span(said, "strong"), Span(more, "dim")), width)]
        lines += [fit(each, width) for each in _shares(view, box, rows, keys)]
        if not rows:
            why = "none of them was sent by itself: the kernel sends the slowest ones only" if n else ""
            return [*lines, *wrapped(why, width, "dim")]
        return lines + table(slow_columns(rows), rows[: max(room - len(lines) - 1, 0)], width)

    # keys and mouse

    def action_go(self, columns: int, rows: int, keep: bool = False) -> None:
        """Move the cursor and end the selection unless it is kept; at first to the p99 of the newest column."""
        drawn = self._map
        if drawn is None or not drawn.counts.size:
            return
        at = self._place(drawn, self.cursor)
        if not keep:
            self._corner = None
        if at is None:
            column = max((i for i, row in enumerate(drawn.p99) if row >= 0), default=len(drawn.counts) - 1)
            at = (column, max(drawn.p99[column], 0))
            columns = rows = 0
        self._put(at[0] + columns, at[1] + rows)

    def action_extend(self, columns: int, rows: int) -> None:
        """Move the cursor; what lies between it and the place where this began is selected."""
        if self._corner is None:
            self._corner = self.cursor
        self.action_go(columns, rows, True)

    def action_hottest(self, step: int) -> None:
        """To the cell with most observations above the p99 of the map, or in its row where few others are; then on."""
        drawn = self._map
        if drawn is None or not drawn.counts.sum():
            return
        by_row = drawn.counts.sum(axis=0)
        slow = int(np.searchsorted(np.cumsum(by_row), 0.99 * by_row.sum()))
        above = drawn.counts.copy()
        mixed = by_row[slow] > _FEW * by_row.sum() and by_row[slow + 1 :].any()
        above[:, : slow + bool(mixed)] = 0
        ranked = np.argsort(-above, axis=None, kind="stable")[: max(int(np.count_nonzero(above)), 1)]
        at = self._place(drawn, self.cursor) if self._by_heat else None
        cells = ranked.tolist()
        here = at[0] * above.shape[1] + at[1] if at else -1
        place = (cells.index(here) + step) % len(cells) if here in cells else 0
        column, row = np.unravel_index(cells[place], above.shape)
        self._put(int(column), int(row))
        self._by_heat = True

    def action_pin(self) -> None:
        """Show this piece of the map only, in all panes; where it is pinned already, all again."""
        view = self.view
        box = self._selected(view.shown.measure.name) if view and view.shown else None
        if view is None or box is None:
            return
        self._corner = None
        pinned = view.box
        again = pinned is not None and pinned.measure == box.measure and self.cursor is not None
        if again and pinned is not None and self.cursor is not None and pinned.covers(*self.cursor):
            self.screen.pin(None)  # type: ignore[attr-defined]
        else:
            self.screen.pin(box)  # type: ignore[attr-defined]

    def _put(self, column: int, row: int) -> None:
        drawn = self._map
        assert drawn is not None
        self._by_heat = False
        column = min(max(column, 0), drawn.counts.shape[0] - 1)
        row = min(max(row, 0), drawn.counts.shape[1] - 1)
        moment = int(drawn.columns.starts_unix_ns[column]) + drawn.columns.length_ns // 2
        self.cursor = moment, float(np.sqrt(drawn.axis.edges_ns[row] * drawn.axis.edges_ns[row + 1]))
        self.redraw()

    def _cell_at(self, x: int, y: int) -> tuple[int, int] | None:
        """The cell under the mouse."""
        drawn = self._map
        if drawn is None:
            return None
        x -= self.styles.padding.left + AXIS + 2
        column = x * drawn.counts.shape[0] // drawn.cells
        row = drawn.counts.shape[1] - 1 - (y - self._top)
        inside = 0 <= column < drawn.counts.shape[0] and 0 <= row < drawn.counts.shape[1]
        return (column, row) if inside else None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click moves the cursor; a drag begins here."""
        cell = self._cell_at(event.x, event.y)
        if cell is not None:
            self._anchor, self._corner = cell, None
            self._put(*cell)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """What a drag has selected so far."""
        if not event.button:  # it was let go somewhere else
            self._anchor = None
        cell = self._cell_at(event.x, event.y)
        if cell is None or self._anchor is None:
            return
        if self._corner is None:
            self._corner = self.cursor
        self._put(*cell)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the cursor, as the arrow keys do."""
        event.stop()
        self.action_go(0, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor, as the arrow keys do."""
        event.stop()
        self.action_go(0, -1)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """A drag selects a box."""
        cell, anchor = self._cell_at(event.x, event.y), self._anchor
        self._corner = None
        self._anchor = None
        drawn, view = self._map, self.view
        if cell is None or anchor is None or cell == anchor or drawn is None or view is None or view.shown is None:
            return
        self.screen.pin(drawn.piece(view.shown.measure.name, anchor, cell))  # type: ignore[attr-defined]


def _shares(view: View, box: Box, rows: list[SlowRequest], keys: Sequence[tuple[str, object]]) -> list[Line]:
    """Who the observations are of, and which routes the single requests asked for."""
    kind = view.snapshot.measures[box.measure].measure.key if box.measure in view.snapshot.measures else ""
    lines = []
    if keys:
        lines.append(_listed(f"by {words.KEY_TITLES.get(kind, 'key').lower()}", keys))
    elif rows:
        names = Counter(each.client for each in rows if each.client).most_common()
        lines.append(_listed(f"of the {len(rows):,} sent one by one, by client", names))
    routes = Counter(route_of(each.texts[ROUTE]) for each in rows if ROUTE in each.texts).most_common()
    return [*lines, _listed("of those sent one by one, by route", routes)] if routes else lines


def _listed(what: str, named: Sequence[tuple[str, object]]) -> Line:
    shown = "  ".join(f"{safe(name, 39)} {count}" for name, count in named[:8])
    more = f"  and {len(named) - 8:,} more" if len(named) > 8 else ""
    return line(Span(f"{what}: ", "dim"), Span(shown), Span(more, "dim"))


def _slowest(view: View, drawn: Map, shown: MeasureSnapshot, width: int, room: int) -> list[Line]:
    """What the keys do, and the slowest single events while no cell is asked for."""
    rows = telling(view.snapshot, shown.measure.name)
    lines = [_hint(drawn, width)]
    if not rows or room < 4:
        return lines
    said = f"  {len(rows):,} sent one by one"
    lines.append(line(Span(f"The slowest {words.noun(shown.measure.name)}", "strong"), Span(said, "dim")))
    return lines + table(slow_columns(rows), rows[: room - 3], width)


def _hint(drawn: Map, width: int) -> Line:
    if not drawn.counts.sum():
        return line(Span("no observation in this window", "strong"))
    return line(Span(next((each for each in _HINTS if len(each) <= width), _HINTS[-1]), "dim"))
