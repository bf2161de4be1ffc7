"""Real processes for tests: small Python servers with the names, titles and sockets that a test asks for."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVER = """
import ctypes, json, os, signal, socket, sys, threading, time
want = json.loads(sys.argv[1])
prctl = ctypes.CDLL(None).prctl
def rename(name):
    prctl(15, os.fsencode(name), 0, 0, 0)
said = {"pid": os.getpid(), "children": [], "threads": []}
sockets = []
for kind in want.get("listen", []):
    family = socket.AF_INET6 if kind["host"].count(":") else socket.AF_INET
    s = socket.socket(family)
    if kind.get("reuse"):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind((kind["host"], kind.get("port", 0)))
    s.listen()
    sockets.append(s)
said["ports"] = [s.getsockname()[1] for s in sockets]
if "unix" in want:
    u = socket.socket(socket.AF_UNIX)
    u.bind(want["unix"])
    u.listen()
for name in want.get("fork", []):
    child = os.fork()
    if child == 0:
        rename(name)
        while os.getppid() == said["pid"]:
            time.sleep(0.2)
        os._exit(0)
    said["children"].append(child)
def thread(name):
    rename(name)
    said["threads"].append(threading.get_native_id())
    threading.Event().wait()
for name in want.get("thread", []):
    threading.Thread(target=thread, args=(name,), daemon=True).start()
while len(said["threads"]) < len(want.get("thread", [])):
    time.sleep(0.01)
if "comm" in want:
    rename(want["comm"])
print(json.dumps(said), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Server:
    """One of ours, ready."""

    pid: int
    ports: tuple[int, ...]
    children: tuple[int, ...]
    threads: tuple[int, ...]


@contextlib.contextmanager
def server(*, command: Sequence[str | Path] = (sys.executable, "-c", SERVER), **want: Any) -> Iterator[Server]:
    """A Python process that does what ``want`` says until the block ends.

    Args:
        command: how to start it; the wish is its last word.
        want: ``comm``, ``listen`` (host, port, reuse), ``fork`` and ``thread`` (names), ``unix`` (path).
    """
    words = [*map(str, command), json.dumps(want)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            said = json.loads(process.stdout.readline())
            yield Server(said["pid"], tuple(said["ports"]), tuple(said["children"]), tuple(said["threads"]))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Any program until the block ends."""
    with subprocess.Popen([*map(str, command)], start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def as_nobody(call: Callable[[], str]) -> str:
    """What ``call`` returns in a child process of an ordinary user."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writer, call().encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as pipe:
        return pipe.read()


class FakeProc:
    """A /proc of one's own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)

    def add(
        self,
        pid: int,
        comm: str,
        argv: Sequence[str] = (),
        *,
        exe: str = "",
        parent: int = 1,
        state: str = "S",
        flags: int = 0,
        start: int = 100,
        sockets: Sequence[int] = (),
    ) -> Path:
        """One process; the folder of it."""
        base = self.root / str(pid)
        (base / "fd").mkdir(parents=True)
        (base / "ns").mkdir()
        numbers = ["0"] * 40
        numbers[0], numbers[1], numbers[6], numbers[19] = state, str(parent), str(flags), str(start)
        (base / "stat").write_bytes(f"{pid} (".encode() + os.fsencode(comm) + f") {' '.join(numbers)}\n".encode())
        (base / "comm").write_bytes(os.fsencode(comm) + b"\n")
        (base / "cmdline").write_bytes(b"".join(os.fsencode(word) + b"\0" for word in argv))
        (base / "status").write_text(f"Name:\tx\nTgid:\t{pid}\n")
        os.symlink("net:[1]", base / "ns" / "net")
        if exe:
            os.symlink(exe, base / "exe")
        for number, inode in enumerate(sockets):
            os.symlink(f"socket:[{inode}]", base / "fd" / str(number))
        (base / "fd" / "99").symlink_to("/dev/null")
        return base
