"""Reads the two pipes of a run until both end. Blocking: it runs in a thread of its own and waits for nobody."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
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


def pump(
    source: Source, message: Callable[[Message], None], stderr: Callable[[str], None], idle: Callable[[], bool]
) -> None:
    """Hand every message and every line of stderr of a started source over, in order, until both pipes end.

    ``idle`` is called several times a second; when it returns False the reading is given up.
    """
    pump_lines(source, decode_line, message, stderr, idle)


def pump_lines(
    source: Source,
    decode: Callable[[bytes], Iterable[T]],
    message: Callable[[T | Rejected], None],
    stderr: Callable[[str], None],
    idle: Callable[[], bool],
) -> None:
    """As ``pump``, with another reading of each line of stdout."""
    out, err = LineSplitter(), LineSplitter()
    with contextlib.suppress(OSError):
        fcntl.fcntl(source.stdout, fcntl.F_SETPIPE_SZ, _PIPE)
    with selectors.DefaultSelector() as selector:
        selector.register(source.stdout, selectors.EVENT_READ, out)
        selector.register(source.stderr, selectors.EVENT_READ, err)
        looked, size = -_POLL_S, 0
        old = time.monotonic() + _YOUNG_S
        while selector.get_map():
            if (now := time.monotonic()) - looked >= _POLL_S / 2:
                looked = now
                if not idle():
                    break
            ready = selector.select(_POLL_S)
            if ready and size < _LITTLE:
                time.sleep(_GATHER_S if now < old else _LATER_GATHER_S)
            size = 0
            for key, _ in ready:
                chunk = os.read(key.fd, _CHUNK)
                size += len(chunk)
                lines = key.data.feed(chunk)
                if not chunk:
                    selector.unregister(key.fd)
                    lines = [key.data.rest()]
                for line in lines:
                    if key.data is err:
                        stderr(line.decode("utf-8", "replace"))
                    else:
                        for found in decode(line):
                            message(found if chunk or not isinstance(found, Rejected) else replace(found, cut=True))
    for _ in range(out.oversize):
        message(Rejected("a line longer than 16 MiB"))
