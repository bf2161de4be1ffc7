"""Leaving in good order whatever happens: signals, a terminal that is gone, a terminal that no longer reads.

Textual leaves a terminal raw on SIGTERM and SIGHUP (Textualize/textual#5140), spins at 100 % CPU when the terminal
vanishes, and blocks its event loop while a terminal does not read. So a thread of our own watches, and when the app
cannot leave by itself the terminal is put back here and the process ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from bpftop.terminal_modes import TerminalModes

GONE = 128 + signal.SIGHUP
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_JOIN_S = 1.0
_CHECK_S = 10.0
"""A hang-up is told by the kernel; the terminal is looked at now and then all the same."""
_GRACE_S = 0.75
_SETTLE_S = 0.01


class Watch:
    """Asks the app to leave, once, and ends the process when it does not, or at once when the terminal is gone."""

    def __init__(self, leave: Callable[[int], None], on_forced: Callable[[bool], None] | None = None) -> None:
        """``on_forced`` is told whether the terminal is gone: then nobody waits for anything but files."""
        self._leave = leave
        self._on_forced = on_forced
        self._code: int | None = None
        self._done = threading.Event()
        self._terminal = TerminalModes()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """A signal asks to leave. It takes no lock: a second signal may come while this one is in its handler."""
        self._code = 128 + number
        self._rouse()

    def _rouse(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake, b"!")

    def run(self) -> None:
        """The thread: until ``stop``, or to the end of the process."""
        while not self._done.is_set():
            self._sleep()
            gone = not terminal_is_there()
            code = GONE if gone and self._code is None else self._code
            if code is not None and not self._done.is_set():
                if not gone:
                    self._leave(code)
                if gone or not self._done.wait(_GRACE_S):
                    self._force(code, gone)
                return

    def _sleep(self) -> None:
        """Until a signal comes, the terminal hangs up, or the app has left: no wake-ups while nothing happens."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        if sys.__stdin__ is not None:
            poll.register(sys.__stdin__.fileno(), 0)  # a hang-up is told without being asked for
        if any(fd != self._woken for fd, _ in poll.poll(_CHECK_S * 1000)):
            self._done.wait(_SETTLE_S)  # the last steps of a hang-up

    def stop(self) -> None:
        """The app has left by itself."""
        self._done.set()
        self._rouse()

    def close(self) -> None:
        """After the thread's end."""
        os.close(self._woken)
        os.close(self._wake)

    def _force(self, code: int, gone: bool) -> None:
        if self._on_forced is not None:
            with contextlib.suppress(Exception):
                self._on_forced(gone)
        self._terminal.restore()
        os._exit(code)


@contextmanager
def watching(leave: Callable[[int], None], on_forced: Callable[[bool], None] | None = None) -> Iterator[Watch]:
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
        thread.join(_JOIN_S)
        if not thread.is_alive():
            watch.close()


def terminal_is_there() -> bool:
    """Is stdin still a terminal? After a hang-up it is not."""
    try:
        return sys.__stdin__ is not None and os.isatty(sys.__stdin__.fileno())
    except (OSError, ValueError):
        return False
