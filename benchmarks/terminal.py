"""A program in a terminal of its own: its first frame, what it costs, what it sends, how soon it answers a key."""

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
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

SIZE = 120, 40
ROOT = Path(__file__).resolve().parent.parent


class Measured(NamedTuple):
    """What a program cost over a while."""

    cpu: float
    """Percent of one core."""
    bytes_per_s: float
    pss_mb: float


class Terminal:
    """A program started in a pty of 120x40; ended with the context."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._argv, self._env = argv, env or {}
        self.output = bytearray()
        """All that came."""

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **self._env}
        self.began = time.monotonic()
        self._child = subprocess.Popen(
            self._argv, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=ROOT, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._child.send_signal(signal.SIGTERM)
        end = time.monotonic() + 5
        while self._child.poll() is None and time.monotonic() < end:
            self.read(0.05)
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        os.close(self._master)

    def read(self, seconds: float, until: re.Pattern[bytes] | None = None) -> float | None:
        """Take what comes for so long, or until the new output has something; how long that took, None if it never."""
        began, start = time.monotonic(), len(self.output)
        while (left := began + seconds - time.monotonic()) > 0:
            if select.select([self._master], [], [], min(left, 0.1))[0]:
                try:
                    self.output += os.read(self._master, 65_536)
                except OSError:  # all have closed it
                    return None
                if until is not None and until.search(self.output, start):
                    return time.monotonic() - began
        return None

    def first(self, text: re.Pattern[bytes], most_s: float = 20.0) -> float:
        """Seconds from the start of the program to a frame with this text. Raises RuntimeError when none comes."""
        if self.read(most_s, text) is None:
            raise RuntimeError(f"{self._argv[0]} has not drawn {text.pattern!r}: {bytes(self.output[-300:])!r}")
        return time.monotonic() - self.began

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def press(self, key: bytes, answer: re.Pattern[bytes]) -> float:
        """Seconds from a key to a redraw with this text. Raises RuntimeError when none comes."""
        began = time.monotonic()  # the program may have answered before the write returns
        self.type(key)
        if self.read(3.0, answer) is None:
            raise RuntimeError(f"no {answer.pattern!r} after {key!r}")
        return time.monotonic() - began

    def measured(self, seconds: float) -> Measured:
        """What it costs for so long. Raises RuntimeError when it has ended."""
        if self._child.poll() is not None:
            raise RuntimeError(f"{self._argv[0]} ended with {self._child.returncode}: {bytes(self.output[-300:])!r}")
        start, sent, before = time.monotonic(), len(self.output), _cpu_ns(self._child.pid)
        self.read(seconds)
        took, after = time.monotonic() - start, _cpu_ns(self._child.pid)
        used = sum(ns - before.get(task, 0) for task, ns in after.items())
        return Measured(used / took / 1e7, (len(self.output) - sent) / took, self.pss_mb())

    def pss_mb(self) -> float:
        """Proportional memory of all its processes."""
        return sum(_pss_kb(pid) for pid in _family(self._child.pid)) / 1024


def _family(pid: int) -> Iterator[int]:
    """A process and all below it, but bpftrace: its cost is that of tracing (benchmarks/overhead.py)."""
    with contextlib.suppress(OSError):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "bpftrace":
            return
        yield pid
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _cpu_ns(pid: int) -> dict[str, int]:
    """CPU time of every thread of the family (schedstat: ns, where ticks are 10 ms)."""
    used = {}
    for each in _family(pid):
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                used[task.name] = int((task / "schedstat").read_text().split()[0])
    return used


def _pss_kb(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return int(next(row for row in rows if row.startswith("Pss:")).split()[1])
    return 0
