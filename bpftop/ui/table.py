"""Tables as lines: columns chosen by the room there is, only the visible rows formatted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from bpftop.ui.cells import cell_len
from bpftop.ui.paint import Line, Role, Span, pad
from bpftop.ui.safe import both_ends, cut

Row = TypeVar("Row")
GAP = 2
_LEAST_TEXT = 8
"""Cells that a column of words keeps where not even the most important columns have room."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
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


def chosen(columns: Sequence[Column[Row]], width: int, gap: int = GAP) -> list[Column[Row]]:
    """The columns that fit, the important ones first to stay."""
    kept = list(columns)
    while len(kept) > 1 and sum(each.width + gap for each in kept) - gap > width:
        least = max(kept, key=lambda each: each.rank)
        if least.rank == 0:
            break
        kept.remove(least)
    return kept


def widths(columns: Sequence[Column[Row]], width: int, gap: int = GAP) -> list[int]:
    """Their widths: the room left over goes to those that may grow, the first one first; texts give way to numbers."""
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
    kept = chosen(columns, width, gap)
    ends: list[tuple[int, str]] = []
    at = 0
    for column, size in zip(kept, widths(kept, width, gap), strict=True):
        at += size + (gap if ends else 0)
        ends.append((at, column.sort or column.title))
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
    kept = chosen(columns, width, gap)
    sizes = widths(kept, width, gap)
    lines = [_heading(kept, sizes, gap)] if heading else []
    for index, row in enumerate(rows):
        fill: Role = "cursor" if index == cursor else ""
        lines.append(Line(_cells(kept, sizes, row, gap), fill))
    return lines


def row_words(columns: Sequence[Column[Row]], row: Row) -> str:
    """``Client 10.0.0.1, Count 12``: a row in words, all its columns but drawings and those without a heading."""
    cells = ((each.title, each.cell(row)) for each in columns if each.draw is None and each.title)
    return ", ".join(f"{title} {getattr(cell, 'text', cell)}".strip() for title, cell in cells)


def _heading(columns: Sequence[Column[Row]], sizes: Sequence[int], gap: int) -> Line:
    spans: list[Span] = []
    for index, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        lead = " " * gap if index else ""
        text = f"{column.title}{column.mark}"
        spans.append(Span(lead + pad(text, size, left=column.left), "accent" if column.mark else "head"))
    return Line(tuple(spans))


def _cells(columns: Sequence[Column[Row]], sizes: Sequence[int], row: Row, gap: int) -> tuple[Span, ...]:
    spans: list[Span] = []
    for index, (column, size) in enumerate(zip(columns, sizes, strict=True)):
        if index:
            spans.append(Span(" " * gap))
        if column.draw is not None:
            spans += column.draw(row, size)
            continue
        cell = column.cell(row)
        span = cell if isinstance(cell, Span) else Span(cell)
        if column.ends:
            span = Span(both_ends(span.text, size), span.role)
        spans.append(_aligned(span, size, column.left))
    return tuple(spans)


def _aligned(span: Span, size: int, left: bool) -> Span:
    """A number that does not fit is never cut (a wrong number): it is replaced by an ellipsis."""
    taken = cell_len(span.text)
    if taken <= size:
        blank = " " * (size - taken)
        return Span(span.text + blank if left else blank + span.text, span.role)
    if left:
        return Span(pad(span.text, size, left=True), span.role)
    return Span(pad("…", size), span.role) if span.text[:1].isdigit() else Span(cut(span.text, size), span.role)


def sparkline(values: NDArray[np.float64], width: int, level: float | None = None) -> str:
    """The last values, one cell each, on a log scale of their own; blank where a value is NaN.

    ``level``: what is usual. The scale begins there at the latest, so that values which are all far above it do not
    look like calm ones.
    """
    recent = values[-width:]
    usable = np.isfinite(recent) & (recent > 0)
    if not usable.any():
        return " " * width
    logs = np.log10(np.where(usable, recent, 1.0))
    low = float(logs[usable].min())
    if level:
        low = min(low, float(np.log10(level)))
    scale = max(float(logs[usable].max()) - low, 0.3)
    marks = "▁▂▃▄▅▆▇"
    heights = np.minimum((logs - low) / scale * 6.99, 6).astype(np.int64)
    cells = [marks[height] if good else " " for height, good in zip(heights.tolist(), usable.tolist(), strict=True)]
    return "".join(cells).rjust(width)


def bar(share: float, width: int) -> str:
    """A bar of eighths; anything above nothing shows at least one eighth."""
    if share <= 0 or width <= 0:
        return " " * max(width, 0)
    eighths = max(round(min(share, 1.0) * width * 8), 1)
    full, part = divmod(eighths, 8)
    text = "█" * full + (" ▏▎▍▌▋▊▉"[part] if part else "")
    return text + " " * (width - len(text))
