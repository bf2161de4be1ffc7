"""What drawing functions return: lines of spans, each span a text and a role. No Textual here.

A role says what a text is (a figure in doubt, a warning, a heading); ``canvas.py`` gives roles their colours. So
drawing is a pure function from values to lines, and its tests compare plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

from bpftop.ui.cells import cell_len
from bpftop.ui.safe import cut

Role: TypeAlias = Literal[
    "", "dim", "strong", "head", "good", "warn", "bad", "accent", "p50", "p99", "bar",
    "cursor", "cell", "tab", "chrome", "badge-good", "badge-warn", "badge-bad", "badge-info",
    "heat-1", "heat-2", "heat-3", "heat-4", "heat-5", "heat-6", "heat-7", "heat-8", "hot",
]  # fmt: skip

ROLES: tuple[Role, ...] = Role.__args__[1:]  # type: ignore[attr-defined]


class Span(NamedTuple):
    """A text in one role; ``fill`` is the ground under it where it is not the row's."""

    text: str
    role: Role = ""
    fill: Role = ""


class Line(NamedTuple):
    """One row of the screen. ``fill`` is the role of the whole row, under the roles of its spans."""

    spans: tuple[Span, ...] = ()
    fill: Role = ""

    @property
    def text(self) -> str:
        """The characters without roles."""
        return "".join([text for text, _, _ in self.spans])

    @property
    def cells(self) -> int:
        """Width on the screen."""
        return cell_len(self.text)


EMPTY = Line()
_CLOSE = 8
"""Cells that are sent again rather than jumped over."""


def line(*parts: Span | str, fill: Role = "") -> Line:
    """A line from spans and plain texts."""
    return Line(tuple(part if isinstance(part, Span) else Span(part) for part in parts), fill)


def differing(old: Line, new: Line, width: int) -> list[tuple[int, int]]:
    """The cells in which a row of this width changed, as (start, end); stretches that are close together are one."""
    if old.fill != new.fill:
        return [(0, width)]
    there = set(_placed(old))
    found: list[tuple[int, int]] = []
    at = 0
    for start, end, span in _placed(new):
        at = end
        if (start, end, span) not in there:
            if found and start - found[-1][1] < _CLOSE:
                found[-1] = found[-1][0], end
            else:
                found.append((start, end))
    if old.cells > at:  # what stood behind it goes
        found.append((at, width))
    return [(start, min(end, width)) for start, end in found if start < width]


def _placed(row: Line) -> Iterator[tuple[int, int, Span]]:
    """The spans of a row, with the cells where they start and end."""
    at = 0
    for span in row.spans:
        end = at + cell_len(span.text)
        if end > at:
            yield at, end, span
        at = end


def fit(row: Line, width: int) -> Line:
    """The row in exactly ``width`` cells: cut with an ellipsis or filled with blanks."""
    room = width - row.cells
    if room >= 0:
        return Line((*row.spans, Span(" " * room)), row.fill) if room else row
    spans: list[Span] = []
    room = width
    for span in row.spans:
        text = cut(span.text, room)
        spans.append(Span(text, span.role, span.fill))
        room -= cell_len(text)
        if len(text) < len(span.text):
            break
    if room > 0:
        spans.append(Span(" " * room))
    return Line(tuple(spans), row.fill)


def pad(text: str, width: int, *, left: bool = False) -> str:
    """The text in exactly ``width`` cells, right-aligned unless ``left``."""
    size = cell_len(text)
    if size > width:
        text = cut(text, width)
        size = cell_len(text)
    blank = " " * (width - size)
    return text + blank if left else blank + text


def joined(clauses: Sequence[Sequence[Span]], width: int, between: str = " · ") -> list[Line]:
    """Clauses in as few lines as they need; a clause is broken only when it is wider than a line."""
    lines: list[Line] = []
    spans: list[Span] = []
    for clause in (part for whole in clauses for part in _broken(whole, width)):
        size = sum(cell_len(span.text) for span in (*spans, *clause)) + len(between)
        if spans and size > width:
            lines.append(fit(Line(tuple(spans)), width))
            spans = []
        spans += ([Span(between, "dim")] if spans else []) + list(clause)
    return [*lines, fit(Line(tuple(spans)), width)] if spans else lines


def _broken(clause: Sequence[Span], width: int) -> Iterator[Sequence[Span]]:
    """The clause, or where it is wider than a line its pieces, broken between words."""
    if sum(cell_len(span.text) for span in clause) <= width:
        yield clause
        return
    words = [
        Span(word, span.role, span.fill) for span in clause for word in re.findall(r"\s*\S+\s*$|\s*\S+", span.text)
    ]
    piece: list[Span] = []
    room = width
    for word in words:
        if piece and cell_len(word.text) > room:
            yield piece
            piece, room, word = [], width, word._replace(text=word.text.lstrip())
        piece.append(word)
        room -= cell_len(word.text)
    yield piece


def wrapped(text: str, width: int, role: Role = "") -> list[Line]:
    """Plain words in lines of at most ``width`` cells."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(cut(word, width))
    return [line(Span(each, role)) for each in lines]


def beside(left: Sequence[Line], right: Sequence[Line], left_width: int, gap: int = 2) -> list[Line]:
    """Two columns side by side, as tall as the taller one."""
    rows = max(len(left), len(right))
    one = [*left, *[EMPTY] * (rows - len(left))]
    two = [*right, *[EMPTY] * (rows - len(right))]
    between = Span(" " * gap)
    return [Line((*_filled(fit(a, left_width)), between, *_filled(b))) for a, b in zip(one, two, strict=True)]


def _filled(row: Line) -> tuple[Span, ...]:
    """The spans of a row with its fill on each of them, for a row that becomes part of another."""
    return tuple(Span(span.text, span.role, span.fill or row.fill) for span in row.spans) if row.fill else row.spans


def ends(left: Line, right: Line, width: int, fill: Role = "") -> Line:
    """A row with something at both ends; the left end gives way."""
    room = max(width - right.cells - 1, 0)
    if right.cells > width:
        return fit(Line(right.spans, fill), width)
    return Line((*fit(left, room).spans, Span(" " * (width - room - right.cells)), *right.spans), fill)


def centred(lines: Iterable[Line], width: int, height: int) -> list[Line]:
    """A block in the middle of an area."""
    block = list(lines)[:height]
    above = max((height - len(block)) // 2, 0)
    side = max((width - max((row.cells for row in block), default=0)) // 2, 0)
    return [EMPTY] * above + [Line((Span(" " * side), *row.spans), row.fill) for row in block]
