"""Leaving in good order whatever happens: signals, a terminal that is gone, a terminal that no longer reads.

Textual leaves a terminal raw on SIGTERM and SIGHUP (Textualize/textual#5140), spins at 100 % CPU when the terminal
vanishes, and blocks its event loop while a terminal does not read. So a thread of our own watches, and when the app
cannot leave by itself the terminal is put back here and the process ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bpftop.terminal_modes import TerminalModes

GONE = 128 + signal.SIGHUP
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_CHECK_S = 0.25
_GRACE_S = 0.75


class Watch:
    """Asks the app to leave, once, and ends the process when it does not."""

    def __init__(self, leave: Callable[[int], None], on_forced: Callable[[], None] | None = None) -> None:
        self._leave = leave
        self._on_forced = on_forced
        self._code: int | None = None
        self._done = threading.Event()
        self._terminal = TerminalModes()

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """A signal asks to leave. It takes no lock: a second signal may come while this one is in its handler."""
        self._code = 128 + number

    def run(self) -> None:
        """The thread: until ``stop``, or to the end of the process."""
        while not self._done.is_set():
            if self._code is None and not self._done.wait(_CHECK_S) and not terminal_is_there():
                self._code = GONE
            if self._code is not None:
                self._leave(self._code)
                if not self._done.wait(_GRACE_S):
                    self._force(self._code)
                return

    def stop(self) -> None:
        """The app has left by itself."""
        self._done.set()

    def _force(self, code: int) -> None:
        if self._on_forced is not None:
            with contextlib.suppress(Exception):
                self._on_forced()
        self._terminal.restore()
        os._exit(code)


@contextmanager
def watching(leave: Callable[[int], None], on_forced: Callable[[], None] | None = None) -> Iterator[Watch]:
    """While inside, another thread calls ``leave(code)`` on SIGTERM, SIGHUP, SIGINT and when the terminal is gone."""
    watch = Watch(leave, on_forced)
    # What nohup ignores stays ignored.
    ours = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, watch.on_signal) for number in ours}
    thread = threading.Thread(target=watch.run, name="bpftop-leave", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def terminal_is_there() -> bool:
    """Is stdin still a terminal? After a hang-up it is not."""
    try:
        return sys.__stdin__ is not None and os.isatty(sys.__stdin__.fileno())
    except (OSError, ValueError):
        return False
