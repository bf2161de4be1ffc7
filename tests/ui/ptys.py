"""A child in a terminal of its own, with a terminal emulator that says what a person would see."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60
"""A shared machine can be very slow; nothing is asserted about this."""


class Terminal:
    """The master side of a pty and the child on the other side."""

    def __init__(self, child: subprocess.Popen[bytes], master: int, slave: int, size: tuple[int, int]) -> None:
        self.child, self.master, self.slave = child, master, slave
        self.before: list[object] = []
        """The modes in front of the child: on a busy machine it may have changed them by the time one looks."""
        self.sent = b""
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self._begun = b""
        """An escape sequence whose end has not come yet: what pyte does not know must be taken out whole."""

    def read(self, seconds: float = 0.1) -> None:
        """Take what the child wrote."""
        while select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            self.sent += data
            data = self._begun + data
            self._begun = b"".join(re.findall(rb"\x1b(?:\[[0-?]*[ -/]*)?\Z", data))
            data = data[: len(data) - len(self._begun)]
            # pyte does not know private CSI sequences with intermediate bytes (kitty's keyboard protocol).
            with contextlib.suppress(Exception):
                self._stream.feed(re.sub(rb"\x1b\[[<>=?]\d*u|\x1b\[\?\d+\$p|\x1b\[\d*;?\d*t", b"", data))
            seconds = 0

    def modes(self) -> list[object]:
        """The terminal's modes now."""
        return termios.tcgetattr(self.slave)

    @property
    def text(self) -> str:
        """The rows on the screen."""
        return "\n".join(self.screen.display)

    def until(self, words: str) -> None:
        """Read until these words are on the screen."""
        end = time.monotonic() + PATIENCE_S
        while words not in self.text:
            assert time.monotonic() < end, f"{words!r} never came; the screen is:\n{self.text}\n{self.sent[-2000:]!r}"
            assert self.child.poll() is None, f"ended with {self.child.returncode}:\n{self.text}"
            self.read()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Another size, which the kernel tells the child."""
        self.screen.resize(rows, columns)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def leave(self) -> int:
        """Read until the child has ended; its exit code."""
        end = time.monotonic() + PATIENCE_S
        while self.child.poll() is None:
            assert time.monotonic() < end, f"still there:\n{self.text}"
            self.read()
        self.read(0.2)
        return self.child.returncode

    def close_master(self) -> None:
        """The terminal vanishes."""
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1


def restored(terminal: Terminal, before: Sequence[object]) -> list[str]:
    """What is wrong with the terminal after the child has left: nothing, if all is well."""
    wrong = []
    for number, what in ((1049, "alternate screen"), (1000, "mouse"), (1003, "mouse motion"), (2004, "paste")):
        wrong += [what] if _last(terminal.sent, number) == b"h" else []
    wrong += ["cursor hidden"] if _last(terminal.sent, 25) == b"l" else []
    now = termios.tcgetattr(terminal.slave)
    wrong += [f"termios: {now}, not {before}"] if now != before else []
    return wrong


def _last(sent: bytes, number: int) -> bytes:
    """Was this private mode set (h) or reset (l) last?"""
    found: list[bytes] = re.findall(rb"\x1b\[\?(?:\d+;)*%d(?:;\d+)*([hl])" % number, sent)
    return found[-1] if found else b""


@contextmanager
def child_in_terminal(
    argv: Sequence[str], size: tuple[int, int] = (80, 24), env: dict[str, str] | None = None
) -> Iterator[Terminal]:
    """Start a program as the leader of a new session with a pty as its terminal; killed at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "TZ": "UTC", **(env or {})}
    environment.pop("NO_COLOR", None) if not env or "NO_COLOR" not in env else None
    for name in {"COLUMNS", "LINES"} - set(env or {}):  # what runs the tests in several processes may set them
        environment.pop(name, None)
    before: list[object] = termios.tcgetattr(slave)
    child = subprocess.Popen(
        [sys.executable, *argv],
        stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=environment, start_new_session=True,
        preexec_fn=_own_terminal,
    )  # fmt: skip
    terminal = Terminal(child, master, slave, size)
    terminal.before = before
    try:
        yield terminal
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
        child.wait()
        for each in (terminal.master, terminal.slave):
            with contextlib.suppress(OSError):
                os.close(each)


def _own_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def save_record_quit(terminal: Terminal) -> None:
    """On a live screen: CSV files, a recording, and out."""
    terminal.type("e")
    terminal.until("saved")
    terminal.type("R")
    terminal.until("recording")
    terminal.type("R")
    terminal.until("recorded")
    terminal.type("q")
    assert terminal.leave() == 0
