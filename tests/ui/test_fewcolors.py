"""Colours on terminals that have 256 of them: the nearest of the palette, and dark greys stay grey."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color
from rich.palette import Palette
from rich.style import Style

from bpftop.ui.fewcolors import in_256, nearest
from bpftop.ui.themes import OURS

STEPS = (0, 95, 135, 175, 215, 255)
XTERM = Palette([(r, g, b) for r in STEPS for g in STEPS for b in STEPS] + [(8 + 10 * i,) * 3 for i in range(24)])
"""The colours from 16 on."""


def distance(color: Color, other: tuple[int, int, int]) -> int:
    assert color.triplet is not None
    return sum((one - two) ** 2 for one, two in zip(color.triplet, other, strict=True))


@given(*[st.integers(0, 255)] * 3)
def test_no_colour_of_the_palette_is_nearer(red: int, green: int, blue: int) -> None:
    wanted = Color.from_rgb(red, green, blue)
    found = nearest(wanted)
    assert found.number is not None
    assert distance(wanted, XTERM._colors[found.number - 16]) == min(distance(wanted, each) for each in XTERM._colors)


def test_the_dark_grounds_of_our_theme_are_greys() -> None:
    """Rich alone makes navy of the panel and black of the background."""
    for theme in OURS:
        for ground in (theme.background, theme.surface, theme.panel):
            found = nearest(Color.parse(ground or ""))
            assert found.number is not None
            assert found.number >= 231, theme.name  # 231 is white


def test_styles_keep_what_is_no_colour_and_names_stay_names() -> None:
    style = Style.parse("bold underline #1d2631 on ansi_red".replace("ansi_red", "red"))
    found = in_256(style)
    assert found.bold
    assert found.underline
    assert found.bgcolor == Color.parse("red")
    assert found.color is not None
    assert found.color.number == 235
    assert in_256(Style.parse("bold")) == Style.parse("bold")
