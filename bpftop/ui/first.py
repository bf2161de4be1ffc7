"""The first frame: who is attached to, on the screen before Textual, numpy and the figures are imported.

From here on the terminal shows its second screen and echoes nothing. Textual takes over and draws in the same place;
what is typed until then waits for it. When it never comes to that, the terminal is put back.
"""

from __future__ import annotations

import contextlib
import os
import sys
import termios
from typing import Self

from bpftop.errors import UsageError
from bpftop.text import safe
from bpftop.ui.colours import NAMED
from bpftop.ui.terminal import refuse_terminal

_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[0m\x1b[?25h\x1b[?1049l"
_LONGEST = 32
_shown: list[FirstFrame] = []
"""The one that is on the terminal now."""


class FirstFrame:
    """A frame that this process may show once. A context: on the way out nothing of it is left."""

    def __init__(self, name: str, *, theme: str | None = None, plain: bool = False, ascii: bool = False) -> None:
        """``name``: who is attached to, empty when no frame is to be shown; the others as in UiOptions."""
        self._name = safe(name)[:_LONGEST]
        self._colours = NAMED.get(theme or "bpftop-dark") if not plain and _full_colour() else None
        self._dots = "..." if ascii else "…"
        self._modes: list[object] | None = None
        self._said: list[str] = []
        self.drawn = False
        """It is what the terminal shows, and Textual does not draw yet."""

    def show(self) -> None:
        """Draw it, where a screen can be drawn; once."""
        if not self._name or self._modes is not None:
            return
        with contextlib.suppress(UsageError, OSError, termios.error, ValueError):
            refuse_terminal()  # the words for it come later
            self._modes = list(termios.tcgetattr(sys.__stdin__.fileno()))  # type: ignore[union-attr]
            _set(_silent(self._modes))
            _shown.append(self)
            self.drawn = True
            _write(_ENTER + self._drawn(*os.get_terminal_size(sys.__stderr__.fileno())))  # type: ignore[union-attr]

    def _drawn(self, width: int, height: int) -> str:
        badge, said = " ATTACHING ", f"attaching to {self._name} {self._dots}"
        row, middle = f"\x1b[{height // 2};{max((width - len(said)) // 2, 0) + 1}H", said[:width]
        if self._colours is None:
            return f"\x1b[2J\x1b[H\x1b[1;7m{badge}\x1b[27m {self._name}{row}{middle}\x1b[0m"
        ground, ink, panel, accent = (self._colours[each] for each in ("background", "foreground", "panel", "accent"))
        top = f"{_rgb(48, accent)}{_rgb(38, ground)}\x1b[1m{badge}{_rgb(48, panel)}{_rgb(38, ink)}"
        rest = f" {self._name}".ljust(width - len(badge))[: width - len(badge)]
        return f"{_rgb(48, ground)}\x1b[2J\x1b[H{top}{rest}{_rgb(48, ground)}{row}{middle}\x1b[0m"

    def keep(self, sentence: str) -> None:
        """Print this when the first screen is back."""
        self._said.append(sentence)

    def over(self) -> None:
        """Textual draws soon: it finds the terminal's modes as they were."""
        if self in _shown:
            if self._said:  # they belong on the first screen, before the second is shown again
                _write(_LEAVE)
                self._say()
                _write(_ENTER + self._drawn(*os.get_terminal_size(sys.__stderr__.fileno())))  # type: ignore[union-attr]
            self._put_back()
            self.drawn = False

    def taken(self) -> None:
        """From now on somebody else leaves the second screen, whatever happens."""
        if self in _shown:
            _shown.remove(self)

    def _put_back(self) -> None:
        if self._modes is not None:
            with contextlib.suppress(OSError, termios.error):
                _set(self._modes)

    def _say(self) -> None:
        for sentence in self._said:
            _write(f"{sentence}\r\n")
        self._said.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self in _shown:
            _write(_LEAVE)
            self._put_back()
            _shown.remove(self)
        self._say()


def aside(sentence: str) -> bool:
    """Keep a sentence for the first screen while a first frame is shown; False when none is."""
    drawn = bool(_shown) and _shown[-1].drawn
    if drawn:
        _shown[-1].keep(sentence)
    return drawn


def _full_colour() -> bool:
    return os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit") and not os.environ.get("NO_COLOR")


def _rgb(kind: int, colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"\x1b[{kind};2;{red};{green};{blue}m"


def _silent(modes: list[object]) -> list[object]:
    """No echo, no waiting for a whole line, no ctrl+z into a shell on the second screen; ctrl+c ends as ever."""
    silent = list(modes)
    silent[3] = silent[3] & ~(termios.ECHO | termios.ICANON)  # type: ignore[operator]
    controls = list(silent[6])  # type: ignore[call-overload]
    controls[termios.VSUSP] = b"\0"
    silent[6] = controls
    return silent


def _set(modes: list[object]) -> None:
    termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, modes)  # type: ignore[union-attr,arg-type]


def _write(data: str) -> None:
    with contextlib.suppress(OSError):
        os.write(sys.__stderr__.fileno(), data.encode())  # type: ignore[union-attr]
