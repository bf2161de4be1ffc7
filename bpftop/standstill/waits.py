"""Who had no CPU: waits of processes by the kernel's own account, limits of their control groups, the whole machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from bpftop.model import CpuWait
from bpftop.procfs import PROC, content
from bpftop.standstill.sliding import Sliding

MOST_TASKS = 64
"""Threads whose waits are read."""
_GROUPS = Path("/sys/fs/cgroup")


class Waits:
    """Of some processes, look after look."""

    def __init__(self, proc: Path = PROC, groups: Path = _GROUPS) -> None:
        self._proc, self._groups = proc, groups
        self._tasks, self._limits = Sliding(), Sliding()

    def look(self, pids: Iterable[int], now_s: float) -> CpuWait:
        """How long they have waited for a CPU in the last SPAN_S."""
        pids = list(pids)
        self._tasks.take(now_s, {task: run_times(task)[1:] for task in _tasks(self._proc, pids)})
        memberships = {text(f"{self._proc}/{pid}/cgroup") for pid in pids}
        limits = dict(each for member in memberships for each in limits_of(member, self._groups))
        self._limits.take(now_s, {path: (us,) for path, us in limits.items()})
        waits = [each[0] for each in self._tasks.grown().values()]
        group, throttled = max(
            ((path, each[0]) for path, each in self._limits.grown().items()), key=lambda each: each[1], default=("", 0)
        )
        return CpuWait(
            round(sum(waits) / 1e9, 1), round(max(waits, default=0) / 1e9, 1), round(throttled / 1e6, 1),
            group if throttled else "",
        )  # fmt: skip

    @property
    def span_s(self) -> float:
        """What that covers."""
        return self._tasks.covered_s


def _tasks(proc: Path, pids: Iterable[int]) -> Iterator[str]:
    left = MOST_TASKS
    for pid in pids:
        try:
            names = os.listdir(f"{proc}/{pid}/task")[:left]
        except OSError:
            continue
        yield from (f"{proc}/{pid}/task/{name}" for name in names)
        left -= len(names)
        if left <= 0:
            return


def text(path: str) -> str:
    """A small file; empty when it is gone or not ours to read."""
    try:
        return content(path).decode(errors="replace")
    except OSError:
        return ""


def run_times(task: str) -> tuple[int, int, int]:
    """Of a thread, or of the first one of a process: nanoseconds on a CPU, nanoseconds ready to run and without one,
    and how many times it got one (schedstat, Documentation/scheduler/sched-stats.rst)."""
    numbers = text(f"{task}/schedstat").split()
    return (int(numbers[0]), int(numbers[1]), int(numbers[2])) if len(numbers) > 2 else (0, 0, 0)


def limits_of(membership: str, groups: Path = _GROUPS) -> Iterator[tuple[str, int]]:
    """Path of each control group that can hold a process back, of version 2 or 1, and for how long (us) it has so far:
    its own, and those above it, whose limits hold for all below them. ``membership``: /proc/PID/cgroup."""
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root = str(groups)
        elif "cpu" in controllers.split(","):
            root = f"{groups}/cpu"
        else:
            continue
        while path not in ("", "/"):
            us = throttled_us(f"{root}{path}")
            if us is not None:
                yield path, us
            path = path.rpartition("/")[0]


def throttled_us(folder: str) -> int | None:
    """``throttled_usec`` of version 2, ``throttled_time`` (ns) of version 1: of each CPU's run queue, added up; None of
    a control group that limits no CPU."""
    for line in text(f"{folder}/cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "throttled_usec":
            return int(value)
        if name == "throttled_time":
            return int(value) // 1000
    return None


def sent_again(pid: int, proc: Path = PROC) -> int | None:
    """TCP segments sent again so far in the network namespace of a process (RetransSegs of RFC 1213); None when it is
    not to be known."""
    rows = [line.split() for line in text(f"{proc}/{pid}/net/snmp").splitlines() if line.startswith("Tcp:")]
    try:
        names, values = rows
        return int(values[names.index("RetransSegs")])
    except (ValueError, IndexError):
        return None


def pressure_us(proc: Path = PROC) -> int | None:
    """How long anything on this machine has waited for a CPU so far (Documentation/accounting/psi.rst); None where
    the kernel does not say."""
    first = text(f"{proc}/pressure/cpu").partition("\n")[0]
    _, found, total = first.rpartition("total=")
    return int(total) if found and total.isdecimal() else None
