"""What processes are doing, from /proc: stopped, held in the kernel, busy, waiting for a CPU, throttled."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bpftop.model import Held
from bpftop.procfs import PROC

SPAN_S = 10.0
"""What the waits for a CPU are summed up over."""
BUSY_SHARE, BUSY_S = 0.9, 3.0
"""A process is busy when it has not slept for so long, but for a tenth: it ran, or was ready to run."""
IN_KERNEL_S = 3.0
"""Uninterruptible in every look for so long: not just the next block of a file."""
MOST_TASKS = 64
"""Threads whose waits are read."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_STATES = {"T": "stopped", "t": "stopped", "D": "in the kernel"}


@dataclass
class _Seen:
    state: str
    since_s: float
    cpu: deque[tuple[float, float]] = field(default_factory=deque)
    """(when, seconds with a CPU or ready for one so far) of the last looks."""


class Processes:
    """Some processes, look after look."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._seen: dict[tuple[int, str], _Seen] = {}
        self._waited: deque[tuple[float, int, int]] = deque()
        """(when, ns waited for a CPU since the first look, µs throttled since then)."""
        self._last: dict[str, tuple[int, ...]] = {}

    def held(self, pids: Iterable[int], now_s: float) -> tuple[Held, ...]:
        """Those that do not go on, by process id. Each call is a look."""
        found, known = [], {}
        for pid in pids:
            stat = _stat(self._proc, pid)
            if stat is None:
                continue
            comm, state, started, cpu_s = stat
            seen = self._seen.get((pid, started)) or _Seen(state, now_s)
            if state != seen.state:
                seen.state, seen.since_s = state, now_s
            known[pid, started] = seen
            held = self._held(pid, comm, seen, cpu_s, now_s)
            if held is not None:
                found.append(held)
        self._seen = known
        return tuple(found)

    def _held(self, pid: int, comm: str, seen: _Seen, cpu_s: float, now_s: float) -> Held | None:
        for_s = now_s - seen.since_s
        seen.cpu.append((now_s, cpu_s))
        while len(seen.cpu) > 2 and now_s - seen.cpu[1][0] >= BUSY_S:
            seen.cpu.popleft()
        if seen.state in "Tt" or (seen.state == "D" and for_s >= IN_KERNEL_S):
            return Held(pid, comm, _STATES[seen.state], for_s, _wchan(self._proc, pid))
        (first_s, had_s), since = seen.cpu[0], now_s - seen.cpu[0][0]
        if seen.state == "R" and since >= BUSY_S and cpu_s - had_s >= BUSY_SHARE * (now_s - first_s):
            return Held(pid, comm, "busy", for_s)
        return None

    def waits(self, pids: Iterable[int], now_s: float) -> tuple[float, float, float]:
        """Seconds without a CPU, seconds throttled, and the seconds that these are of (at most SPAN_S)."""
        pids = list(pids)
        readings: dict[str, tuple[int, ...]] = {task: (_run_delay_ns(task), 0) for task in self._tasks(pids)}
        for group in sorted({_cgroup(self._proc, pid) for pid in pids} - {""}):
            readings[group] = (0, _throttled_us(group))
        waited, throttled = (
            sum(max(value[place] - self._last.get(key, value)[place], 0) for key, value in readings.items())
            for place in (0, 1)
        )
        before = self._waited[-1] if self._waited else (now_s, 0, 0)
        self._waited.append((now_s, before[1] + waited, before[2] + throttled))
        self._last = readings
        while len(self._waited) > 2 and now_s - self._waited[1][0] >= SPAN_S:
            self._waited.popleft()
        then_s, waited_then, throttled_then = self._waited[0]
        _, waited_now, throttled_now = self._waited[-1]
        return (waited_now - waited_then) / 1e9, (throttled_now - throttled_then) / 1e6, now_s - then_s

    def _tasks(self, pids: Iterable[int]) -> Iterator[str]:
        left = MOST_TASKS
        for pid in pids:
            try:
                names = os.listdir(f"{self._proc}/{pid}/task")[:left]
            except OSError:
                continue
            yield from (f"{self._proc}/{pid}/task/{name}" for name in names)
            left -= len(names)
            if left <= 0:
                return


def _text(path: str) -> str:
    """A small file; empty when it is gone or not ours to read."""
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _stat(proc: Path, pid: int) -> tuple[str, str, str, float] | None:
    """Name, state, start and seconds awake (fields 2, 3, 22, 14 and 15 of proc_pid_stat(5)); None when it is gone."""
    before, _, after = _text(f"{proc}/{pid}/stat").rpartition(")")
    fields = after.split()
    if len(fields) < 20 or fields[0] in "ZXx":
        return None
    cpu_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return before.partition("(")[2], fields[0], fields[19], cpu_s + _run_delay_ns(f"{proc}/{pid}") / 1e9


def _wchan(proc: Path, pid: int) -> str:
    name = _text(f"{proc}/{pid}/wchan").strip()
    return "" if name == "0" else name[:40]


def _run_delay_ns(task: str) -> int:
    """Runnable and not running: the second number of schedstat (Documentation/scheduler/sched-stats.rst)."""
    numbers = _text(f"{task}/schedstat").split()
    return int(numbers[1]) if len(numbers) > 1 else 0


def _cgroup(proc: Path, pid: int) -> str:
    """The folder of its control group that has a CPU limit, of version 2 or 1; empty without one."""
    for line in _text(f"{proc}/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folder = f"/sys/fs/cgroup{path}"
        elif "cpu" in controllers.split(","):
            folder = f"/sys/fs/cgroup/cpu{path}"
        else:
            continue
        if "throttled_" in _text(f"{folder}/cpu.stat"):
            return folder
    return ""


def _throttled_us(folder: str) -> int:
    """``throttled_usec`` of version 2, ``throttled_time`` (ns) of version 1: of each CPU's run queue, added up."""
    for line in _text(f"{folder}/cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "throttled_usec":
            return int(value)
        if name == "throttled_time":
            return int(value) // 1000
    return 0
