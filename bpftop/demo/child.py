"""What the demo's two child processes have in common: their name, their end, and the clock of the story."""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401  (names of hosts: later it may not be readable)
import os
import time

PARENT_CHECK_S = 1.0


def set_name(name: str) -> None:
    """The name that ``ps``, ``top`` and bpftop see: 15 bytes of it."""
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write(name)
    except OSError:
        pass  # another name changes nothing but looks


def become(uid: int, gid: int) -> None:
    """As root: another user, for good. What is imported later must be readable for that user. Raises OSError."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if uid not in os.getresuid() or len({*os.getresuid()}) != 1:
        raise PermissionError("the rights of root could not be given up")


def story_s(origin_ns: int) -> float:
    """The story time, for an origin on CLOCK_MONOTONIC that parent and children share."""
    return (time.monotonic_ns() - origin_ns) / 1e9


def end_with_parent(loop: asyncio.AbstractEventLoop, parent: int, lifeline: int, limit_s: float) -> None:
    """End this process when the parent ends, however it ends, or after ``limit_s``.

    The lifeline is a pipe that the parent holds open: its end of file comes at once, even after SIGKILL. Not
    PR_SET_PDEATHSIG: that one fires when the parent's *thread* ends. Should a fork of the parent keep the pipe open,
    the change of parent is noticed within a second.
    """

    def check() -> None:
        if os.getppid() != parent:
            os._exit(0)
        loop.call_later(PARENT_CHECK_S, check)

    def on_lifeline() -> None:
        if not os.read(lifeline, 1):
            os._exit(0)

    loop.add_reader(lifeline, on_lifeline)
    loop.call_later(limit_s, os._exit, 0)
    check()
