"""In a real terminal: it is put back whatever happens, and foreign text cannot do anything to it."""

from __future__ import annotations

import os
import random
import re
import signal
import termios
import time
from contextlib import closing
from pathlib import Path

import pytest

from bpftop.recording.reader import Recording
from bpftop.ui import leave
from tests.ui.ptys import Terminal, child_in_terminal, restored

APP = ("-m", "tests.ui.terminal_app")
READY = "Where the time goes"


@pytest.mark.parametrize("keys", ["q", "\x03", "?\x03"])
def test_keys_that_quit(keys: str) -> None:
    with child_in_terminal([*APP, "plain"]) as terminal:
        before = termios.tcgetattr(terminal.slave)
        terminal.until(READY)
        terminal.type(keys)
        assert terminal.leave() == 0
        assert restored(terminal, before) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_that_end_it(number: signal.Signals) -> None:
    with child_in_terminal([*APP, "plain"]) as terminal:
        before = termios.tcgetattr(terminal.slave)
        terminal.until(READY)
        terminal.child.send_signal(number)
        assert terminal.leave() == 128 + number
        assert restored(terminal, before) == []
        assert b"left with %d" % (128 + number) in terminal.sent, "it must end in good order, not be cut off"


def test_a_hail_of_signals_ends_it_too() -> None:
    """A handler that takes a lock waits for itself when the next signal comes inside it."""
    with child_in_terminal([*APP, "plain"]) as terminal:
        terminal.until(READY)
        for _ in range(200):
            terminal.child.send_signal(signal.SIGTERM)
            terminal.child.send_signal(signal.SIGHUP)
        assert terminal.leave() in (128 + signal.SIGTERM, 128 + signal.SIGHUP)


def test_a_broken_pane_ends_in_one_sentence(tmp_path: Path) -> None:
    """No page of traceback on the terminal; the details are in a file."""
    with child_in_terminal([*APP, "broken"], env={"TMPDIR": str(tmp_path)}) as terminal:
        before = termios.tcgetattr(terminal.slave)
        terminal.until(READY)
        terminal.type("4")
        assert terminal.leave() == 70
        assert restored(terminal, before) == []
        said = terminal.sent.rsplit(b"\x1b[?1049l", 1)[1].decode()
        assert "bpftop: the screen failed: ZeroDivisionError" in said
        assert "Traceback" not in said
        (details,) = tmp_path.glob("bpftop-crash-*.txt")
        assert "broken_draw" in details.read_text(errors="replace")
        assert details.stat().st_mode & 0o077 == 0


def test_foreign_text_is_harmless_in_every_pane() -> None:
    """Only sequences that Textual itself sends, and none of the risky characters, reach the terminal."""
    with child_in_terminal([*APP, "hostile"], size=(120, 40)) as terminal:
        terminal.until("A?[31mB")
        for key in "2345e":
            terminal.type(key)
            terminal.read(1.0)
        terminal.type("?")
        terminal.until("Help")
        terminal.type("q\x03")
        assert terminal.leave() == 0
        text = terminal.sent.decode("utf-8", errors="surrogateescape")
    for risky in ("\x1b[31mB", "\x1b]0;owned", "\u202e", "\x9b2J", "F\u0301", "\x00", "\ud800"):
        assert risky not in text
    assert "[/b]E" in re.sub(r"\x1b\[[0-9;]*m", "", text), "markup is text"


@pytest.mark.parametrize("mode", ["plain", "ignore-hup"])
def test_a_terminal_that_vanishes_ends_it(mode: str) -> None:
    """Textual would spin at 100 % CPU for ever when the hang-up signal is ignored."""
    with child_in_terminal([*APP, mode]) as terminal:
        terminal.until(READY)
        terminal.close_master()
        assert terminal.child.wait(timeout=60) in (128 + signal.SIGHUP, -signal.SIGHUP)


def test_without_a_terminal_nobody_is_asked_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen could not leave by itself: waiting for it only keeps the probes in the kernel longer."""
    left: list[int] = []
    forced: list[bool] = []
    codes: list[int] = []
    monkeypatch.setattr(leave, "terminal_is_there", lambda: False)
    monkeypatch.setattr(os, "_exit", codes.append)
    watch = leave.Watch(left.append, forced.append)
    watch.on_signal(signal.SIGHUP, None)
    watch.run()
    watch.close()
    assert (left, forced, codes) == ([], [True], [129])


def test_a_recording_is_whole_when_the_terminal_vanishes(tmp_path: Path) -> None:
    with child_in_terminal(["-P", "-m", "bpftop", "--simulate", "--save", str(tmp_path)]) as terminal:
        terminal.until(READY)
        terminal.type("R")
        terminal.until("REC")
        terminal.close_master()
        assert terminal.child.wait(timeout=60) == 128 + signal.SIGHUP
    (path,) = tmp_path.glob("*.bpftop")
    with closing(Recording(path)) as found:
        assert found.ended
        assert found.problem == ""


def test_a_terminal_that_does_not_read_can_be_ended() -> None:
    """After ctrl+s or on a hung connection the event loop is stuck in a write; SIGTERM still ends it."""
    with child_in_terminal([*APP, "plain"], size=(160, 50), env={"COLORTERM": "truecolor"}) as terminal:
        before = termios.tcgetattr(terminal.slave)
        terminal.until(READY)
        for _ in range(200):
            os.write(terminal.master, b"t")
            time.sleep(0.02)
        terminal.child.send_signal(signal.SIGTERM)
        assert terminal.child.wait(timeout=60) == 128 + signal.SIGTERM
        assert termios.tcgetattr(terminal.slave) == before


@pytest.mark.parametrize(
    ("mode", "env"), [("plain", {"NO_COLOR": "1"}), ("no-color", {})], ids=["environment", "option"]
)
def test_no_color_sends_no_colour(mode: str, env: dict[str, str]) -> None:
    """Bold, dim, underline and reverse only, in all panes, the help and a notification."""
    with child_in_terminal([*APP, mode], env={"COLORTERM": "truecolor", **env}) as terminal:
        terminal.until(READY)
        for key in "2345":
            terminal.type(key)
            terminal.read(0.5)
        terminal.type("?")
        terminal.until("Help")
        terminal.type("qet")
        terminal.until("theme ansi-light")
        terminal.type("q")
        assert terminal.leave() == 0
    codes = {int(code) for found in re.findall(rb"\x1b\[([0-9;]+)m", terminal.sent) for code in found.split(b";")}
    assert codes <= {0, 1, 2, 4, 7, 39, 49}, sorted(codes)


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (59, 24), (80, 14)])
def test_tiny_terminals(size: tuple[int, int]) -> None:
    """No crash at any size."""
    with child_in_terminal([*APP, "plain"], size=size) as terminal:
        terminal.until("terminal too small"[: size[0]].strip()[:1] if size[0] < 20 else "terminal too small")
        terminal.type("q")
        assert terminal.leave() == 0


@pytest.mark.parametrize(
    ("term", "right", "wrong"),
    [("linux", rb"[\[;]32[;m]", rb"[34]8;[25];"), ("tmux-256color", rb"[34]8;5;", rb"[34]8;2;"), ("xterm", b"", b"\0")],
    ids=["linux", "tmux-256color", "xterm"],
)
def test_a_terminal_gets_the_colours_that_it_has(term: str, right: bytes, wrong: bytes) -> None:
    """16: its own, of which green says that all is well; 256: none of more."""
    with child_in_terminal([*APP, "plain"], env={"TERM": term, "COLORTERM": ""}) as terminal:
        terminal.until(READY)
        terminal.type("q")
        assert terminal.leave() == 0
        assert re.search(right, terminal.sent)
        assert not re.search(wrong, terminal.sent)


def test_a_storm_of_sizes_leaves_no_trace() -> None:
    """After a hundred sizes at once the screen is what it is when it is drawn anew."""
    with child_in_terminal([*APP, "plain"], size=(100, 30)) as terminal:
        before = termios.tcgetattr(terminal.slave)
        terminal.until(READY)
        chance = random.Random(7)
        for _ in range(100):
            terminal.resize(chance.randint(20, 200), chance.randint(5, 60))
            terminal.read(0.005)
        terminal.resize(100, 30)
        terminal.until("time goes")
        terminal.type("p3")
        terminal.until("PAUSED")
        terminal.until("arrows or mouse")
        _settle(terminal)
        shown = terminal.text
        terminal.screen.reset()
        terminal.resize(101, 30)
        _settle(terminal)
        terminal.resize(100, 30)
        _settle(terminal)
        assert terminal.text == shown
        terminal.type("q")
        assert terminal.leave() == 0
        assert restored(terminal, before) == []


def _settle(terminal: Terminal) -> None:
    """Read until nothing has come for half a second: it is paused, so all is drawn then."""
    seen = -1
    while seen != len(terminal.sent):
        seen = len(terminal.sent)
        terminal.read(0.5)
