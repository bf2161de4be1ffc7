"""When was it slow, and how slow? Time by latency, the colour is the count; a cursor asks what is behind a cell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual import events
from textual.binding import Binding, BindingType

from bpftop import units
from bpftop.model import Counts, History, MeasureSnapshot
from bpftop.stats.heat import Columns, columns
from bpftop.ui import words
from bpftop.ui.canvas import Canvas
from bpftop.ui.histogram import round_duration
from bpftop.ui.paint import Line, Role, Span, ends, fit, line, pad
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.panes.slow import box_words, slow_columns
from bpftop.ui.safe import safe
from bpftop.ui.shape import Rows, rows_of
from bpftop.ui.table import table
from bpftop.ui.view import Box, View

RAMP: tuple[Role, ...] = ("heat-1", "heat-2", "heat-3", "heat-4", "heat-5", "heat-6", "heat-7", "heat-8")
SHADES = "░░▒▒▓▓██"
"""The ramp where there are no colours."""
_AXIS = 8
_LONGEST_S = 600.0


@dataclass(frozen=True, slots=True)
class Map:
    """What is drawn: ``counts`` (columns, rows), row 0 the fastest; the lines of p50 and p99 as rows or -1."""

    columns: Columns
    axis: Rows
    counts: Counts
    p50: list[int]
    p99: list[int]
    cells: int
    """The width on the screen, shared by the columns."""

    def starts(self) -> list[int]:
        """The screen cell where each column begins, and the end."""
        count = len(self.counts)
        return [-(-column * self.cells // count) for column in range(count + 1)]

    def box(self, measure: str, column: int, row: int) -> Box:
        """The cell as a filter."""
        start = int(self.columns.starts_unix_ns[column])
        return Box(measure, start, start + self.columns.length_ns, *map(float, self.axis.edges_ns[row : row + 2]))


def make_map(shown: MeasureSnapshot, view: View, width: int, height: int) -> Map:
    """The map of a measure over the window in at most ``width`` columns and ``height`` rows."""
    snapshot = view.snapshot
    length_s = min(snapshot.window.length_s or _LONGEST_S, _LONGEST_S)
    name = shown.measure.name
    history = next((each for each in snapshot.histories if name in each.measures), History())
    found = columns(history, name, length_s, snapshot.unix_ns, width)
    axis = rows_of(found.total(), height)
    lines = (found.quantile(q).tolist() for q in (0.5, 0.99))
    p50, p99 = ([-1 if isnan(value) else axis.row_of(value) for value in each] for each in lines)
    return Map(found, axis, found.rows(axis.edges_ns), p50, p99, width)


class HeatMap(MeasurePane):
    """The map, its cursor, and the rows behind the cell."""

    TITLE = "Heat map"
    SHORT = "Heat"
    ABOUT = (
        "Every observation of the chosen measure by the moment it was counted (left to right) and its latency "
        "(upwards, logarithmic). The colour of a cell is its count on a log scale; the lines are p50 and p99 of each "
        "column. Two bands are two kinds of requests, a column that goes up is a stall. Move the cursor with the arrow "
        "keys or the mouse: below stand the single requests the kernel sent from that cell (it sends the slowest ones "
        "only) and their clients. Enter filters Slow requests by the cell, Esc takes that back."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "hottest", "Hottest slow", tooltip="go to the cell with most observations above p99"),
        Binding("enter", "pin", "Filter", tooltip="filter Slow requests by this cell"),
        Binding("left,h", "go(-1, 0)", "Earlier", show=False, tooltip="one column earlier"),
        Binding("right", "go(1, 0)", "Later", show=False, tooltip="one column later"),
        Binding("up,k", "go(0, 1)", "Slower", show=False, tooltip="one row slower"),
        Binding("down,j", "go(0, -1)", "Faster", show=False, tooltip="one row faster"),
        Binding("g", "go(-100000, 0)", "First", show=False, tooltip="to the oldest column"),
        Binding("G", "go(100000, 0)", "Newest", show=False, tooltip="to the newest column"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.cursor: tuple[int, float] | None = None
        """Where it stands: Unix time (ns) and latency (ns), so that it stays with its cell while time goes on."""
        self._map: Map | None = None
        self._top = 0
        self._anchor: tuple[int, int] | None = None

    # drawing

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """Heading, map, time axis, and what is behind the cell."""
        shown = view.shown
        if shown is None:
            return []
        below = min(10, height // 3)  # always, so that the map does not move under the mouse
        room = max(height - 3 - below, 2)
        self._map = drawn = make_map(shown, view, max(width - _AXIS - 2, 10), room)
        at = self._place(drawn)
        lines = [_heading(shown, view, drawn, width), *_grid(drawn, at), _times(drawn)]
        self._top = self.size.height - height + 1
        return lines + (self._behind(shown, view, drawn, at, width, height - len(lines)) if at else [_hint(drawn)])

    def _place(self, drawn: Map) -> tuple[int, int] | None:
        """Column and row of the cursor; None without one. A cell that has left the map takes the cursor to its edge."""
        if self.cursor is None:
            return None
        moment, latency = self.cursor
        column = int((moment - int(drawn.columns.starts_unix_ns[0])) // drawn.columns.length_ns)
        return min(max(column, 0), len(drawn.counts) - 1), drawn.axis.row_of(latency)

    def _behind(
        self, shown: MeasureSnapshot, view: View, drawn: Map, at: tuple[int, int], width: int, room: int
    ) -> list[Line]:
        box = drawn.box(shown.measure.name, *at)
        n, total = int(drawn.counts[at]), max(int(drawn.counts.sum()), 1)
        said = f"{box_words(box)}: {n:,} {words.noun(shown.measure.name)}, {words.share(n / total)} of the map"
        lines = [line(Span(said, "strong"))]
        rows = [each for each in view.snapshot.slow if box.holds(each)]
        if not rows:
            why = "none of them was sent by itself: the kernel sends the slowest ones only" if n else ""
            return [*lines, line(Span(why, "dim"))]
        names = Counter(each.client for each in rows if each.client).most_common(4)
        clients = "  ".join(f"{safe(name, 39)} {count}" for name, count in names)
        lines.append(
            fit(line(Span(f"{len(rows)} sent one by one", "head"), Span(f"  by client: {clients}", "dim")), width)
        )
        return lines + table(slow_columns(rows), rows[: max(room - 3, 0)], width)

    # keys and mouse

    def action_go(self, columns: int, rows: int) -> None:
        """Move the cursor; the first key puts it on the p99 of the newest column."""
        drawn = self._map
        if drawn is None or not drawn.counts.size:
            return
        at = self._place(drawn)
        if at is None:
            column = max((i for i, row in enumerate(drawn.p99) if row >= 0), default=len(drawn.counts) - 1)
            at = (column, max(drawn.p99[column], 0))
            columns = rows = 0
        self._put(at[0] + columns, at[1] + rows)

    def action_hottest(self) -> None:
        """To the cell with most observations above the p99 of the whole map."""
        drawn = self._map
        if drawn is None or not drawn.counts.sum():
            return
        by_row = drawn.counts.sum(axis=0)
        slow = int(np.searchsorted(np.cumsum(by_row), 0.99 * by_row.sum()))
        above = drawn.counts.copy()
        above[:, : slow + bool(by_row[slow + 1 :].any())] = 0  # the row of p99 itself when nothing is above it
        column, row = np.unravel_index(int(above.argmax()), above.shape)
        self._put(int(column), int(row))

    def action_pin(self) -> None:
        """Filter the single requests by this cell, and show them."""
        drawn, view = self._map, self.view
        at = self._place(drawn) if drawn else None
        if drawn is not None and view is not None and view.shown is not None and at is not None:
            self.screen.pin(drawn.box(view.shown.measure.name, *at))  # type: ignore[attr-defined]

    def _put(self, column: int, row: int) -> None:
        drawn = self._map
        assert drawn is not None
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
        x -= self.styles.padding.left + _AXIS + 2
        column = x * drawn.counts.shape[0] // drawn.cells
        row = drawn.counts.shape[1] - 1 - (y - self._top)
        inside = 0 <= column < drawn.counts.shape[0] and 0 <= row < drawn.counts.shape[1]
        return (column, row) if inside else None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A click moves the cursor; a drag begins here."""
        cell = self._cell_at(event.x, event.y)
        if cell is not None:
            self._anchor = cell
            self._put(*cell)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """A drag selects a box."""
        cell, anchor = self._cell_at(event.x, event.y), self._anchor
        self._anchor = None
        drawn, view = self._map, self.view
        if cell is None or anchor is None or cell == anchor or drawn is None or view is None or view.shown is None:
            return
        name = view.shown.measure.name
        first = drawn.box(name, min(cell[0], anchor[0]), min(cell[1], anchor[1]))
        last = drawn.box(name, max(cell[0], anchor[0]), max(cell[1], anchor[1]))
        self.screen.pin(Box(name, first.from_unix_ns, last.to_unix_ns, first.low_ns, last.high_ns))  # type: ignore[attr-defined]


def _heading(shown: MeasureSnapshot, view: View, drawn: Map, width: int) -> Line:
    each = units.span(drawn.columns.length_ns / 1e9)
    left = line(Span(safe(shown.measure.title), "strong"), Span(f"  a column is {each}, the colour the count", "dim"))
    most = int(drawn.counts.max()) if drawn.counts.size else 0
    legend = [_cell(level) for level in range(1, len(RAMP) + 1)]
    right = line(
        Span("1 ", "dim"), *legend, Span(f" {units.count(most)}  ", "dim"), Span("─ p50 ", "p50"), Span("━ p99", "p99")
    )
    return ends(left, right, width)


def _cell(level: int) -> Span:
    """A cell of the map without anything on it; level 0 is empty."""
    if not level:
        return Span(" ")
    return Span(SHADES[level - 1]) if Canvas.plain else Span(" ", fill=RAMP[level - 1])


def levels(counts: Counts) -> NDArray[np.int64]:
    """The shade of each cell: 0 for nothing, then 1 to 8 on a log scale up to the largest count."""
    most = int(counts.max()) if counts.size else 0
    if not most:
        return np.zeros(counts.shape, np.int64)
    share = np.log1p(counts) / np.log1p(most)
    return np.where(counts > 0, np.clip(np.ceil(share * len(RAMP)), 1, len(RAMP)), 0).astype(np.int64)


def _grid(drawn: Map, at: tuple[int, int] | None) -> list[Line]:
    shade = levels(drawn.counts)
    rows, starts = drawn.counts.shape[1], drawn.starts()
    lines = []
    for row in range(rows - 1, -1, -1):
        spans = [
            Span(pad(round_duration(drawn.axis.edges_ns[row]), _AXIS), "dim"),
            Span(" │" if at is None or at[1] != row else " ┤", "dim"),
        ]
        for column in range(drawn.counts.shape[0]):
            span = _cell(int(shade[column, row]))
            if at == (column, row):
                span = Span("◆", "strong", span.fill)
            elif drawn.p99[column] == row:
                span = Span("━", "p99", span.fill)
            elif drawn.p50[column] == row:
                span = Span("─", "p50", span.fill)
            spans.append(Span(span.text * (starts[column + 1] - starts[column]), span.role, span.fill))
        lines.append(Line(tuple(_merged(spans))))
    return lines


def _merged(spans: list[Span]) -> list[Span]:
    """Neighbours of equal looks as one span: a row is some spans instead of a hundred."""
    out: list[Span] = []
    for span in spans:
        if out and out[-1].role == span.role and out[-1].fill == span.fill:
            out[-1] = Span(out[-1].text + span.text, span.role, span.fill)
        else:
            out.append(span)
    return out


def _times(drawn: Map) -> Line:
    """Clock times below the map, where there is room for them."""
    text = ""
    for moment, start in zip(drawn.columns.starts_unix_ns.tolist(), drawn.starts(), strict=False):
        if not text or start >= len(text) + 4:
            text = text.ljust(start) + datetime.fromtimestamp(moment / 1e9).strftime("%H:%M:%S")
    return line(Span(" " * (_AXIS + 1) + "└" + text[: drawn.cells], "dim"))


def _hint(drawn: Map) -> Line:
    if not drawn.counts.sum():
        return line(Span("no observation in this window", "strong"))
    return line(Span("arrows or mouse: what is behind a cell?  n: the hottest slow one", "dim"))
