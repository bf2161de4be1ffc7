"""Words made fit to show: those that others wrote (names of processes, lines of stderr, addresses), and our titles."""

from __future__ import annotations

import unicodedata

REPLACEMENT = "?"
"""Plain ASCII: it is right in every terminal and every font."""
# Control, format (bidi, zero width), surrogate, private, unassigned; marks that pile up; line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Mc", "Me", "Zl", "Zp"})


def safe(foreign: str, cells: int | None = None) -> str:
    """The text with everything that could steer a terminal replaced, cut to ``cells`` characters with an ellipsis."""
    if foreign.isascii() and foreign.isprintable():
        shown = foreign
    else:
        shown = "".join(REPLACEMENT if unicodedata.category(c) in _UNSAFE else c for c in foreign)
    if cells is not None and len(shown) > cells:
        return shown[: max(cells - 1, 0)] + "…"
    return shown


def both_ends(foreign: str, cells: int) -> str:
    """The same, cut in its middle: a path or an address with its port tells more by its end."""
    shown = safe(foreign)
    if len(shown) <= cells:
        return shown
    head = (cells - 1) // 3
    return f"{shown[:head]}…{shown[len(shown) - (cells - 1 - head) :]}"


def inside(title: str) -> str:
    """A title in the middle of a sentence: ``accept queue latency``, but ``HTTP routes``."""
    return title if title[:2].isupper() or title[1:2] == "/" else title[:1].lower() + title[1:]
