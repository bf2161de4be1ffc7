"""256 colours: the nearest one of the terminal's palette, greys included.

Rich rounds red, green and blue one by one, so that the dark greys of a theme come out as navy or teal. Many terminals
are told to have 256 colours only: sudo and ssh drop COLORTERM.
"""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color, ColorType
from rich.segment import Segment
from rich.style import Style
from textual.color import Color as TextualColor
from textual.filter import LineFilter

_LEVELS = (0, 95, 135, 175, 215, 255)
"""Of red, green and blue in the colours 16 to 231; 232 to 255 are greys from 8 on in steps of 10 (xterm)."""


@lru_cache(maxsize=4096)
def nearest(color: Color) -> Color:
    """The colour of the palette with the least sum of squared differences; others than RGB stay."""
    if color.type is not ColorType.TRUECOLOR or color.triplet is None:
        return color
    wanted = tuple(color.triplet)
    steps = [min(range(6), key=lambda i: abs(_LEVELS[i] - part)) for part in wanted]
    grey = min(max(round((sum(wanted) / 3 - 8) / 10), 0), 23)
    cube = sum((_LEVELS[step] - part) ** 2 for step, part in zip(steps, wanted, strict=True))
    if sum((8 + 10 * grey - part) ** 2 for part in wanted) < cube:
        return Color.from_ansi(232 + grey)
    return Color.from_ansi(16 + 36 * steps[0] + 6 * steps[1] + steps[2])


@lru_cache(maxsize=4096)
def in_256(style: Style) -> Style:
    """The style in colours of the palette."""
    if style.color is None and style.bgcolor is None:
        return style
    ink = nearest(style.color) if style.color else None
    return style + Style.from_color(ink, nearest(style.bgcolor) if style.bgcolor else None)


class In256(LineFilter):
    """Everything that Textual draws, in colours of the palette."""

    def apply(self, segments: list[Segment], background: TextualColor) -> list[Segment]:
        """Segment by segment."""
        return [
            Segment(text, in_256(style) if style is not None else None, control) for text, style, control in segments
        ]
