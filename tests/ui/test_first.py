"""The frame before the screen: there before anything heavy is imported, and nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.ui.ptys import child_in_terminal, restored

HALTED = """
import signal, sys, types
from bpftop.cli import dispatch
def halted(options):
    options.first.show()
    print(sorted({name.partition(".")[0] for name in sys.modules} & {"textual", "rich", "numpy"}), end="", flush=True)
    signal.pause()
dispatch._verb = halted
sys.exit(dispatch.main(["watch", "www-é", "--simulate", *sys.argv[1:]]))
"""
BETWEEN = """
import signal, sys
from bpftop.cli import dispatch
def between(options):
    options.first.show()
    options.first.over()
    print("over", end="", flush=True)
    signal.pause()
dispatch._verb = between
sys.exit(dispatch.main(["watch", "nginx", "--simulate"]))
"""
ORPHAN = """
import signal, sys
from bpftop.supervision.drop import leave_root
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
leave_root(None, 0)
"""
SPEAKS = """
import sys
from bpftop.cli.host import narrate
from bpftop.ui.first import FirstFrame
with FirstFrame("nginx") as first:
    first.show()
    narrate("syscalls costs much")
    first.over()
    narrate("said at once")
    raise SystemExit(3)
"""
WRONG = ["-m", "bpftop", "watch", "nginx", "--simulate", "--save", "/nowhere/at/all"]


def test_it_is_there_before_anything_heavy_and_goes_with_a_signal() -> None:
    with child_in_terminal(["-c", HALTED], env={"COLORTERM": "truecolor"}) as terminal:
        before = terminal.modes()
        terminal.until("[]")
        assert "ATTACHING  www-é" in terminal.screen.display[0]
        assert "attaching to www-é …" in terminal.screen.display[11]
        terminal.type("x\x1a")  # neither echoed, nor does it stop
        terminal.read(0.3)
        assert "x" not in terminal.text
        terminal.child.send_signal(signal.SIGTERM)
        assert terminal.leave() == 128 + signal.SIGTERM
        assert restored(terminal, before) == []


def test_before_textual_has_the_terminal_a_signal_puts_it_back() -> None:
    with child_in_terminal(["-c", BETWEEN]) as terminal:
        before = terminal.before
        terminal.until("over")
        terminal.child.send_signal(signal.SIGTERM)
        assert terminal.leave() == 128 + signal.SIGTERM
        assert restored(terminal, before) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_process_whose_supervisor_is_gone_is_told_by_the_same_signal() -> None:
    """So that it puts the terminal back."""
    assert subprocess.run([sys.executable, "-c", ORPHAN]).returncode == 9


def test_ascii_and_no_colour() -> None:
    with child_in_terminal(["-c", HALTED, "--ascii", "--no-color"]) as terminal:
        terminal.until("[]")
        assert "attaching to www-" in terminal.text
        assert "…" not in terminal.text
        assert b"\x1b[48;" not in terminal.sent


def test_an_error_stands_on_the_first_screen() -> None:
    with child_in_terminal(WRONG) as terminal:
        before = terminal.modes()
        assert terminal.leave() == 2
        assert "the place to save in, is no directory" in terminal.sent.rpartition(b"\x1b[?1049l")[2].decode()
        assert restored(terminal, before) == []


def test_what_is_said_meanwhile_stands_on_the_first_screen_before_the_second_is_shown_again() -> None:
    with child_in_terminal(["-c", SPEAKS]) as terminal:
        before = terminal.modes()
        assert terminal.leave() == 3
        first, left, second = terminal.sent.partition(b"\x1b[?1049l")
        assert left
        assert b"costs" not in first
        assert second.index(b"bpftop: syscalls costs much") < second.index(b"\x1b[?1049h") < second.index(b"at once")
        assert terminal.modes() == before


def test_a_key_that_is_pressed_before_the_screen_is_there_is_not_lost() -> None:
    with child_in_terminal(["-m", "bpftop", "demo", "--simulate"]) as terminal:
        before = terminal.modes()
        terminal.until("attaching to demo")
        terminal.type("q")
        assert terminal.leave() == 0
        assert restored(terminal, before) == []
