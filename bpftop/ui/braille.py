"""Lines over time in braille dots, for charts that are drawn every second: plotext takes 3 ms for one, this 0.3."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from bpftop.ui.paint import Line, Role, Span, line

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bits of a braille cell: two columns, four dots each from the top down (Unicode, block 2800)."""
LABEL = 7
"""Cells of the labels at the left."""


class Axis(NamedTuple):
    """A range of values, and marks on it with their labels."""

    low: float
    high: float
    marks: Sequence[tuple[float, str]]

    def place(self, value: float, most: int) -> int:
        """Where a value is on 0 to ``most``."""
        return min(max(round((value - self.low) / (self.high - self.low) * most), 0), most)


Run = Sequence[tuple[float, float]]
"""Points (x, y) that a line connects; a single one is a dot."""


def chart(runs: Iterable[tuple[Role, Run]], x: Axis, y: Axis, width: int, height: int) -> list[Line]:
    """The runs in ``height`` rows of ``width`` cells with axes; of two roles in one cell the later one colours it."""
    columns, rows = width - LABEL - 1, height - 2
    cells = [0] * (columns * rows)
    roles: list[Role] = ["dim"] * len(cells)
    for role, run in runs:
        points = [(x.place(a, 2 * columns - 1), y.place(b, 4 * rows - 1)) for a, b in run]
        for right, up in _path(points):
            at = (rows - 1 - up // 4) * columns + right // 2
            cells[at] |= _DOTS[right & 1][3 - (up & 3)]
            roles[at] = role
    labels = {rows - 1 - y.place(value, 4 * rows - 1) // 4: text for value, text in y.marks}
    drawn = [
        line(Span(f"{labels[row]:>{LABEL}}┤" if row in labels else f"{'│':>{LABEL + 1}}", "dim"),
             *_spans(cells[row * columns : (row + 1) * columns], roles[row * columns : (row + 1) * columns]))
        for row in range(rows)
    ]  # fmt: skip
    return [*drawn, *_time_axis(x, columns)]


def _path(points: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Every dot of the line through the points."""
    if len(points) == 1:
        return points
    dots: list[tuple[int, int]] = []
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        across, up = (x1 - x0) / steps, (y1 - y0) / steps
        dots += [(int(x0 + across * i + 0.5), int(y0 + up * i + 0.5)) for i in range(steps + 1)]
    return dots


def _spans(cells: Sequence[int], roles: Sequence[Role]) -> list[Span]:
    """A row as stretches of one role; blanks belong to what stands in front of them."""
    looks: list[Role] = []
    for cell, role in zip(cells, roles, strict=True):
        looks.append(role if cell or not looks else looks[-1])
    spans, at = [], 0
    for role, group in groupby(looks):
        size = sum(1 for _ in group)
        text = "".join(chr(0x2800 + cell) if cell else " " for cell in cells[at : at + size])
        spans.append(Span(text, role))
        at += size
    return spans


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
