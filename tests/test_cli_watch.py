"""``bpftop TARGET`` and ``bpftop demo`` on a terminal, from the first key to the shell's prompt."""

from __future__ import annotations

import argparse
import csv
import fcntl
import io
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
import pytest

from bpftop.cli.look import ascii_wanted, mouse_wanted
from tests.processes import server

COLUMNS, ROWS = 100, 30


class Terminal:
    """A screen that one reads and a keyboard that one presses."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process = process
        self._fd = fd
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def text(self) -> str:
        return "\n".join(self._screen.display)

    def press(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def wait(self, until: Callable[[str], bool], timeout_s: float = 30) -> str:
        """The screen as soon as it is as wanted."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if until(self.text()):
                return self.text()
            self._read(0.1)
        raise AssertionError(f"this never came; the screen is\n{self.text()}")

    def end(self) -> int:
        """The exit code; reads until then, as a terminal does."""
        end = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < end:
            self._read(0.1)
        return self.process.wait(1)

    def _read(self, timeout_s: float) -> None:
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return
        try:
            self._stream.feed(os.read(self._fd, 65536))
        except OSError:
            time.sleep(timeout_s)  # nobody is on the other side any more


@contextmanager
def bpftop(*words: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "bpftop", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            process.kill()
            os.close(ours)


def test_a_simulation_shows_figures_saves_them_and_leaves(tmp_path: Path) -> None:
    with bpftop("demo", "--simulate", "--save", str(tmp_path)) as terminal:
        terminal.wait(lambda text: "demo-server" in text and "Where the time goes" in text)
        terminal.press("e")
        terminal.wait(lambda _: len(list(tmp_path.glob("*.csv"))) == 5)
        terminal.press("q")
        assert terminal.end() == 0
    path = next(tmp_path.glob("*-percentiles.csv"))
    with path.open(newline="") as file:
        rows = {row["measure"]: row for row in csv.DictReader(file, strict=True)}
    assert int(rows["request_latency"]["count"]) > 0
    assert not list(tmp_path.glob(".*"))


def test_a_folder_that_is_not_there_is_said_before_the_screen(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    with bpftop("nginx", "--simulate", "--save", str(missing)) as terminal:
        text = terminal.wait(lambda text: f"mkdir-p{missing}" in "".join(text.split()))
        assert "the place to save in, is no directory" in "".join(text.splitlines()).replace("  ", "")
        assert terminal.end() == 2


@pytest.mark.kernel
def test_the_demo_is_measured_for_real() -> None:
    with bpftop("demo") as terminal:
        text = terminal.wait(lambda text: "demo-server" in text and "127.0." in text)
        assert "simulation" not in text
        terminal.press("q")
        assert terminal.end() == 0


@pytest.mark.kernel
def test_a_name_that_does_not_run_is_awaited_and_similar_ones_are_named() -> None:
    with server(comm="zz-nginx", listen=[{"host": "127.0.0.1"}]), bpftop("zz-nginy") as terminal:
        terminal.wait(lambda text: "similar: zz-nginx" in text)
        with server(comm="zz-nginy", listen=[{"host": "127.0.0.1"}]) as one:
            terminal.wait(lambda text: f":{one.ports[0]}" in text and "similar" not in text)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == 143


@pytest.mark.parametrize(
    ("encoding", "asked", "plain"),
    [("utf-8", False, False), ("UTF8", False, False), ("iso-8859-1", False, True), ("utf-8", True, True)],
)
def test_a_terminal_whose_characters_are_not_those_of_utf_8_gets_ascii(
    encoding: str, asked: bool, plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert ascii_wanted(argparse.Namespace(ascii=asked)) is plain


@pytest.mark.parametrize(
    ("term", "tty", "plain"), [("linux", True, True), ("linux", False, False), ("tmux", True, False)]
)
def test_the_console_of_linux_gets_ascii(term: str, tty: bool, plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(out, "isatty", lambda: tty)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setenv("TERM", term)
    assert ascii_wanted(argparse.Namespace(ascii=False)) is plain


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "screen", "STY": "1.x"}, False),
        ({"TERM": "screen.xterm-256color"}, False),
        ({"TERM": "screen.xterm-256color", "TMUX": "outside"}, False),
        ({"TERM": "screen", "STY": "outside", "TMUX": "inside"}, True),
        ({"TERM": "tmux-256color", "TMUX": "inside"}, True),
    ],
)
def test_gnu_screen_keeps_escape_back_while_the_mouse_is_used(
    environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert mouse_wanted(argparse.Namespace(no_mouse=False)) is wanted
    assert not mouse_wanted(argparse.Namespace(no_mouse=True))
