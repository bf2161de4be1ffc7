"""Our two themes: quiet greys, one colour for the median, a warmer one for the tail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual.theme import Theme

from bpftop.ui.colours import DARK, NAMED


def _theme(name: str, colours: Mapping[str, Any]) -> Theme:
    return Theme(name=name, dark=colours is DARK, **colours)


OURS = tuple(_theme(name, colours) for name, colours in NAMED.items())
CYCLE = ("bpftop-dark", "bpftop-light", "nord", "gruvbox", "catppuccin-mocha", "solarized-light", "ansi-dark")
"""What ``t`` steps through; the palette offers all."""
PLAIN_CYCLE = ("ansi-dark", "ansi-light")
"""Without colour only these: others come out black on black (Textual picks the filter when the app is made)."""
