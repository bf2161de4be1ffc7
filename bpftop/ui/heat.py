"""Time by latency as lines: the map, its ramp, its axes. No cursor keys here."""

from __future__ import annotations

import re
from codecs import charmap_decode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bpftop import units
from bpftop.model import Counts, MeasureSnapshot
from bpftop.stats.heat import Columns, columns
from bpftop.stats.past import history_of
from bpftop.ui.canvas import Canvas
from bpftop.ui.histogram import round_duration
from bpftop.ui.paint import Line, Role, Span, ends, line, pad
from bpftop.ui.safe import safe
from bpftop.ui.shape import Rows, rows_of
from bpftop.ui.view import Box, View

RAMP: tuple[Role, ...] = ("heat-1", "heat-2", "heat-3", "heat-4", "heat-5", "heat-6", "heat-7", "heat-8")
SHADES, ASCII_SHADES = "░░▒▒▓▓██", ".:;+*x%#"
"""The ramp where there are no colours or too few: of two equal glyphs the first is dim."""
_HOT = 5
"""From this shade on."""
AXIS = 8
"""Cells of the labels on the left."""
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

    def piece(self, measure: str, one: tuple[int, int], other: tuple[int, int]) -> Box:
        """The cells between two (column, row), both included."""
        (left, right), (low, high) = (sorted(pair) for pair in zip(one, other, strict=True))
        starts, edges = self.columns.starts_unix_ns, self.axis.edges_ns
        end = int(starts[right]) + self.columns.length_ns
        return Box(measure, int(starts[left]), end, float(edges[low]), float(edges[high + 1]))

    def cells_of(self, box: Box) -> NDArray[np.bool_]:
        """Which cells have their middle in a box; shape (columns, rows)."""
        middle_ns = self.columns.starts_unix_ns + self.columns.length_ns // 2
        middle = np.sqrt(self.axis.edges_ns[:-1] * self.axis.edges_ns[1:])
        columns = (box.from_unix_ns <= middle_ns) & (middle_ns < box.to_unix_ns)
        inside: NDArray[np.bool_] = columns[:, None] & ((box.low_ns <= middle) & (middle < box.high_ns))
        return inside

    def outline(self, box: Box) -> NDArray[np.bool_]:
        """The outermost of the cells of a box, so that the counts within it are seen; shape (columns, rows)."""
        inside = np.pad(self.cells_of(box), 1)
        around = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
        return inside[1:-1, 1:-1] & ~around

    def count(self, box: Box) -> int:
        """The observations in a box."""
        return int(self.counts[self.cells_of(box)].sum())


def make_map(shown: MeasureSnapshot, view: View, width: int, height: int) -> Map:
    """The map of a measure over the window in at most ``width`` columns and ``height`` rows."""
    snapshot = view.snapshot
    length_s = min(snapshot.window.length_s or _LONGEST_S, _LONGEST_S)
    name = shown.measure.name
    found = columns(history_of(snapshot, name), name, length_s, snapshot.unix_ns, width)
    axis = rows_of(found.total(), height)
    p50, p99 = (axis.rows_of(each).tolist() for each in found.quantiles(0.5, 0.99))
    return Map(found, axis, found.rows(axis.edges_ns), p50, p99, width)


def heading(shown: MeasureSnapshot, drawn: Map, width: int) -> Line:
    """What is drawn, and what the colours and lines mean."""
    each = units.span(drawn.columns.length_ns / 1e9)
    title = Span(safe(shown.measure.title), "strong")
    most = int(drawn.counts.max()) if drawn.counts.size else 0
    legend = [_cell(level) for level in range(1, len(RAMP) + 1)]
    right = line(
        Span("1 ", "dim"), *legend, Span(f" {units.count(most)}  ", "dim"), Span("─ p50 ", "p50"), Span("━ p99", "p99")
    )
    for said in (f"  a column is {each}, the colour the count", f"  a column is {each}", ""):
        left = line(title, Span(said, "dim"))
        if left.cells + right.cells < width:
            break
    return ends(left, right, width)


def _cell(level: int) -> Span:
    """A cell of the map without anything on it; level 0 is empty."""
    if not level:
        return Span(" ")
    if Canvas.ascii:
        return Span(ASCII_SHADES[level - 1])
    return Span(SHADES[level - 1], "dim" if level % 2 else "") if Canvas.glyphs else Span(" ", fill=RAMP[level - 1])


def levels(counts: Counts) -> NDArray[np.int64]:
    """The shade of each cell: 0 for nothing, then 1 to 8 on a log scale up to the largest count."""
    most = int(counts.max()) if counts.size else 0
    if not most:
        return np.zeros(counts.shape, np.int64)
    share = np.log1p(counts) / np.log1p(most)
    return np.where(counts > 0, np.clip(np.ceil(share * len(RAMP)), 1, len(RAMP)), 0).astype(np.int64)


def grid(drawn: Map, at: tuple[int, int] | None, marked: Box | None) -> list[Line]:
    """The rows of the map, the slowest first; ``at`` is the cell of the cursor, ``marked`` is outlined."""
    drawing = _drawing(Canvas.ascii, Canvas.glyphs)
    looks = np.repeat(_looks(drawn, at, marked).astype(np.uint8), np.diff(drawn.starts()), axis=0)
    width, height = looks.shape
    cells = looks[:, ::-1].tobytes("F")
    text, inks = charmap_decode(cells, "strict", drawing.text)[0], cells.translate(drawing.inks)
    lines = []
    for row, begin in enumerate(range(0, width * height, width)):
        edge = height - 1 - row
        label = pad(round_duration(drawn.axis.edges_ns[edge]), AXIS) + (" │" if at is None or at[1] != edge else " ┤")
        spans = [Span(label, "dim")]
        for start, end in [each.span() for each in _STRETCH.finditer(inks, begin, begin + width)]:
            ink = drawing.spans[inks[start]]
            if len(spans) == 1 and ink == _DIM:  # as the label
                spans = [Span(label + text[start:end], "dim")]
            else:
                spans.append(Span(text[start:end], *ink))
        lines.append(Line(tuple(spans)))
    return lines


_STRETCH = re.compile(rb"(.)\1*", re.DOTALL)
"""Cells of one ink."""
_DIM: tuple[Role, Role] = "dim", ""


class _Drawing(NamedTuple):
    """How the looks of cells are drawn: each one's character, its ink, and role and fill of each ink."""

    text: str
    inks: bytes
    spans: list[tuple[Role, Role]]


@lru_cache(maxsize=4)
def _drawing(ascii_only: bool, glyphs: bool) -> _Drawing:
    """Of every shade with nothing on it, then with each thing that may lie on it. The arguments are those of Canvas."""
    bare = [_cell(level) for level in range(len(RAMP) + 1)]
    looks = bare + [Span(text, _ink(role, cell.fill), cell.fill) for text, role in _ON_TOP for cell in bare]
    spans = list(dict.fromkeys((each.role, each.fill) for each in looks))
    inks = bytes(spans.index((each.role, each.fill)) for each in looks)
    return _Drawing("".join(each.text for each in looks), inks.ljust(256, b"\0"), spans)


def _ink(role: Role, ground: Role) -> Role:
    """The lines of p50 and p99 are seen on every shade: the hot ones are too much like their colours."""
    return "hot" if role in ("p50", "p99") and ground in RAMP[_HOT - 1 :] else role


_ON_TOP: tuple[tuple[str, Role], ...] = (("?", "dim"), ("─", "p50"), ("━", "p99"), ("▪", "cell"), ("◆", "cell"))
"""What may lie on a cell, the later ones on top; ``?``: what was counted there is told later."""
_UNTOLD, _P50, _P99, _MARKED, _CURSOR = (place * (len(RAMP) + 1) for place in range(1, len(_ON_TOP) + 1))


def _looks(drawn: Map, at: tuple[int, int] | None, marked: Box | None) -> NDArray[np.int64]:
    """The place in ``_drawing`` of every cell of the map; shape (columns, rows)."""
    top = np.zeros(drawn.counts.shape, np.int64)
    top[drawn.columns.untold, :1] = _UNTOLD
    for line_of, what in ((drawn.p50, _P50), (drawn.p99, _P99)):
        where = np.array(line_of)
        columns = np.flatnonzero(where >= 0)
        top[columns, where[columns]] = what
    if marked:
        top[drawn.outline(marked)] = _MARKED
    if at is not None:
        top[at] = _CURSOR
    return top + levels(drawn.counts)


def times(drawn: Map) -> Line:
    """Clock times below the map, where there is room for them."""
    text = ""
    for moment, start in zip(drawn.columns.starts_unix_ns.tolist(), drawn.starts(), strict=False):
        if not text or (start >= len(text) + 4 and start + len("00:00:00") <= drawn.cells):
            text = text.ljust(start) + datetime.fromtimestamp(moment / 1e9).strftime("%H:%M:%S")
    return line(Span(" " * (AXIS + 1) + "└" + text[: drawn.cells], "dim"))
