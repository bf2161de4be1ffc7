"""/proc as values. Reading never raises: a process that vanishes while it is read is not there.

Bytes of other processes become text by ``os.fsdecode``, so ``os.fsencode`` gives the very same bytes back.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")

_KERNEL_THREAD = 0x00200000
"""PF_KTHREAD in field 9 of proc_pid_stat(5)."""
_LISTEN = "0A"
_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Seen:
    """One process (thread group) at the moment it was read."""

    pid: int
    parent: int
    start_ticks: int
    comm: str
    """The name of the group leader, at most 15 bytes."""
    argv: tuple[str, ...]
    exe: str
    """The path of the program, without the mark of a deleted file; empty when we may not know."""


def processes(proc: Path = PROC) -> list[Seen]:
    """All processes that can be seen, by id; kernel threads and zombies left out."""
    found = (read(pid, proc) for pid in pids(proc))
    return [process for process in found if process is not None]


def pids(proc: Path = PROC) -> list[int]:
    """The ids of all processes, ascending."""
    try:
        return sorted(int(name) for name in os.listdir(proc) if name.isdecimal())
    except OSError:
        return []


def newest(proc: Path = PROC) -> int:
    """The id that was given last to a process or thread, of those that can be seen (proc_loadavg(5)); 0: unknown."""
    try:
        return int(content(f"{proc}/loadavg").split()[4])
    except (OSError, ValueError, IndexError):
        return 0


def content(path: str) -> bytes:
    """A whole small file. Without pathlib and buffers: a host may have thousands of processes. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def read(pid: int, proc: Path = PROC) -> Seen | None:
    """One process, or ``None`` when there is none (or a kernel thread, or a zombie)."""
    base = f"{proc}/{pid}"
    try:
        stat = content(f"{base}/stat")
        parent, start_ticks, alive = _stat(stat)
        if not alive:
            return None
        comm = os.fsdecode(stat[stat.index(b"(") + 1 : stat.rindex(b")")])
        argv = _argv(content(f"{base}/cmdline"))
    except (OSError, ValueError, IndexError):
        return None
    return Seen(pid, parent, start_ticks, comm, argv, exe(pid, proc))


def comm_of(pid: int, proc: Path = PROC) -> str:
    """What a process or thread is called now; empty when it is gone."""
    try:
        return content(f"{proc}/{pid}/comm").decode("utf-8", "replace").rstrip("\n")
    except OSError:
        return ""


def start_ticks(pid: int, proc: Path = PROC) -> int | None:
    """When the process started, in clock ticks since boot."""
    try:
        return _stat(content(f"{proc}/{pid}/stat"))[1]
    except (OSError, ValueError, IndexError):
        return None


def cpu_ticks(pid: int | None, proc: Path = PROC) -> int:
    """The CPU time that a process has used, in clock ticks; 0 when it is gone."""
    try:
        words = content(f"{proc}/{pid}/stat").rpartition(b")")[2].split()
        return int(words[11]) + int(words[12])
    except (OSError, ValueError, IndexError):
        return 0


def exe(pid: int, proc: Path = PROC) -> str:
    """The path of the program that runs; empty when we may not know."""
    try:
        return os.readlink(f"{proc}/{pid}/exe").removesuffix(_DELETED)
    except OSError:
        return ""


def leader(pid: int, proc: Path = PROC) -> int:
    """The process that a thread belongs to; the number itself when it is a process or nothing."""
    try:
        match = re.search(rb"^Tgid:\s*(\d+)$", content(f"{proc}/{pid}/status"), re.MULTILINE)
    except OSError:
        return pid
    return int(match[1]) if match else pid


def own_pid(proc: Path = PROC) -> int | None:
    """This very process as this /proc numbers it."""
    try:
        return int(os.readlink(f"{proc}/self"))
    except (OSError, ValueError):
        return None


def working_directory(pid: int, proc: Path = PROC) -> str:
    """Where the process stands; empty when we may not know."""
    try:
        return os.readlink(f"{proc}/{pid}/cwd")
    except OSError:
        return ""


def open_files(pid: int, proc: Path = PROC) -> list[str] | None:
    """What the descriptors of the process lead to; ``None`` when we may not look."""
    folder = f"{proc}/{pid}/fd"
    try:
        names = os.listdir(folder)
    except PermissionError:
        return None
    except OSError:
        return []
    found = []
    for name in names:
        try:
            found.append(os.readlink(f"{folder}/{name}"))
        except OSError:
            continue
    return found


def sockets_of(links: Iterable[str]) -> frozenset[int]:
    """The inodes of the sockets among what descriptors lead to."""
    return frozenset(int(link[8:-1]) for link in links if link.startswith("socket:["))


def socket_inodes(pid: int, proc: Path = PROC) -> frozenset[int] | None:
    """The sockets that the process holds, inherited ones too; ``None`` when we may not look."""
    links = open_files(pid, proc)
    return None if links is None else sockets_of(links)


def listening(pid: int, proc: Path = PROC) -> Mapping[int, int]:
    """Listening TCP sockets in the network namespace of the process: inode to port."""
    ports: dict[int, int] = {}
    for table in ("tcp", "tcp6"):
        ports.update(_listening(proc / str(pid) / "net" / table))
    return ports


def cgroups(pid: int, proc: Path = PROC) -> tuple[str, ...]:
    """The paths of the cgroups that the process is in, one for each hierarchy (cgroups(7)); none when it is gone."""
    try:
        lines = os.fsdecode(content(f"{proc}/{pid}/cgroup")).splitlines()
    except OSError:
        return ()
    # A path may hold colons; "(deleted)" marks a cgroup that was removed under a zombie.
    return tuple(dict.fromkeys(line.split(":", 2)[2] for line in lines if line.count(":") >= 2))


def same_namespace(kind: str, pid: int, proc: Path = PROC) -> bool:
    """Whether the process shares our ``mnt``, ``net``, ``pid`` … namespace; also when we may not know."""
    try:
        return os.readlink(f"{proc}/{pid}/ns/{kind}") == os.readlink(f"{proc}/self/ns/{kind}")
    except OSError:
        return True


def network(pid: int, proc: Path = PROC) -> str:
    """The network namespace of the process: equal text, equal namespace. Empty when we may not know."""
    try:
        return os.readlink(f"{proc}/{pid}/ns/net")
    except OSError:
        return ""


def network_number(pid: int, proc: Path = PROC) -> int:
    """The number of the network namespace of the process, as the kernel has it; 0 when we may not know."""
    match = re.fullmatch(r"net:\[(\d+)\]", network(pid, proc))
    return int(match[1]) if match else 0


def _stat(raw: bytes) -> tuple[int, int, bool]:
    """Parent, start time, and whether it is a living process of user space."""
    # The name in parentheses may itself hold blanks and parentheses: what follows the last one is safe.
    fields = raw[raw.rindex(b")") + 2 :].split()
    state, parent, flags, started = fields[0], int(fields[1]), int(fields[6]), int(fields[19])
    return parent, started, state not in b"ZXx" and not flags & _KERNEL_THREAD


def _argv(raw: bytes) -> tuple[str, ...]:
    """The words of a command line; a title that the process wrote over them is one word, its padding cut."""
    return tuple(os.fsdecode(word) for word in raw.rstrip(b"\0").split(b"\0")) if raw.strip(b"\0") else ()


def _listening(table: Path) -> Iterator[tuple[int, int]]:
    """Inode and port of each listening socket. The kernel lists these first: the rest, maybe 100,000, is not read."""
    try:
        with table.open() as lines:
            next(lines, "")
            for line in lines:
                fields = line.split()
                if fields[3] != _LISTEN:
                    return
                yield int(fields[9]), int(fields[1].rpartition(":")[2], 16)
    except (OSError, ValueError, IndexError):
        return
