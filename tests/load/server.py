"""Servers of known truth: delays that are recorded where they happen, and a socket loop of a known number of turns."""

from __future__ import annotations

import json
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.load.build import program
from tests.load.truth import CONNECTIONS, REQUESTS, Truth


class DelayServer:
    """A running delay_server."""

    def __init__(self, process: subprocess.Popen[str], prefix: Path) -> None:
        ready = _json_line(process)
        self._process = process
        self._prefix = prefix
        self._truth: Truth | None = None
        self.port: int = ready["port"]
        self.pid: int = ready["pid"]
        self.pids: tuple[int, ...] = tuple(ready["pids"])
        """The serving processes: more than one in multi-process mode, which are then children of ``pid``."""

    def truth(self) -> Truth:
        """Ends the server and reads what it recorded."""
        if self._truth is None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._truth = Truth(self._rows("requests", REQUESTS), self._rows("connections", CONNECTIONS))
        return self._truth

    def _rows(self, kind: str, dtype: np.dtype[np.void]) -> NDArray[np.void]:
        files = sorted(self._prefix.parent.glob(f"{self._prefix.name}.{kind}.*"))
        return np.concatenate([np.empty(0, dtype), *(np.fromfile(f, dtype) for f in files)])


@contextmanager
def delay_server(
    delay: str = "constant:0",
    *,
    seed: int = 1,
    host: str = "127.0.0.1",
    host6: str = "",
    unix: Path | str = "",
    port: int = 0,
    body_bytes: int = 2,
    sends: int = 1,
    pause_ns: int = 0,
    accept_pause_ns: int = 0,
    read_pause_ns: int = 0,
    threads: int = 0,
    thread_comm: str = "",
    handoff: bool = False,
    processes: int = 1,
    comm: str = "",
    blocking: bool = False,
    close: bool = False,
    binary: Path | None = None,
    time_limit_s: int = 600,
) -> Iterator[DelayServer]:
    """An HTTP server that delays each answer and records what really happened.

    Args:
        delay: ``constant:NS``, ``bimodal:NS,NS,SHARE_OF_SECOND``, ``lognormal:MEDIAN_NS,SIGMA`` or
            ``pareto:LEAST_NS,ALPHA``; a request for ``/d/NS`` gets exactly that instead.
        host6: also listen on ``::1`` (same port). unix: also on this path; ``host`` may then be empty.
        sends: the answer goes out in so many parts, ``pause_ns`` before the last.
        accept_pause_ns: between a waiting connection and its accept. read_pause_ns: between a request and its read.
        threads: event loops besides the main thread's, named ``thread_comm``-1 …; with ``handoff`` the main thread
            accepts and they read, answer and close.
        blocking: delays sleep in the event loop, so that one slow request delays all others.
        close: the server ends each connection after one answer.
        binary: a copy of the program under another name, for tests of targets by path.
    """
    options = {
        "delay": delay,
        "seed": seed,
        "host": host,
        "host6": host6,
        "unix": unix,
        "port": port,
        "body": body_bytes,
        "sends": sends,
        "pause-ns": pause_ns,
        "accept-pause-ns": accept_pause_ns,
        "read-pause-ns": read_pause_ns,
        "threads": threads,
        "thread-comm": thread_comm,
        "processes": processes,
        "comm": comm,
        "time-limit": time_limit_s,
    }
    flags = {"handoff": handoff, "blocking": blocking, "close": close}
    words = [f"--{name}={value}" for name, value in options.items() if value not in ("", None)]
    words += [f"--{name}" for name, on in flags.items() if on]
    with tempfile.TemporaryDirectory(prefix="bpftop-truth-") as folder:
        prefix = Path(folder) / "truth"
        command: list[str | Path] = [binary or program("delay_server"), *words, f"--truth={prefix}"]
        with _running(command) as process:
            yield DelayServer(process, prefix)


class SocketLoop:
    """A socket_loop that waits for ``run``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        ready = _json_line(process)
        self._process = process
        self.port: int = ready["port"]
        self.pid: int = ready["pid"]

    def run(self, timeout_s: float = 120) -> tuple[int, int]:
        """All exchanges: how many there were, and the nanoseconds they took. The process lives on after them."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        done = _json_line(self._process, timeout_s)
        return done["exchanges"], done["elapsed_ns"]


@contextmanager
def socket_loop(exchanges: int, *, connections: int = 64, time_limit_s: int = 600) -> Iterator[SocketLoop]:
    """A server (comm ``loop-server``) that answers exactly ``exchanges`` one-byte requests of its own child."""
    options = (f"--exchanges={exchanges}", f"--connections={connections}", f"--time-limit={time_limit_s}")
    with _running([program("socket_loop"), *options]) as process:
        yield SocketLoop(process)


@contextmanager
def _running(command: Sequence[str | Path]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()
            if process.stdin:
                process.stdin.close()
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()


def _json_line(process: subprocess.Popen[str], timeout_s: float = 10) -> dict[str, Any]:
    assert process.stdout is not None
    if select.select([process.stdout], [], [], timeout_s)[0] and (line := process.stdout.readline()):
        values: dict[str, Any] = json.loads(line)
        return values
    process.kill()
    raise RuntimeError(f"{process.args!r} did not start: {process.communicate()[1]}")
