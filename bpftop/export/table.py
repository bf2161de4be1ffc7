"""Rows as CSV: RFC 4180 quoting, line feeds, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from bpftop.model import ClientRow
from bpftop.text import safe

Cell: TypeAlias = str | int | float | None

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""What makes spreadsheets compute a cell; some take the wide forms, too. Control characters are gone by then."""


def to_csv(rows: Iterable[Sequence[Cell]]) -> str:
    """The rows as text, each ended by a line feed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def share(row: ClientRow) -> Cell:
    """Its share of the wall clock, to a millionth."""
    return None if row.share_of_wall is None else f"{row.share_of_wall:.6f}"


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return guarded(value)
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else ""
    return str(int(value))


def guarded(text: str) -> str:
    """Foreign text without control characters; an apostrophe in front where a spreadsheet would see a formula."""
    clean = safe(text)
    return "'" + clean if clean.lstrip().startswith(_FORMULA) else clean
