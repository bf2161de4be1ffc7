"""ASCII only: the same cells, whoever draws them."""

from __future__ import annotations

from functools import lru_cache

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from bpftop.ui.cells import cell_len

_ASCII = str.maketrans(
    {
        "…": "~", "·": "|", "–": "-", "—": "-", "µ": "u", "→": ">", "←": "<", "›": ">", "●": "*", "○": "o", "◌": ".",
        "─": "-", "│": "|", "┤": "|", "┼": "+", "┬": "+", "└": "+", "┴": "+", "┌": "+", "↑": "^", "↓": "v",
        "▲": "^", "▼": "v", "█": "#", "▉": "#", "▊": "#", "▋": "#", "▌": "#", "▍": ":", "▎": ":", "▏": ":",
        "▁": "_", "▂": ".", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "#",
        "≤": "<", "≥": ">", "×": "x", "±": "~", "░": ".", "▒": "+", "▓": "%", "◆": "@", "━": "=",
        "▪": "o", "•": "o", "┃": "!",
        "╭": "+", "╮": "+", "╯": "+", "╰": "+", "▔": "-", "\N{LEFT-POINTING MAGNIFYING GLASS}": "/ ",
        "\N{RIGHT-POINTING MAGNIFYING GLASS}": "/ ",
    }
)  # fmt: skip


@lru_cache(maxsize=4096)
def ascii_only(text: str) -> str:
    """The same cells in ASCII: braille becomes ``*``, what has no likeness ``?``."""
    plain = text.translate(_ASCII)
    if plain.isascii():
        return plain
    return "".join(
        char if char.isascii() else "*" if "\u2801" <= char <= "\u28ff" else "?" * max(cell_len(char), 1)
        for char in plain
    )


class InAscii(LineFilter):
    """Everything that Textual draws: panes, borders, the palette, what is typed."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Segment by segment."""
        return [
            each if each.text.isascii() else Segment(ascii_only(each.text), each.style, each.control)
            for each in segments
        ]
