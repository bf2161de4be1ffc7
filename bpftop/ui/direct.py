"""Changed cells sent to the terminal as they are, past Textual's compositor.

Textual sends again at least the whole stretch of a row that changed, one style at a time, and takes 4 ms for it; of a
screen that shows the same figures a second later most cells are the same. So where nothing lies over a canvas the
cells that differ are written here. Textual draws everything else: first frames, other screens, what is covered, 16
colours and no colours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from rich.color import ColorSystem
from rich.style import Style

from bpftop.ui.fewcolors import in_256
from bpftop.ui.paint import Line, Role
from bpftop.ui.thrift import Attributes, ThriftyDriver, applied, change, same_blank

_NEAR = 4
"""Cells that are sent again rather than jumped over: a jump takes 4 to 8 bytes."""
_NONE: Attributes = ("", "", "")


class Look(NamedTuple):
    """The ground and the ink of a cell."""

    fill: Role
    role: Role


class Cells(NamedTuple):
    """One row, a character and a look for each cell."""

    text: str
    looks: list[Look]


def cells(row: Line, width: int, clean: Callable[[str], str]) -> Cells | None:
    """A row of the screen cell by cell; None when a character of it takes two cells, or none."""
    text: list[str] = []
    looks: list[Look] = []
    for span in row.spans:
        said = clean(span.text)
        text.append(said)
        looks += [Look(span.fill or row.fill, span.role)] * len(said)
    whole = "".join(text)
    if row.cells != len(whole):
        return None
    looks += [Look(row.fill, "")] * (width - len(looks))
    return Cells(whole.ljust(width)[:width], looks[:width])


class Pen:
    """Writes cells; knows how each look is said to this terminal."""

    def __init__(self, style: Callable[[Role, Role], Style], colors: ColorSystem) -> None:
        self._style, self._colors = style, colors
        self._known: dict[Look, Attributes] = {}

    def _attributes(self, look: Look) -> Attributes:
        found = self._known.get(look)
        if found is None:
            style = self._style(look.fill, look.role)
            if self._colors is ColorSystem.EIGHT_BIT:
                style = in_256(style)
            drawn = style.render("x", color_system=self._colors)
            codes = drawn.partition("x")[0].removeprefix("\x1b[").removesuffix("m")
            found = self._known[look] = applied(_NONE, codes) if codes else _NONE
        return found

    def rows(self, changed: Iterable[tuple[int, int, Cells, Cells]]) -> str:
        """What turns rows into others: of each where its first cell is (column, row), as it was and as it is to be."""
        out: list[str] = []
        now = _NONE
        for x, y, old, new in changed:
            for start, end in self._stretches(old, new):
                out.append(f"\x1b[{y + 1};{x + start + 1}H")
                at = start
                for look, group in groupby(new.looks[start:end]):
                    size = sum(1 for _ in group)
                    text, wanted = new.text[at : at + size], self._attributes(look)
                    if not same_blank(now, wanted, text):
                        out.append(change(now, wanted))
                        now = wanted
                    out.append(text)
                    at += size
        out.append(change(now, _NONE))
        return "".join(out)

    def _stretches(self, old: Cells, new: Cells) -> Iterator[tuple[int, int]]:
        """Where the cells differ; stretches that are close together are one."""
        start = end = -1
        for at, (was, now, before, after) in enumerate(zip(old.text, new.text, old.looks, new.looks, strict=True)):
            if was == now and (
                before == after or (now == " " and same_blank(self._attributes(before), self._attributes(after), now))
            ):
                continue
            if start >= 0 and at - end > _NEAR:
                yield start, end
                start = at
            elif start < 0:
                start = at
            end = at + 1
        if start >= 0:
            yield start, end


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
