"""SIGKILL for anybody at any moment: a second later nobody is left, and the terminal is as it was."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.fakes import FakeBpftrace, alive, wait_for
from tests.kernel.test_division import WATCH, all_end, children, end, named, status
from tests.kernel.watching import Nginx, running_nginx
from tests.ui.ptys import Terminal, child_in_terminal, restored

ROUNDS = int(os.environ.get("BPFTOP_FAULT_ROUNDS", "0"))
AT_ONCE = 20
SEED = int(os.environ.get("BPFTOP_FAULT_SEED", "1"))
SCREEN = """
import os, signal, termios
from bpftop.terminal_modes import TerminalModes
modes = TerminalModes()
def leave(number, frame):
    modes.restore()
    os._exit(128 + number)
for number in (signal.SIGTERM, signal.SIGHUP):  # the kernel hangs up a session without its first process
    signal.signal(number, leave)
raw = termios.tcgetattr(0)
raw[0], raw[3] = 0, 0
termios.tcsetattr(0, termios.TCSANOW, raw)
os.write(2, b"\\x1b[?1049h\\x1b[?25l")
try:
    source = link.begin("open")[1]
    while os.read(source.stdout, 4096): pass
except Exception: pass  # the supervisor may be gone before it has answered
modes.restore()
os._exit(0)
"""
"""What stands for the screen: it makes the terminal raw, reads, and leaves in order when it is told and at the end."""


@pytest.fixture
def chance(record_property: Callable[[str, object], None]) -> random.Random:
    """Everything that is drawn by lot; BPFTOP_FAULT_SEED takes another lot."""
    record_property("seed", SEED)
    print(f"BPFTOP_FAULT_SEED={SEED}")
    return random.Random(SEED)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("turn", range(2 * ROUNDS or 1))
def test_a_kill_at_any_moment(tmp_path: Path, chance: random.Random, turn: int) -> None:
    chance.seed(SEED * 1000 + turn)
    fakes = []
    with ExitStack() as stack:
        killed: list[tuple[str, Terminal, list[object], list[int]]] = []
        for number in range(AT_ONCE):
            folder = tmp_path / str(number)
            folder.mkdir()
            fakes.append(FakeBpftrace(folder, "ignores()\nattached()\nwhile True: tick(1); time.sleep(.02)"))
            command = ["-m", "tests.supervised", str(fakes[-1].path), SCREEN, "drawn", "lean"]
            terminal = stack.enter_context(child_in_terminal(command))
            before = terminal.before
            supervisor = terminal.child.pid
            (screen,) = _screen_of(supervisor)
            time.sleep(chance.random() * 0.2)
            victims = {"supervisor": supervisor, "screen": screen}
            if fakes[-1].runs:
                victims["bpftrace"] = fakes[-1].runs[0]["pid"]
            victim = chance.choice(sorted(victims))
            os.kill(victims[victim], signal.SIGKILL)
            killed.append((victim, terminal, before, [supervisor, screen]))
        for victim, terminal, before, pids in killed:
            terminal.read(0)
            all_end(pids)
            terminal.child.wait(20)
            terminal.read(0.05)
            assert restored(terminal, before) == [], f"{victim}, turn {turn}"
        all_end([run["pid"] for fake in fakes for run in fake.runs])
    assert not any(alive(run["pid"]) for fake in fakes for run in fake.runs)


def _screen_of(supervisor: int) -> list[int]:
    """Its first child, as soon as there is one."""
    wait_for(lambda: children(supervisor), "no screen", 60)
    return children(supervisor)[:1]


@pytest.mark.kernel
@pytest.mark.parametrize("turn", range(ROUNDS or 1))
def test_a_kill_of_a_real_watch_at_any_moment(tmp_path: Path, chance: random.Random, turn: int) -> None:
    """Two at a time, from before the attach to well after it; also after bpftrace itself was killed."""
    chance.seed(SEED * 1000 + turn)
    with running_nginx(tmp_path) as nginx:
        for _ in range(2):
            _kill_real(nginx, chance)


def _kill_real(nginx: Nginx, chance: random.Random) -> None:
    environment = chance.choice([{}, {"SUDO_UID": "65534", "SUDO_GID": "65534"}])
    with child_in_terminal([*WATCH, f":{nginx.port}"], (90, 24), environment) as terminal:
        before, supervisor = terminal.before, terminal.child.pid
        (screen,) = _screen_of(supervisor)
        seen: set[int] = set()
        until = time.monotonic() + chance.random() * 5
        while time.monotonic() < until:
            terminal.read(0.05)
            seen |= set(named(supervisor, "bpftrace"))
            if (living := [pid for pid in seen if alive(pid)]) and chance.random() < 0.02:
                with suppress(ProcessLookupError):
                    os.kill(living[0], signal.SIGKILL)
        victim = chance.choice([screen, supervisor])
        if not end(victim):
            seen |= set(children(supervisor)) - {screen}
            os.kill(victim, signal.SIGKILL)
        all_end([screen, *seen])
        assert terminal.leave() in (-signal.SIGKILL, 128 + signal.SIGKILL, 3)
        assert restored(terminal, before) == []
        assert not any(status(pid)["Name"] == "bpftrace" and not end(pid) for pid in seen if alive(pid))
