"""Who does what: bpftrace with few capabilities, a supervisor that reads nothing, a screen without any rights."""

from __future__ import annotations

import os
import pwd
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from bpftop.supervision.drop import SUPERVISING
from tests.kernel.watching import Nginx, wait_for
from tests.load import run_load
from tests.ui.ptys import ROOT, Terminal, child_in_terminal, restored

T = TypeVar("T")
NOBODY = pwd.getpwnam("nobody")
AS_NOBODY = {"SUDO_UID": str(NOBODY.pw_uid), "SUDO_GID": str(NOBODY.pw_gid)}
WATCH = ["-P", "-m", "bpftop", "watch"]
CAP_IPC_LOCK, CAP_PERFMON, CAP_BPF = 14, 38, 39


def status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def children(pid: int) -> list[int]:
    """The children of the first thread of a process, oldest first."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def named(pid: int, name: str) -> list[int]:
    """The children of a process that run ``name``; one that composes a program ends meanwhile."""
    found = []
    for child in children(pid):
        with suppress(OSError):
            found += [child] if status(child)["Name"] == name else []
    return found


def rights(pid: int) -> tuple[set[str], int, str]:
    """User ids, capabilities that it holds or could get, and whether a set-uid program would do anything."""
    found = status(pid)
    caps = int(found["CapEff"], 16) | int(found["CapPrm"], 16) | int(found["CapInh"], 16) | int(found["CapBnd"], 16)
    return set(found["Uid"].split()) | set(found["Gid"].split()), caps, found["NoNewPrivs"]


def end(pid: int) -> bool:
    """Gone, a zombie, or past the point of no return (PF_EXITING): probes take the kernel about 0.1 s each."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    return fields[0] in "ZX" or bool(int(fields[6]) & 4)


def starved_s(pid: int) -> float:
    """How long the threads of a process were ready to run and had no CPU (run_delay, proc_pid_schedstat(5))."""
    total_ns = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError, IndexError, ValueError):
            total_ns += int(task.read_text().split()[1])
    return total_ns / 1e9


def all_end(pids: Iterable[int]) -> float:
    """Wait until all have ended; the seconds that took.

    They have a second, without the time that they are ready to run and get no CPU, and on a busy machine as long as
    twenty small programs take at this moment.
    """
    began_s, allowed_s, pids = time.monotonic(), 1.0, list(pids)
    before = {pid: starved_s(pid) for pid in pids}
    starved = dict.fromkeys(pids, 0.0)
    while left := [pid for pid in pids if not end(pid)]:
        starved |= {pid: max(starved_s(pid) - before[pid], starved[pid]) for pid in left}
        waited_s = time.monotonic() - began_s - sum(starved.values())
        if waited_s > allowed_s:
            small_s = time.monotonic()
            subprocess.run(["/bin/true"], check=True)
            allowed_s += 20 * (time.monotonic() - small_s)
        assert time.monotonic() - began_s < 20, left
        assert waited_s < min(allowed_s, 10), f"{[status(pid)['Name'] for pid in left]} after {waited_s:.1f} s"
        time.sleep(0.01)
    return time.monotonic() - began_s


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of nobody's."""
    with tempfile.TemporaryDirectory() as name:
        os.chown(name, NOBODY.pw_uid, NOBODY.pw_gid)
        yield Path(name)


def test_the_screen_has_no_rights_and_does_everything_all_the_same(nginx: Nginx, folder: Path) -> None:
    command = [*WATCH, f":{nginx.port}", "--window", "all", "--save", str(folder)]
    with child_in_terminal(command, (110, 40), AS_NOBODY) as terminal:
        before = terminal.before
        terminal.until("LIVE")
        supervisor = terminal.child.pid
        (screen,) = [child for child in children(supervisor) if status(child)["Name"] != "bpftrace"]
        (tracer,) = named(supervisor, "bpftrace")
        assert rights(supervisor)[0] == {"0"}
        assert rights(supervisor)[1] & ~sum(1 << number for number in SUPERVISING) == 0
        assert rights(supervisor)[2] == "1"
        assert rights(screen) == ({str(NOBODY.pw_uid), str(NOBODY.pw_gid)}, 0, "1")
        assert rights(tracer) == ({"0"}, 1 << CAP_IPC_LOCK | 1 << CAP_PERFMON | 1 << CAP_BPF, "1")
        assert run_load(nginx.port, 50, connections=2, paths=["/fixed"]).complete
        terminal.type("0")
        terminal.until("as nobody")
        terminal.type("6")  # opening its pane starts a script
        wait_for(lambda: len(_read(terminal, named(supervisor, "bpftrace"))) == 2, "no second bpftrace", 60)
        terminal.type("0")
        terminal.until("syscalls              live")
        terminal.type("e")
        terminal.until("saved")
        assert len(list(folder.glob("*.csv"))) >= 5
        for path in folder.iterdir():
            found = path.stat()
            assert (found.st_uid, found.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
            assert stat.S_IMODE(found.st_mode) == 0o644
        tracers = named(supervisor, "bpftrace")
        os.kill(screen, signal.SIGKILL)
        assert terminal.leave() == 128 + signal.SIGKILL
        assert "the screen was ended by SIGKILL; the probes are stopped" in terminal.text
        assert restored(terminal, before) == []
        assert all(end(pid) for pid in tracers)


def _read(terminal: Terminal, value: T) -> T:
    terminal.read(0.05)
    return value


def test_root_without_a_caller_stays_root_with_hardly_a_capability_and_says_so(nginx: Nginx) -> None:
    without = dict.fromkeys(("SUDO_UID", "PKEXEC_UID", "DOAS_USER"), "")
    with child_in_terminal([*WATCH, f":{nginx.port}"], (110, 40), without) as terminal:
        terminal.until("LIVE")
        (screen,) = [child for child in children(terminal.child.pid) if status(child)["Name"] != "bpftrace"]
        assert rights(screen) == ({"0"}, 1 << 1, "1")
        terminal.type("0")
        terminal.until("as root")
        terminal.type("q")
        assert terminal.leave() == 0


# --- however one of them ends -----------------------------------------------------------------------------------------

ROUNDS = int(os.environ.get("BPFTOP_FAULT_ROUNDS", "1"))
SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


class Watch:
    """A watch in a terminal: the supervisor, bpftrace and the screen."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self._before = terminal.before
        self._hurt_s = time.monotonic()

    def start(self) -> None:
        """Wait until it is live."""
        self.terminal.until("LIVE")
        self.sudo = -1
        self.supervisor = self.terminal.child.pid
        (self.bpftrace,) = named(self.supervisor, "bpftrace")
        (self.screen,) = [child for child in children(self.supervisor) if child != self.bpftrace]

    def hurt(self, victim: str, number: signal.Signals) -> None:
        """One of them gets a signal, or the terminal goes."""
        self._hurt_s = time.monotonic()
        if victim == "terminal":
            self.terminal.close_master()
            return
        os.kill(getattr(self, victim), number)
        if victim == "bpftrace":  # a new one takes its place
            wait_for(lambda: _read(self.terminal, [p for p in self._bpftraces() if p != self.bpftrace]), "none comes")
            self.terminal.type("q")
            self._hurt_s = time.monotonic()

    def _bpftraces(self) -> list[int]:
        return named(self.supervisor, "bpftrace")

    def ended(self) -> int:
        """The exit code. A second later nothing may be left, and the terminal must be as it was."""
        code = self.terminal.leave() if self.terminal.master >= 0 else self.terminal.child.wait(20)
        self.nothing_left()
        if self.terminal.master >= 0:
            self.terminal.read(0.2)
            assert restored(self.terminal, self._before) == []
        return code

    def nothing_left(self) -> None:
        """Wait until none of them is there."""
        all_end((self.bpftrace, self.screen, self.supervisor))
        self.took_s = time.monotonic() - self._hurt_s
        """From the signal, or the key, to the end of all."""


class WatchOfSudo(Watch):
    """The same behind a real sudo, which gives it a terminal of its own (use_pty, Debian's default)."""

    def start(self) -> None:
        """Wait until it is live, and find who is who: sudo, its monitor, the supervisor."""
        self.terminal.until("LIVE")
        self.sudo = pid = self.terminal.child.pid
        while status(pid)["Name"] == "sudo":
            (pid,) = children(pid)
        self.supervisor = pid
        (self.bpftrace,) = named(pid, "bpftrace")
        (self.screen,) = [child for child in children(pid) if child != self.bpftrace]

    def nothing_left(self) -> None:
        """Not behind a sudo that was killed, either. What is left of the terminal then is the shell's to mend."""
        super().nothing_left()
        all_end((self.sudo,))


def behind_sudo(port: int) -> list[str]:
    """The words for a watch that root starts with sudo."""
    words = ["sudo", "-n", "-u", "root", "--", "env", f"PYTHONPATH={ROOT}", sys.executable, *WATCH, f":{port}"]
    return ["-c", "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])", *words, "--user", "nobody"]


Told = Callable[[str, object], None]


@pytest.mark.parametrize("victim", ["sudo", "terminal"])
def test_behind_a_real_sudo_nothing_is_left_either(nginx: Nginx, victim: str, record_property: Told) -> None:
    numbers = [signal.SIGHUP] if victim == "terminal" else SIGNALS
    worst_s = 0.0
    for _ in range(ROUNDS):
        with ExitStack() as stack:
            watches = []
            for _ in numbers:
                terminal = stack.enter_context(child_in_terminal(behind_sudo(nginx.port), (90, 24)))
                watches.append(WatchOfSudo(terminal))
            worst_s = max(worst_s, *_ended_all(victim, numbers, watches, behind=True))
    record_property("figure", f"{victim} behind sudo: {ROUNDS * len(numbers)} ended, the slowest after {worst_s:.2f} s")


@pytest.mark.parametrize("victim", ["screen", "supervisor", "bpftrace", "terminal"])
def test_nothing_is_left_and_the_terminal_is_as_it_was(nginx: Nginx, victim: str, record_property: Told) -> None:
    """Each signal, at once on as many watches; the caller of half of them is known."""
    numbers = [signal.SIGHUP] if victim == "terminal" else SIGNALS
    worst_s = 0.0
    for turn in range(ROUNDS):
        with ExitStack() as stack:
            watches = []
            for place, _ in enumerate(numbers, turn):
                environment = AS_NOBODY if place % 2 else {}
                terminal = child_in_terminal([*WATCH, f":{nginx.port}"], (90, 24), environment)
                watches.append(Watch(stack.enter_context(terminal)))
            worst_s = max(worst_s, *_ended_all(victim, numbers, watches))
    record_property("figure", f"{victim}: {ROUNDS * len(numbers)} ended, the slowest after {worst_s:.2f} s")


def _ended_all(
    victim: str, numbers: Sequence[signal.Signals], watches: Sequence[Watch], *, behind: bool = False
) -> list[float]:
    """Each watch gets its signal, all at once; how long each took to end."""
    for watch in watches:
        watch.start()
    with ThreadPoolExecutor(len(watches)) as pool:
        return list(pool.map(partial(_ended, victim, behind), numbers, watches))


def _ended(victim: str, behind: bool, number: signal.Signals, watch: Watch) -> float:
    watch.hurt(victim, number)
    if behind and (victim == "terminal" or number == signal.SIGKILL):  # nobody is there to mend the terminal
        watch.terminal.child.wait(20)
        watch.nothing_left()
        return watch.took_s
    killed = victim == "supervisor" and number == signal.SIGKILL
    expected = 0 if victim == "bpftrace" else -number if killed else 128 + number
    assert watch.ended() == expected, number
    return watch.took_s
