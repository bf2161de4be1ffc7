"""How many cells a text takes."""

from __future__ import annotations

import re

from rich.cells import cell_len as _cell_len

_SINGLE = re.compile("[ -~¡-¬®-˿Ͱ-҂‐-‧←-⇿∀-⋿─-◼⠀-⣿]*").fullmatch
"""What takes one cell each: Latin, Greek, Cyrillic, dashes, points, arrows, mathematics, boxes, blocks, braille."""


def cell_len(text: str) -> int:
    """As ``rich.cells.cell_len``, which walks over each new text character by character."""
    if text.isascii() and text.isprintable():
        return len(text)
    return len(text) if _SINGLE(text) else _cell_len(text)
