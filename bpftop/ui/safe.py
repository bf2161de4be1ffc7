"""Words that others wrote (client names, process names, stderr) made harmless for a terminal.

Everything foreign passes here once, before it becomes a span. Control, format, bidirectional and combining characters
become ``?``: they move the cursor, reorder the line or hang on the neighbour's cell.
"""

from __future__ import annotations

from functools import lru_cache

from rich.cells import set_cell_size

from bpftop import text as foreign
from bpftop.ui.cells import cell_len

_LONGEST = 4096


@lru_cache(maxsize=512)
def safe(text: str, cells: int = 200) -> str:
    """The text with every risky character as ``?`` (the rule is bpftop.text's), cut to at most ``cells`` cells.

    Kept, since names come again with every frame.
    """
    return cut(foreign.safe(text[:_LONGEST].replace("\t", " ")), cells)


def cut(text: str, cells: int) -> str:
    """The text in at most ``cells`` cells; the last one is an ellipsis when something is missing."""
    if cells <= 0:
        return ""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - 1).rstrip() + "…"


def both_ends(text: str, cells: int) -> str:
    """The same, cut in its middle: a path or an address with its port tells more by its end."""
    if cell_len(text) <= cells:
        return text
    fitting = (foreign.both_ends(text, length) for length in range(cells, 1, -1))
    return next((shown for shown in fitting if cell_len(shown) <= cells), cut(text, cells))
