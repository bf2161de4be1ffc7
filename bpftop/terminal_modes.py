"""The terminal as it was found, to be put back whatever has happened to the program that drew on it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import termios

# CAN first: it ends a sequence that was cut in the middle.
LEAVE = b"\x18\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1049l\x1b[?25h\x1b[<u\x1b[0m"
"""No mouse, no bracketed paste, the first screen, a cursor, plain keys and plain letters."""


class TerminalModes:
    """The modes of the terminal behind stdin at this moment; nothing where there is none."""

    def __init__(self) -> None:
        try:
            self._saved = list(termios.tcgetattr(sys.__stdin__.fileno())) if sys.__stdin__ else None
        except (termios.error, OSError, ValueError):
            self._saved = None

    def restore(self, drawn: bool = True) -> None:
        """Put the modes back without waiting for the terminal; ``drawn``: tell it to leave the second screen, too.

        A terminal whose buffer is full cannot be told: it gets its modes back, and ``reset`` is the cure for the rest.
        """
        if self._saved is None or sys.__stdin__ is None or sys.__stderr__ is None:
            return
        with contextlib.suppress(termios.error, OSError, ValueError):
            termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, self._saved)
        if drawn:
            with contextlib.suppress(OSError, ValueError):
                _tell(sys.__stderr__.fileno())

    def gone(self) -> bool:
        """Whether there was a terminal, and it has hung up."""
        try:
            return self._saved is not None and termios.tcgetattr(sys.__stdin__.fileno()) is None  # type: ignore[union-attr]
        except (termios.error, OSError, ValueError):
            return True

    def restore_ours(self, drawn: bool) -> None:
        """The same, unless the terminal belongs to somebody else by now: the shell, when we are in the background."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if os.tcgetpgrp(sys.__stdin__.fileno()) == os.getpgrp():  # type: ignore[union-attr]
                before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
                self.restore(drawn)
                signal.signal(signal.SIGTTOU, before)


def _tell(descriptor: int) -> None:
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        os.write(descriptor, LEAVE)
    # The terminal is the shell's too, and a shell does not expect it to be non-blocking.
    os.set_blocking(descriptor, True)
