"""Who had no CPU: waits of processes by the kernel's own account, limits of their control groups, the whole machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from bpftop.model import CpuWait
from bpftop.procfs import PROC
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
        folders = dict(each for pid in pids for each in limits_of(pid, self._proc, self._groups))
        self._limits.take(now_s, {path: (throttled_us(folder),) for path, folder in folders.items()})
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
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def run_times(task: str) -> tuple[int, int, int]:
    """Of a thread, or of the first one of a process: nanoseconds on a CPU, nanoseconds ready to run and without one,
    and how many times it got one (schedstat, Documentation/scheduler/sched-stats.rst)."""
    numbers = text(f"{task}/schedstat").split()
    return (int(numbers[0]), int(numbers[1]), int(numbers[2])) if len(numbers) > 2 else (0, 0, 0)


def limits_of(pid: int, proc: Path = PROC, groups: Path = _GROUPS) -> Iterator[tuple[str, str]]:
    """Path and folder of each control group that can hold a process back, of version 2 or 1: its own, and those
    above it, whose limits hold for all below them."""
    for line in text(f"{proc}/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root = groups
        elif "cpu" in controllers.split(","):
            root = groups / "cpu"
        else:
            continue
        while path not in ("", "/"):
            folder = f"{root}{path}"
            if "throttled_" in text(f"{folder}/cpu.stat"):
                yield path, folder
            path = path.rpartition("/")[0]


def throttled_us(folder: str) -> int:
    """``throttled_usec`` of version 2, ``throttled_time`` (ns) of version 1: of each CPU's run queue, added up."""
    for line in text(f"{folder}/cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "throttled_usec":
            return int(value)
        if name == "throttled_time":
            return int(value) // 1000
    return 0


def pressure_us(proc: Path = PROC) -> int | None:
    """How long anything on this machine has waited for a CPU so far (Documentation/accounting/psi.rst); None where
    the kernel does not say."""
    first = text(f"{proc}/pressure/cpu").partition("\n")[0]
    _, found, total = first.rpartition("total=")
    return int(total) if found and total.isdecimal() else None
