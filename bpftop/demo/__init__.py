"""``bpftop demo``: a small server with a story and bounded load, on loopback, to be watched.

Both are child processes that end with this one, whatever ends it. Nothing listens beyond loopback.
"""

from __future__ import annotations

import json
import os
import pwd
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bpftop.errors import BpftopError

__all__ = ["NAME", "Demo", "start_demo"]

NAME = "demo-server"
"""What the server's process is called."""
LOAD_LIMIT_S = 3600.0
START_TIMEOUT_S = 10.0
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo: watch ``pid`` or ``port``."""

    port: int
    pid: int
    """The server's."""
    load_pid: int
    origin_ns: int
    """Story time 0 on CLOCK_MONOTONIC."""
    _children: tuple[subprocess.Popen[bytes], ...]

    def running(self) -> bool:
        """Both server and load live."""
        return all(child.poll() is None for child in self._children)

    def close(self) -> None:
        """End both and wait for their end; again is harmless."""
        for child in self._children:
            _end(child)


@contextmanager
def start_demo(
    port: int = 0,
    *,
    seed: int = 1,
    scale: float = 1.0,
    limit_s: float = LOAD_LIMIT_S,
    user: tuple[int, int] | None = None,
) -> Iterator[Demo]:
    """Start the server (on ``port``, or any free one) and the load (about 200 requests/s times ``scale``).

    The load ends after ``limit_s``. As root both become ``user`` (user and group id), without one nobody. Raises
    BpftopError when the server cannot listen.
    """
    origin_ns = time.monotonic_ns()
    uid, gid = (user or _nobody()) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    common = {"seed": seed, "origin-ns": origin_ns, "parent": os.getpid(), "uid": uid, "gid": gid}
    server = _child("server", {**common, "port": port}, stdout=subprocess.PIPE)
    children = [server]
    try:
        ready = _ready(server)
        flags = ("--ipv6",) if ready["ipv6"] else ()
        children.append(_child("load", {**common, "port": ready["port"], "scale": scale, "limit-s": limit_s}, *flags))
        yield Demo(ready["port"], server.pid, children[1].pid, origin_ns, tuple(children))
    finally:
        for child in reversed(children):
            _end(child)


def _nobody() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return 65534, 65534
    return entry.pw_uid, entry.pw_gid


def _child(
    module: str, options: dict[str, int | float], *flags: str, stdout: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    # -P: a module found in the working directory must not be run, least of all as root.
    command = [sys.executable, "-P", "-m", f"bpftop.demo.{module}"]
    command += [f"--{name}={value}" for name, value in options.items()]
    return subprocess.Popen(
        [*command, *flags],
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE if stdout == subprocess.PIPE else subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        start_new_session=True,  # ctrl+c in the terminal is for bpftop
    )


def _ready(server: subprocess.Popen[bytes]) -> dict[str, int]:
    assert server.stdout is not None
    assert server.stderr is not None
    if select.select([server.stdout], [], [], START_TIMEOUT_S)[0] and (line := server.stdout.readline()):
        ready: dict[str, int] = json.loads(line)
        return ready
    server.kill()
    last = server.stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
    raise BpftopError(f"the demo's server did not start: {last or 'no answer'}", "bpftop demo --simulate")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Cut the lifeline; kill what does not notice."""
    if child.stdin:
        child.stdin.close()
    try:
        child.wait(timeout=2)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for stream in (child.stdout, child.stderr):
        if stream:
            stream.close()
