"""What processes are doing, from /proc: stopped, held in the kernel, busy."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bpftop.model import Held
from bpftop.procfs import PROC
from bpftop.standstill.waits import run_times, text

BUSY_S, BUSY_SHARE, STILL_BUSY_SHARE = 3.0, 0.9, 0.7
"""A process is busy when its first thread has not slept for so long, but for a tenth: it ran, or was ready to run."""
RAN_SHARE = 0.2
"""Of that time it had a CPU: with less it is not busy, it is kept from working."""
LINGER_S = 2.5
"""A process that was stopped at one of the last looks."""
WAS_S = 10.0
"""So long afterwards it was stopped: what came meanwhile is in the figures of so many seconds."""
IN_KERNEL_S = 3.0
"""Uninterruptible in every look for so long: not just the next block of a file."""


@dataclass
class _Seen:
    state: str
    since_s: float
    busy_since_s: float | None = None
    stopped_from_s: float = -math.inf
    stopped_to_s: float = -math.inf
    times: deque[tuple[float, float, float]] = field(default_factory=deque)
    """(when, seconds on a CPU, seconds ready for one) so far, of the last looks."""


class Processes:
    """Some processes, look after look."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._seen: dict[tuple[int, str], _Seen] = {}

    def held(self, pids: Iterable[int], now_s: float) -> tuple[Held, ...]:
        """Those that do not go on, by process id. Each call is a look."""
        found, known = [], {}
        for pid in pids:
            stat = _stat(self._proc, pid)
            if stat is None:
                continue
            comm, state, started = stat
            seen = self._seen.get((pid, started)) or _Seen(state, now_s)
            if state != seen.state:
                seen.state, seen.since_s = state, now_s
            known[pid, started] = seen
            held = self._held(pid, comm, seen, now_s)
            if held is not None:
                found.append(held)
        self._seen = known
        return tuple(found)

    def _held(self, pid: int, comm: str, seen: _Seen, now_s: float) -> Held | None:
        for_s = now_s - seen.since_s
        ran_ns, waited_ns, _ = run_times(f"{self._proc}/{pid}")
        seen.times.append((now_s, ran_ns / 1e9, waited_ns / 1e9))
        while len(seen.times) > 2 and now_s - seen.times[1][0] >= BUSY_S:
            seen.times.popleft()
        busy = _busy(seen)
        if _stops(seen, now_s):
            return Held(pid, comm, "stopped", now_s - seen.stopped_from_s, _wchan(self._proc, pid))
        if seen.state == "D" and for_s >= IN_KERNEL_S:
            return Held(pid, comm, "in the kernel", for_s, _wchan(self._proc, pid))
        if busy:
            return Held(pid, comm, "busy", now_s - (seen.busy_since_s or now_s))
        was = now_s - seen.stopped_to_s <= WAS_S
        return Held(pid, comm, "was stopped", seen.stopped_to_s - seen.stopped_from_s) if was else None


def _stops(seen: _Seen, now_s: float) -> bool:
    """Whether it is stopped, or was until a moment ago: what stops and goes on by turns stands still, too."""
    if seen.state in "Tt":
        if now_s - seen.stopped_to_s > LINGER_S:
            seen.stopped_from_s = now_s
        seen.stopped_to_s = now_s
    return now_s - seen.stopped_to_s <= LINGER_S


def _busy(seen: _Seen) -> bool:
    """Whether it is, and since when."""
    (first_s, ran_then_s, waited_then_s), (now_s, ran_now_s, waited_now_s) = seen.times[0], seen.times[-1]
    ran, waited = ran_now_s - ran_then_s, waited_now_s - waited_then_s
    enough = BUSY_SHARE if seen.busy_since_s is None else STILL_BUSY_SHARE
    awake, span_s = ran + waited, now_s - first_s
    busy = span_s >= BUSY_S and awake >= enough * span_s and ran >= RAN_SHARE * awake
    if not busy:
        seen.busy_since_s = None
    elif seen.busy_since_s is None:
        seen.busy_since_s = first_s
    return busy


def _stat(proc: Path, pid: int) -> tuple[str, str, str] | None:
    """Name, state and start (fields 2, 3 and 22 of proc_pid_stat(5)); None when it is gone."""
    before, _, after = text(f"{proc}/{pid}/stat").rpartition(")")
    fields = after.split()
    if len(fields) < 20 or fields[0] in "ZXx":
        return None
    return before.partition("(")[2], fields[0], fields[19]


def _wchan(proc: Path, pid: int) -> str:
    name = text(f"{proc}/{pid}/wchan").strip()
    return "" if name == "0" else name[:40]
