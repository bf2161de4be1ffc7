"""What goes to the terminal, with the colours said only where they change: four of five bytes were colours.

Rich resets all attributes after every span and names them all again for the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import termios
import tty

from bpftop.ui.keyboard import WaitingDriver

_CODES = re.compile(r"\x1b\[([0-9;]*)m")
_MOVE = re.compile(r"(?:\n|\x1b\[\d+;\d+H)*")


_PLAIN = ("", "1", "2")
Attributes = tuple[str, str, str]
"""Codes of the ink, of the ground, and of all else."""


class ThriftyDriver(WaitingDriver):
    """Textual's driver, but each write is shortened."""

    def write(self, data: str) -> None:
        """Send the same picture in fewer bytes."""
        super().write(shortened(data))

    def send(self, data: str) -> None:
        """Send what is short already (bpftop.ui.direct)."""
        super().write(data)

    def _sigcont_application(self, *_: object) -> None:
        """After a stop by SIGSTOP the terminal's modes are set again, and no more.

        Textual 8 starts its application mode a second time then: a second thread reads keys beside the first, raw modes
        are kept as those to restore, and at the end it waits for ever. After its own stop (SIGTSTP) that is right.
        """
        if self._must_signal_resume:
            super()._sigcont_application()
        else:
            with contextlib.suppress(RuntimeError):  # it does not run yet, or no more
                asyncio.get_running_loop().call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        if self._writer_thread is None:
            return
        with contextlib.suppress(termios.error):
            modes = termios.tcgetattr(self.fileno)
            modes[tty.LFLAG], modes[tty.IFLAG] = (
                self._patch_lflag(modes[tty.LFLAG]),
                self._patch_iflag(modes[tty.IFLAG]),
            )
            termios.tcsetattr(self.fileno, termios.TCSANOW, modes)
        self.write("\x1b[?1049h\x1b[?25l\x1b[?1004h")
        self._enable_mouse_support()
        self._enable_bracketed_paste()
        self.flush()
        self._app.refresh(layout=True)


def shortened(data: str) -> str:
    """Terminal output that looks the same: attributes that stay as they are between two texts are not said again.

    It begins and ends without attributes, as all that Rich writes does.
    """
    if data.count("\x1b[0m") < 2:
        return data
    out: list[str] = []
    now: Attributes = ("", "", "")
    wanted = now
    parts = _CODES.split(data)
    for index, part in enumerate(parts):
        if index % 2:
            wanted = applied(wanted, part)
            continue
        if not part:
            continue
        # Where the cursor goes has nothing to do with attributes; all else is written with those that are wanted.
        if wanted is not now and wanted != now and not (_MOVE.fullmatch(part) or same_blank(now, wanted, part)):
            out.append(change(now, wanted))
            now = wanted
        out.append(part)
    out.append(change(now, wanted))
    return "".join(out)


def same_blank(now: Attributes, wanted: Attributes, text: str) -> bool:
    """Blanks look the same in any ink, bold or dim, on the same ground."""
    return not text.strip(" ") and now[1] == wanted[1] and now[2] in _PLAIN and wanted[2] in _PLAIN


@functools.lru_cache(maxsize=1024)
def applied(before: Attributes, codes: str) -> Attributes:
    """The attributes after one sequence."""
    ink, ground, rest = before
    words = codes.split(";")
    at = 0
    while at < len(words):
        word = words[at]
        size = 1
        if word in ("38", "48"):
            size = 5 if words[at + 1 : at + 2] == ["2"] else 3
        said = ";".join(words[at : at + size])
        if word in ("", "0"):
            ink = ground = rest = ""
        elif word == "38" or _between(word, 30, 37) or word == "39" or _between(word, 90, 97):
            ink = said
        elif word == "48" or _between(word, 40, 47) or word == "49" or _between(word, 100, 107):
            ground = said
        else:
            rest = f"{rest};{said}" if rest else said
        at += size
    return ink, ground, rest


def _between(word: str, low: int, high: int) -> bool:
    return word.isdigit() and low <= int(word) <= high


@functools.lru_cache(maxsize=1024)
def change(now: Attributes, wanted: Attributes) -> str:
    """The shortest sequence from one to the other."""
    if now == wanted:
        return ""
    if any(old and not new for old, new in zip(now, wanted, strict=True)) or (now[2] and now[2] != wanted[2]):
        said = ";".join(each for each in (wanted[2], wanted[0], wanted[1]) if each)
        return f"\x1b[0;{said}m" if said else "\x1b[0m"
    return f"\x1b[{';'.join(new for old, new in zip(now, wanted, strict=True) if new != old)}m"
