"""A network namespace of one's own: a server, its clients and its upstreams live in it, bpftop looks from outside."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_OURS = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(code: int, what: str) -> None:
    if code:
        raise OSError(ctypes.get_errno(), what)


class Namespace:
    """It lives as long as something is in it, or as this holds it."""

    def __init__(self) -> None:
        made: list[int] = []
        thread = threading.Thread(target=lambda: made.append(_made()))
        thread.start()
        thread.join()
        self._descriptor = made[0]
        self.run("ip", "link", "set", "lo", "up")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in it meanwhile, and so is for good whatever process or thread it starts."""
        back = os.open(_OURS, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _checked(_libc.setns(self._descriptor, _CLONE_NEWNET), "setns")
            try:
                yield
            finally:
                _checked(_libc.setns(back, _CLONE_NEWNET), "setns")
        finally:
            os.close(back)

    def run(self, *words: str) -> None:
        """A command in it."""
        with self.entered():
            subprocess.run(words, check=True, capture_output=True)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def _made() -> int:
    """Of a thread that ends: the thread that asks stays where it is."""
    _checked(_libc.unshare(_CLONE_NEWNET), "unshare")
    return os.open(_OURS, os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def namespace() -> Iterator[Namespace]:
    """A new one."""
    found = Namespace()
    try:
        yield found
    finally:
        found.close()
