"""Changed cells sent to the terminal as they are, past Textual's compositor.

Textual sends again at least the whole stretch of a row that changed, one style at a time, and takes 4 ms for it; of a
screen that shows the same figures a second later most cells are the same. So where nothing lies over a canvas the
cells that differ are written here. Textual draws everything else: first frames, other screens, what is covered, 16
colours and no colours.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from itertools import compress
from operator import ne
from typing import NamedTuple

from rich.color import ColorSystem
from rich.style import Style

from bpftop.ui.cells import cell_len
from bpftop.ui.fewcolors import in_256
from bpftop.ui.paint import Line, Role
from bpftop.ui.thrift import Attributes, ThriftyDriver, applied, change, same_blank

_STRETCH = re.compile(rb"\x01(?:\x00{0,4}\x01)*")
"""Cells that differ (1). Up to four that do not are sent again rather than jumped over: a jump takes 4 to 8 bytes."""
_SAME = re.compile(r"(.)\1*", re.DOTALL)
"""Cells of one look."""
_NONE: Attributes = ("", "", "")


class Look(NamedTuple):
    """The ground and the ink of a cell."""

    fill: Role
    role: Role


class Cells(NamedTuple):
    """One row, a character and a look for each cell."""

    text: str
    looks: str
    """A character for each look (``_codes``)."""


_looks: list[Look] = []


class _Codes(dict[tuple[Role, Role], str]):
    """By ground and ink the character that stands for a look: rows of looks are compared and cut as texts are."""

    def __missing__(self, look: tuple[Role, Role]) -> str:
        code = self[look] = chr(len(_looks))
        _looks.append(Look(*look))
        return code


_codes = _Codes()


def cells(row: Line, width: int, clean: Callable[[str], str]) -> Cells | None:
    """A row of the screen cell by cell; None when a character of it takes two cells, or none."""
    whole = clean(row.text)
    if cell_len(whole) != len(whole):
        return None
    ground = row.fill
    looks = "".join([_codes[fill or ground, role] * len(text) for text, role, fill in row.spans])
    if len(looks) != len(whole):  # something was not fit to be shown
        return None
    return Cells(whole.ljust(width)[:width], looks.ljust(width, _codes[ground, ""])[:width])


class Pen:
    """Writes cells; knows how each look is said to this terminal."""

    def __init__(self, style: Callable[[Role, Role], Style], colors: ColorSystem) -> None:
        self._style, self._colors = style, colors
        self._known: dict[str, Attributes] = {"": _NONE}
        self._alike: dict[str, bool] = {}
        self._turns: dict[tuple[str, str], str] = {}
        """By two looks, what makes one of the other."""

    def _attributes(self, code: str) -> Attributes:
        found = self._known.get(code)
        if found is None:
            style = self._style(*_looks[ord(code)])
            if self._colors is ColorSystem.EIGHT_BIT:
                style = in_256(style)
            drawn = style.render("x", color_system=self._colors)
            codes = drawn.partition("x")[0].removeprefix("\x1b[").removesuffix("m")
            found = self._known[code] = applied(_NONE, codes) if codes else _NONE
        return found

    def rows(self, changed: Iterable[tuple[int, int, Cells, Cells]]) -> str:
        """What turns rows into others: of each where its first cell is (column, row), as it was and as it is to be."""
        out: list[str] = []
        now = ""
        for x, y, old, new in changed:
            text, looks = new
            for at, end in self._stretches(old, new):
                out.append(f"\x1b[{y + 1};{x + at + 1}H")
                for start, stop in [each.span() for each in _SAME.finditer(looks, at, end)]:
                    look, said = looks[start], text[start:stop]
                    if look != now and not (said.isspace() and self._same_ground(now, look)):
                        out.append(self._turn(now, look))
                        now = look
                    out.append(said)
        out.append(self._turn(now, ""))
        return "".join(out)

    def _turn(self, one: str, other: str) -> str:
        found = self._turns.get((one, other))
        if found is None:
            found = self._turns[one, other] = change(self._attributes(one), self._attributes(other))
        return found

    def _stretches(self, old: Cells, new: Cells) -> list[tuple[int, int]]:
        """Where the cells do not look the same; stretches that are close together are one."""
        marks = bytearray(map(ne, old.text, new.text))
        if old.looks != new.looks:
            for at in compress(range(len(marks)), map(ne, old.looks, new.looks)):
                if new.text[at] != " " or not self._same_ground(old.looks[at], new.looks[at]):
                    marks[at] = True
        return [each.span() for each in _STRETCH.finditer(marks)]

    def _same_ground(self, one: str, other: str) -> bool:
        """Whether a blank looks the same in both."""
        found = self._alike.get(one + other)
        if found is None:
            found = self._alike[one + other] = same_blank(self._attributes(one), self._attributes(other), " ")
        return found


class DirectTerminal:
    """Takes what the canvases of one frame write, and sends it at once."""

    def __init__(self, driver: ThriftyDriver, colors: ColorSystem, whole: Callable[[], bool]) -> None:
        """``whole``: whether the terminal can show a frame as a whole (its mode 2026)."""
        self.colors = colors
        self._driver, self._whole = driver, whole
        self._waiting: list[str] = []

    def send(self, data: str) -> None:
        """Write this with the rest of the frame."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(data)

    def flush(self) -> None:
        """Write what waits, before anything else is written."""
        if self._waiting:
            begin, end = ("\x1b[?2026h", "\x1b[?2026l") if self._whole() else ("", "")
            data, self._waiting = "".join(self._waiting), []
            self._driver.send(f"{begin}{data}{end}")
