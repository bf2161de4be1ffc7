"""What is watched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class TargetKind(Enum):
    """How the user named the target."""

    NAME = "name"
    PID = "pid"
    PORT = "port"
    PATH = "path"
    CGROUP = "cgroup"
    """A cgroup, a systemd unit or a container, with everything below it."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process (thread group) as /proc shows it."""

    pid: int
    start_ticks: int
    """Start time in clock ticks since boot: with ``pid`` it names one process for ever (proc_pid_stat(5), field 22)."""
    comm: str
    cmdline: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What is watched: the processes and listening ports of one server."""

    spec: str
    """The words the user typed."""
    kind: TargetKind
    name: str
    """For people: ``nginx``, ``pid 1234``, ``port 8080``."""
    comm: str = ""
    """The name to follow through exec, at most 15 bytes as the kernel keeps it; empty when none is followed."""
    processes: tuple[Process, ...] = ()
    ports: tuple[int, ...] = ()
    places: tuple[tuple[int, int], ...] = ()
    """Network namespace (its inode, 0 for any) and listening port. A port without a place is meant in any namespace."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids, ascending."""
        return tuple(p.pid for p in self.processes)
