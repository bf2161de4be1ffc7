"""Changed cells sent to the terminal as they are, past Textual's compositor.

Textual sends again at least the whole stretch of a row that changed, one style at a time, and takes 4 ms for it; of a
screen that shows the same figures a second later most cells are the same. So where nothing lies over a canvas the
cells that differ are written here. Textual draws everything else: first frames, other screens, what is covered, 16
colours and no colours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from rich.color import ColorSystem
from rich.style import Style

from bpftop.ui.cells import cell_len
from bpftop.ui.fewcolors import in_256
from bpftop.ui.paint import Line, Role
from bpftop.ui.thrift import Attributes, ThriftyDriver, applied, change, same_blank

_NEAR = 4
"""Cells that are sent again rather than jumped over: a jump takes 4 to 8 bytes."""
_PIECE = 8
_NONE: Attributes = ("", "", "")


class Look(NamedTuple):
    """The ground and the ink of a cell."""

    fill: Role
    role: Role


class Cells(NamedTuple):
    """One row, a character and a look for each cell."""

    text: str
    looks: str
    """A character for each look (``code_of``)."""


_looks: list[Look] = []
_codes: dict[tuple[Role, Role], str] = {}


def code_of(fill: Role, role: Role) -> str:
    """The character that stands for a look: rows of looks are compared and cut as texts are."""
    code = _codes.get((fill, role))
    if code is None:
        code = _codes[fill, role] = chr(len(_looks))
        _looks.append(Look(fill, role))
    return code


def cells(row: Line, width: int, clean: Callable[[str], str]) -> Cells | None:
    """A row of the screen cell by cell; None when a character of it takes two cells, or none."""
    whole = clean(row.text)
    if cell_len(whole) != len(whole):
        return None
    ground = row.fill
    looks = "".join([code_of(fill or ground, role) * len(text) for text, role, fill in row.spans])
    if len(looks) != len(whole):  # something was not fit to be shown
        return None
    return Cells(whole.ljust(width)[:width], looks.ljust(width, code_of(ground, ""))[:width])


class Pen:
    """Writes cells; knows how each look is said to this terminal."""

    def __init__(self, style: Callable[[Role, Role], Style], colors: ColorSystem) -> None:
        self._style, self._colors = style, colors
        self._known: dict[str, Attributes] = {}
        self._alike: dict[str, bool] = {}

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
        now = _NONE
        for x, y, old, new in changed:
            for at, end in self._stretches(old, new):
                out.append(f"\x1b[{y + 1};{x + at + 1}H")
                looks = new.looks[at:end]
                while looks:
                    rest = looks.lstrip(looks[0])
                    size = len(looks) - len(rest)
                    text, wanted = new.text[at : at + size], self._attributes(looks[0])
                    if wanted is not now and not same_blank(now, wanted, text):
                        out.append(change(now, wanted))
                        now = wanted
                    out.append(text)
                    looks, at = rest, at + size
        out.append(change(now, _NONE))
        return "".join(out)

    def _stretches(self, old: Cells, new: Cells) -> Iterator[tuple[int, int]]:
        """Where the cells differ; stretches that are close together are one."""
        start = end = -1
        for at in self._differing(old, new):
            if start >= 0 and at - end > _NEAR:
                yield start, end
                start = at
            elif start < 0:
                start = at
            end = at + 1
        if start >= 0:
            yield start, end

    def _differing(self, old: Cells, new: Cells) -> Iterator[int]:
        """The cells that do not look the same; most pieces of a row are found equal as wholes."""
        for begin in range(0, len(new.text), _PIECE):
            end = begin + _PIECE
            were, are = old.text[begin:end], new.text[begin:end]
            before, after = old.looks[begin:end], new.looks[begin:end]
            if were == are and before == after:
                continue
            for at, (was, now, one, other) in enumerate(zip(were, are, before, after, strict=True), begin):
                if was != now or (one != other and not (now == " " and self._same_ground(one, other))):
                    yield at

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
