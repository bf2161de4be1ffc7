"""Reads the two pipes of a run until both end. Blocking: it runs in a thread of its own and waits for nobody."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from bpftop.model import Message, Rejected
from bpftop.tracer.decode import LineSplitter, decode_line
from bpftop.tracer.source import Source

_CHUNK = 256 << 10
_PIPE = 1 << 20
_POLL_S = 0.25
_GATHER_S, _LITTLE = 0.03, 32 << 10
"""bpftrace writes every map and event of its own; while little comes, what comes within so long is read at once."""
_LATER_GATHER_S, _YOUNG_S = 0.2, 5.0
"""After the first seconds nobody waits for the next event: each look costs as much as reading ten lines."""
T = TypeVar("T")


class Rest:
    """Says for how long nothing comes that anybody waits for: while little comes, the reader sleeps so long.

    It wakes at once when a pipe is closed, or from ``end``, which any thread may call.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        """``seconds``: from now on; 0 or less while every line is waited for."""
        self._seconds = seconds
        self._woken = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._closing = threading.Lock()

    def end(self) -> None:
        """Do not rest now."""
        with self._closing:
            if self._woken >= 0:
                os.eventfd_write(self._woken, 1)

    def take(self, pipes: Iterable[int]) -> bool:
        """Rest, unless one of these descriptors is at its end; whether it lasted as long as it should."""
        pause = self._seconds()
        if pause <= 0:
            return False
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        for each in pipes:
            poll.register(each, 0)  # a hang-up is told without being asked for
        woken = poll.poll(pause * 1000)
        if any(each == self._woken for each, _ in woken):
            os.eventfd_read(self._woken)
        return not woken

    def close(self) -> None:
        """After the last reading."""
        with self._closing:
            descriptor, self._woken = self._woken, -1
            if descriptor >= 0:
                os.close(descriptor)


def pump(
    source: Source,
    message: Callable[[Message], None],
    stderr: Callable[[str], None],
    idle: Callable[[], bool],
    rest: Rest | None = None,
) -> None:
    """Hand every message and every line of stderr of a started source over, in order, until both pipes end.

    ``idle`` is called several times a second, while ``rest`` lasts once; when it returns False the reading is given up.
    """
    pump_lines(source, decode_line, message, stderr, idle, rest)


def pump_lines(
    source: Source,
    decode: Callable[[bytes], Iterable[T]],
    message: Callable[[T | Rejected], None],
    stderr: Callable[[str], None],
    idle: Callable[[], bool],
    rest: Rest | None = None,
) -> None:
    """As ``pump``, with another reading of each line of stdout."""
    out = LineSplitter()
    pipes: dict[int, tuple[LineSplitter, Callable[[list[bytes], bool], None]]] = {
        source.stdout: (out, partial(_decoded, decode, message)),
        source.stderr: (LineSplitter(), partial(_told, stderr)),
    }
    rest = rest if _roomy(source.stdout) else None
    poll = select.poll()
    for each in pipes:
        poll.register(each, select.POLLIN)
    looked, size = -_POLL_S, 0
    young = time.monotonic() + _YOUNG_S
    while pipes:
        if (now := time.monotonic()) - looked >= _POLL_S / 2:
            looked = now
            if not idle():
                break
        little = size < _LITTLE
        gathered = rest is not None and little and rest.take(pipes)
        ready = poll.poll(_POLL_S * 1000)
        if ready and little and not gathered:
            time.sleep(_GATHER_S if rest is not None or now < young else _LATER_GATHER_S)
        size = 0
        for each, _ in ready:
            chunk = os.read(each, _CHUNK)
            size += len(chunk)
            splitter, take = pipes[each]
            take(splitter.feed(chunk) if chunk else [splitter.rest()], not chunk)
            if not chunk:
                poll.unregister(each)
                del pipes[each]
    for _ in range(out.oversize):
        message(Rejected("a line longer than 16 MiB"))


def _decoded(
    decode: Callable[[bytes], Iterable[T]], message: Callable[[T | Rejected], None], lines: list[bytes], cut: bool
) -> None:
    for line in lines:
        for found in decode(line):
            message(replace(found, cut=True) if cut and isinstance(found, Rejected) else found)


def _told(stderr: Callable[[str], None], lines: list[bytes], _: bool) -> None:
    for line in lines:
        stderr(line.decode("utf-8", "replace"))


def _roomy(pipe: int) -> bool:
    """Make a pipe large; whether it is."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    try:
        return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) >= _PIPE
    except OSError:
        return False
