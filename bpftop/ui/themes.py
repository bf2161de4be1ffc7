"""Our two themes: quiet greys, one colour for the median, a warmer one for the tail."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="bpftop-dark",
    primary="#6cb2eb",
    secondary="#7aa2c4",
    accent="#8ec7d2",
    warning="#e9b44c",
    error="#ef6f6c",
    success="#7dc383",
    foreground="#d3dae3",
    background="#0f141a",
    surface="#161d26",
    panel="#1d2631",
    dark=True,
)
LIGHT = Theme(
    name="bpftop-light",
    primary="#1f6fb2",
    secondary="#4a6b8a",
    accent="#0f7285",
    warning="#a86200",
    error="#c0322f",
    success="#2f7d32",
    foreground="#1c232b",
    background="#fafbfc",
    surface="#eef1f4",
    panel="#e1e6eb",
    dark=False,
)
OURS = (DARK, LIGHT)
CYCLE = ("bpftop-dark", "bpftop-light", "nord", "gruvbox", "catppuccin-mocha", "solarized-light", "ansi-dark")
"""What ``t`` steps through; the palette offers all."""
PLAIN_CYCLE = ("ansi-dark", "ansi-light")
"""Without colour only these: others come out black on black (Textual picks the filter when the app is made)."""
