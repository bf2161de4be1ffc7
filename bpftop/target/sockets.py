"""Listening TCP sockets: who holds them, and where: network namespace and port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from bpftop import procfs, sockdiag
from bpftop.procfs import PROC, Seen
from bpftop.target.known import Known


def holders(port: int, seen: list[Seen], proc: Path, known: Known) -> list[Seen]:
    """The processes that hold a listening socket on the port, in whatever network namespace they are."""
    tables = _Tables(proc)
    return [p for p in seen if port in known.ports(p.pid, tables.ports_of)]


def places(processes: Iterable[Seen], proc: Path) -> tuple[tuple[int, int], ...]:
    """Network namespace and port of each listening socket that they hold."""
    tables = _Tables(proc)
    return tuple(
        sorted({(procfs.network_number(p.pid, proc), port) for p in processes for port in tables.ports_of(p.pid)})
    )


def open_ports(proc: Path) -> list[int]:
    """Every port that something listens on in our own network namespace, whoever it is."""
    own = procfs.own_pid(proc)
    return sorted(set(_listening(own, proc).values())) if own else []


def _listening(pid: int, proc: Path) -> Mapping[int, int]:
    """Listening TCP sockets in the network namespace of the process: inode to port. /proc tells it also where we may
    not enter that namespace, but takes a hundred times as long."""
    if proc == PROC:
        with suppress(OSError, ValueError):
            return sockdiag.listening(pid)
    return procfs.listening(pid, proc)


class _Tables:
    """The listening sockets of each network namespace, each read once."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._read: dict[str, Mapping[int, int]] = {}

    def ports_of(self, pid: int) -> set[int]:
        """The ports the process listens on."""
        inodes = procfs.socket_inodes(pid, self._proc)
        if not inodes:
            return set()
        where = procfs.network(pid, self._proc) or str(pid)
        if where not in self._read:
            self._read[where] = _listening(pid, self._proc)
        table = self._read[where]
        return {table[inode] for inode in inodes & table.keys()}
