"""Tables as lines: columns chosen by the room there is, only the visible rows formatted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from bpftop.ui.cells import cell_len
from bpftop.ui.paint import Line, Role, Span, pad
from bpftop.ui.safe import both_ends, cut

Row = TypeVar("Row")
GAP = 2
_MARKS = "▁▂▃▄▅▆▇"
_LEAST_TEXT = 8
"""Cells that a column of words keeps where not even the most important columns have room."""


class Column(NamedTuple, Generic[Row]):
    """One column: its heading, its width and how a cell is written."""

    title: str
    width: int
    cell: Callable[[Row], Span | str]
    left: bool = False
    grow: int = 0
    """How many cells more it may take when there is room."""
    rank: int = 0
    """0 is always shown; of the others the highest goes first when there is no room."""
    sort: str = ""
    """What sorts by it, where that is not called like the heading."""
    mark: str = ""
    """The sort arrow after the heading."""
    draw: Callable[[Row, int], tuple[Span, ...]] | None = None
    """For a cell that is a drawing: spans for a row and a width."""
    ends: bool = False
    """Cut in its middle when it is too long: the end of a path or of an address with its port is not lost."""


class Layout(NamedTuple):
    """Which columns of a table have room, and how wide they are."""

    places: tuple[int, ...]
    """Of the kept columns in those that were wished for."""
    sizes: tuple[int, ...]
    heading: Line


def laid_out(columns: Sequence[Column[Row]], width: int, gap: int = GAP) -> Layout:
    """The important columns stay where not all have room. What is left over goes to those that may grow, the first one
    first; texts give way to numbers."""
    return _laid_out(tuple([each[:2] + each[3:6] + each[7:8] for each in columns]), width, gap)


@lru_cache(maxsize=64)
def _laid_out(shapes: tuple[tuple[str, int, bool, int, int, str], ...], width: int, gap: int) -> Layout:
    columns: dict[int, Column[str]] = {
        place: Column(title, size, str, left, grow, rank, mark=mark)
        for place, (title, size, left, grow, rank, mark) in enumerate(shapes)
    }
    while len(columns) > 1 and sum(each.width + gap for each in columns.values()) - gap > width:
        least = max(columns, key=lambda place: columns[place].rank)
        if columns[least].rank == 0:
            break
        del columns[least]
    kept = [*columns.values()]
    sizes = _widths(kept, width, gap)
    return Layout(tuple(columns), tuple(sizes), _heading(kept, sizes, gap))


def _widths(columns: Sequence[Column[str]], width: int, gap: int) -> list[int]:
    spare = width - sum(each.width + gap for each in columns) + gap
    out = []
    for each in columns:
        more = max(min(spare, each.grow), 0)
        spare -= more
        out.append(each.width + more)
    for place in sorted((i for i, each in enumerate(columns) if each.left), key=lambda i: -out[i]):
        less = min(max(-spare, 0), max(out[place] - _LEAST_TEXT, 0))
        spare += less
        out[place] -= less
    return out


def places(columns: Sequence[Column[Row]], width: int, gap: int = GAP) -> list[tuple[int, str]]:
    """Where each heading ends, with what sorts by it, for the mouse."""
    layout = laid_out(columns, width, gap)
    ends: list[tuple[int, str]] = []
    at = 0
    for place, size in zip(layout.places, layout.sizes, strict=True):
        at += size + (gap if ends else 0)
        ends.append((at, columns[place].sort or columns[place].title))
    return ends


def table(
    columns: Sequence[Column[Row]],
    rows: Sequence[Row],
    width: int,
    *,
    heading: bool = True,
    cursor: int | None = None,
    gap: int = GAP,
) -> list[Line]:
    """Heading and rows; ``cursor`` is the row drawn as chosen."""
    layout = laid_out(columns, width, gap)
    kept = [(columns[place], size) for place, size in zip(layout.places, layout.sizes, strict=True)]
    between = Span(" " * gap)
    lines = [layout.heading] if heading else []
    for index, row in enumerate(rows):
        fill: Role = "cursor" if index == cursor else ""
        lines.append(Line(_cells(kept, row, between), fill))
    return lines


def row_words(columns: Sequence[Column[Row]], row: Row) -> str:
    """``Client 10.0.0.1, Count 12``: a row in words, all its columns but drawings and those without a heading."""
    cells = ((each.title, each.cell(row)) for each in columns if each.draw is None and each.title)
    return ", ".join(f"{title} {getattr(cell, 'text', cell)}".strip() for title, cell in cells)


def _heading(columns: Sequence[Column[Row]], sizes: Sequence[int], gap: int) -> Line:
    spans: list[Span] = []
    for index, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        text = f"{column.title}{column.mark}"
        over = min(max(cell_len(text) - size, 0), gap) if index and not column.left else 0  # the arrow is never cut
        lead = " " * (gap - over) if index else ""
        spans.append(Span(lead + pad(text, size + over, left=column.left), "accent" if column.mark else "head"))
    return Line(tuple(spans))


def _cells(columns: Sequence[tuple[Column[Row], int]], row: Row, between: Span) -> tuple[Span, ...]:
    spans: list[Span] = []
    for column, size in columns:
        if spans:
            spans.append(between)
        if column.draw is not None:
            spans += column.draw(row, size)
            continue
        cell = column.cell(row)
        text, role = (cell.text, cell.role) if isinstance(cell, Span) else (cell, "")
        if column.ends:
            text = both_ends(text, size)
        room = size - (len(text) if text.isascii() else cell_len(text))
        if room < 0:
            spans.append(Span(_shorter(text, size, column.left), role))
        else:
            spans.append(Span(text + " " * room if column.left else " " * room + text, role))
    return tuple(spans)


def _shorter(text: str, size: int, left: bool) -> str:
    """A number that does not fit is never cut (a wrong number): it is replaced by an ellipsis."""
    if left:
        return pad(text, size, left=True)
    return pad("…", size) if text[:1].isdigit() else cut(text, size)


def sparkline(values: NDArray[np.float64], width: int, level: float | None = None) -> str:
    """The last values, one cell each, on a log scale of their own; blank where a value is NaN.

    ``level``: what is usual. The scale begins there at the latest, so that values which are all far above it do not
    look like calm ones.
    """
    logs = [math.log10(each) if 0 < each < math.inf else None for each in values[-width:].tolist()]
    known = [each for each in logs if each is not None]
    if not known:
        return " " * width
    low = min(known)
    if level:
        low = min(low, math.log10(level))
    scale = max(max(known) - low, 0.3)
    cells = [" " if each is None else _MARKS[min(int((each - low) / scale * 6.99), 6)] for each in logs]
    return "".join(cells).rjust(width)


def bar(share: float, width: int) -> str:
    """A bar of eighths; anything above nothing shows at least one eighth."""
    if share <= 0 or width <= 0:
        return " " * max(width, 0)
    eighths = max(round(min(share, 1.0) * width * 8), 1)
    full, part = divmod(eighths, 8)
    text = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return text + " " * (width - len(text))
