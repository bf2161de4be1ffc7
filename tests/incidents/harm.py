"""Ways to harm a server: slow readers, a CPU limit, processes that stand still. Each ends with its ``with``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.incidents.namespace import Namespace

_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
_PERIOD_US = 100_000
PIECE, PAUSE_S = 65_536, 0.05
"""A slow reader takes so much, then waits so long."""


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """They stop, until the end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def limited(pids: Sequence[int], quota_us: int) -> Iterator[None]:
    """They get so much of each tenth of a second together, by a control group of their own."""
    root = _V1 if (_V1 / "cgroup.procs").exists() else _V2
    group = root / f"bpftop-incident-{os.getpid()}"
    group.mkdir()
    try:
        try:
            if root == _V1:
                (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(quota_us))
            else:
                (group / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")
        except OSError as error:
            pytest.skip(f"no control group can limit CPUs here: {error}")
        homes = {pid: _home(root, pid) for pid in pids}
        for pid in pids:
            (group / "cgroup.procs").write_text(str(pid))
        try:
            yield
        finally:
            for pid, home in homes.items():
                with suppress(ProcessLookupError):
                    (home / "cgroup.procs").write_text(str(pid))
    finally:
        group.rmdir()


def _home(root: Path, pid: int) -> Path:
    """The group that the process is in now."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == ("cpu" if root == _V1 else ""):
            return root / path.lstrip("/")
    return root


@contextmanager
def slow_readers(port: int, path: str, source: str, connections: int) -> Iterator[None]:
    """So many connections that ask for a file again and again, and take it in bit by bit."""
    over = threading.Event()
    with ExitStack() as stack:
        threads = [
            threading.Thread(target=_read_slowly, args=(port, path, source, over), name="slow reader")
            for _ in range(connections)
        ]
        for each in threads:
            each.start()
            stack.callback(each.join)
        stack.callback(over.set)
        yield


def _read_slowly(port: int, path: str, source: str, over: threading.Event) -> None:
    while not over.is_set():
        with socket.socket() as asked, suppress(OSError):
            asked.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
            asked.settimeout(10)
            asked.bind((source, 0))
            asked.connect(("127.0.0.1", port))
            asked.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
            while asked.recv(PIECE) and not over.wait(PAUSE_S):
                pass


@contextmanager
def hogs(each_cpu: int, nice: int) -> Iterator[None]:
    """So many processes for each CPU that compute without a pause; they end with this process, and after a minute."""
    code = f"import os, time; os.nice({nice}); end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    with ExitStack() as stack:
        for _ in range(each_cpu * (os.cpu_count() or 1)):
            hog = stack.enter_context(subprocess.Popen([sys.executable, "-c", code]))
            stack.callback(hog.kill)
        yield


@contextmanager
def lossy(space: Namespace, client: str, share: float) -> Iterator[None]:
    """So many of the packets from and to a client get lost, at random, in the firewall of the namespace."""
    rules = [
        ["INPUT", way, client, "-p", "tcp", *f"-m statistic --mode random --probability {share}".split(), "-j", "DROP"]
        for way in ("--source", "--destination")
    ]
    for rule in rules:
        space.run("iptables", "--append", *rule)
    try:
        yield
    finally:
        for rule in rules:
            space.run("iptables", "--delete", *rule)


@contextmanager
def busy(port: int, path: str, source: str) -> Iterator[None]:
    """One connection that asks for the same again, as soon as it is answered."""
    over = threading.Event()
    thread = threading.Thread(target=_ask_on, args=(port, path, source, over), name="asks on")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _ask_on(port: int, path: str, source: str, over: threading.Event) -> None:
    with socket.socket() as asked, suppress(OSError):
        asked.settimeout(10)
        asked.bind((source, 0))
        asked.connect(("127.0.0.1", port))
        while not over.is_set():
            asked.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            if not asked.recv(PIECE):
                return
