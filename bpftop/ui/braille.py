"""Lines over time in braille dots, for charts that are drawn every second: plotext takes 3 ms for one, this 0.1."""

from __future__ import annotations

import re
from codecs import charmap_decode
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from bpftop.ui.paint import Line, Role, Span, line

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bits of a braille cell: two columns, four dots each from the top down (Unicode, block 2800)."""
_CELLS = " " + "".join(chr(0x2800 + bits) for bits in range(1, 256))
_STRETCH = re.compile(rb"(.)(?:\1|\0)*", re.DOTALL)
"""Cells of one role; blanks (0) belong to what stands in front of them."""
LABEL = 7
"""Cells of the labels at the left."""
_KEPT = 1000
"""Strokes that are remembered."""


class Axis(NamedTuple):
    """A range of values, and marks on it with their labels."""

    low: float
    high: float
    marks: tuple[tuple[float, str], ...]

    def place(self, value: float, most: int) -> int:
        """Where a value is on 0 to ``most``."""
        return self.places([value], most)[0]

    def places(self, values: Sequence[float], most: int) -> list[int]:
        """Where each value is."""
        low, span = self.low, self.high - self.low
        return [min(max(round((value - low) / span * most), 0), most) for value in values]


Dots = Sequence[tuple[int, int]]
"""Points that a line connects, in dots from the left and from below; a single one is a dot."""


def dots_of(width: int, height: int) -> tuple[int, int]:
    """The last dot to the right and the topmost one of a chart of this size."""
    return 2 * (width - LABEL - 1) - 1, 4 * (height - 2) - 1


def chart(runs: Iterable[tuple[Role, Dots]], x: Axis, y: Axis, width: int, height: int) -> list[Line]:
    """The runs in ``height`` rows of ``width`` cells with axes; of two roles in one cell the later one colours it."""
    columns, rows = width - LABEL - 1, height - 2
    cells, looks = bytearray(columns * rows), bytearray(columns * rows)
    names: list[Role] = ["dim"]
    strokes, lowest = _strokes(columns), rows - 1
    for role, run in runs:
        if names[-1] != role:
            names.append(role)
        look = len(names) - 1
        for (x0, y0), (x1, y1) in pairwise(run if len(run) > 1 else (*run, *run)):
            base = (lowest - (y0 >> 2)) * columns + (x0 >> 1)
            for beyond, bits in strokes[x0 & 1, y0 & 3, x1 - x0, y1 - y0]:
                cells[base + beyond] |= bits
                looks[base + beyond] = look
    text = charmap_decode(cells, "strict", _CELLS)[0]
    labels, below = _frame(x, y, columns, rows)
    return [
        *(_row(label, text, looks, names, row * columns, columns) for row, label in enumerate(labels)),
        *below,
    ]


def _row(label: Span, text: str, looks: bytearray, names: Sequence[Role], start: int, columns: int) -> Line:
    """A row of the chart behind its label as stretches of one role."""
    stretches = [each.span() for each in _STRETCH.finditer(looks, start, start + columns)]
    return Line((label, *[Span(text[begin:end], names[looks[begin]]) for begin, end in stretches]))


class _Strokes(dict[tuple[int, int, int, int], tuple[tuple[int, int], ...]]):
    """What a stretch of a line leaves in cells: by the place of its first dot in its cell (from the left, from below),
    and by how many dots it goes to the right and up. Of each cell how far it is from the first one, and its bits."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self._columns = columns

    def __missing__(self, stretch: tuple[int, int, int, int]) -> tuple[tuple[int, int], ...]:
        if len(self) >= _KEPT:
            self.clear()
        right, up, across, rise = stretch
        steps = max(abs(across), abs(rise), 1)
        found: dict[int, int] = {}
        for step in range(steps + 1):
            to_right = right + (2 * across * step + steps) // (2 * steps)
            upwards = up + (2 * rise * step + steps) // (2 * steps)
            beyond = to_right // 2 - upwards // 4 * self._columns
            found[beyond] = found.get(beyond, 0) | _DOTS[to_right & 1][3 - (upwards & 3)]
        self[stretch] = strokes = tuple(found.items())
        return strokes


_strokes = lru_cache(maxsize=4)(_Strokes)


@lru_cache(maxsize=8)
def _frame(x: Axis, y: Axis, columns: int, rows: int) -> tuple[list[Span], list[Line]]:
    """What is to the left of each row, and the rows below."""
    named = {rows - 1 - y.place(value, 4 * rows - 1) // 4: text for value, text in y.marks}
    left = [f"{named[row]:>{LABEL}}┤" if row in named else f"{'│':>{LABEL + 1}}" for row in range(rows)]
    return [Span(each, "dim") for each in left], _time_axis(x, columns)


def _time_axis(x: Axis, columns: int) -> list[Line]:
    """The line below, and the labels of its marks where they have room."""
    axis, below = ["─"] * columns, [" "] * (LABEL + 1 + columns)
    free = 0
    for value, text in x.marks:
        at = x.place(value, columns - 1)
        axis[at] = "┬"
        start = min(max(LABEL + 1 + at - len(text) // 2, 0), len(below) - len(text))
        if start >= free:
            below[start : start + len(text)] = text
            free = start + len(text) + 1
    return [line(Span(f"{'└':>{LABEL + 1}}{''.join(axis)}", "dim")), line(Span("".join(below), "dim"))]
