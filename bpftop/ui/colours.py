"""The colours of our two themes. No Textual here: the first frame has them before it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

DARK: Mapping[str, str] = MappingProxyType({
    "primary": "#6cb2eb",
    "secondary": "#7aa2c4",
    "accent": "#8ec7d2",
    "warning": "#e9b44c",
    "error": "#ef6f6c",
    "success": "#7dc383",
    "foreground": "#d3dae3",
    "background": "#0f141a",
    "surface": "#161d26",
    "panel": "#1d2631",
})  # fmt: skip
LIGHT: Mapping[str, str] = MappingProxyType({
    "primary": "#1f6fb2",
    "secondary": "#4a6b8a",
    "accent": "#0f7285",
    "warning": "#a86200",
    "error": "#c0322f",
    "success": "#2f7d32",
    "foreground": "#1c232b",
    "background": "#fafbfc",
    "surface": "#eef1f4",
    "panel": "#e1e6eb",
})  # fmt: skip
NAMED: Mapping[str, Mapping[str, str]] = MappingProxyType({"bpftop-dark": DARK, "bpftop-light": LIGHT})
