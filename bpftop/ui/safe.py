"""Words that others wrote (client names, process names, stderr) made harmless for a terminal.

Everything foreign passes here once, before it becomes a span. Control, format, bidirectional and combining characters
become ``?``: they move the cursor, reorder the line or hang on the neighbour's cell.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len, set_cell_size

_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Mc", "Me", "Zl", "Zp"})
_LONGEST = 4096


def safe(text: str, cells: int = 200) -> str:
    """The text with every risky character as ``?``, cut to at most ``cells`` cells with an ellipsis."""
    clean = "".join(_one(char) for char in text[:_LONGEST])
    return cut(clean, cells)


def cut(text: str, cells: int) -> str:
    """The text in at most ``cells`` cells; the last one is an ellipsis when something is missing."""
    if cells <= 0:
        return ""
    if cell_len(text) <= cells:
        return text
    return set_cell_size(text, cells - 1).rstrip() + "…"


def _one(char: str) -> str:
    """One character, or ``?``."""
    if " " <= char <= "~":
        return char
    if char == "\t":
        return " "
    return "?" if unicodedata.category(char) in _REFUSED else char
