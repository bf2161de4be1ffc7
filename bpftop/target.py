"""From the word the user typed to processes and ports, through /proc.

``resolve`` is called again whenever the answer may have changed; nothing is kept in between. A word that matches
nothing gives a target without processes: the tracer waits for it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from bpftop import procfs
from bpftop.errors import TargetError
from bpftop.interpreters import basename, script, title
from bpftop.model import Process, Target, TargetKind
from bpftop.procfs import PROC, Seen

COMM_BYTES = 15
MAX_BYTES = 255
CMDLINE_CHARACTERS = 1000
PID_MAX = 1 << 22
"""The kernel's own limit, PID_MAX_LIMIT."""
_TRACER = "bpftrace"
_OURSELVES = frozenset({"bpftop", "bpftop-latency"})


def parse(spec: str) -> Target:
    """What kind of target the word names, before anything is looked up. Raises TargetError for an impossible word."""
    _validate(spec)
    if spec.startswith(":"):
        port = _number(spec[1:], 65535)
        if port is None:
            raise TargetError(f"{spec} is not a port: give a number from 1 to 65535, as in :8080")
        return Target(spec, TargetKind.PORT, f"port {port}", ports=(port,))
    if "/" in spec:
        if os.path.isdir(spec):
            raise TargetError(f"{spec} is a directory, not a program.")
        return Target(spec, TargetKind.PATH, basename(spec) or spec, comm=cut(basename(spec)))
    if spec.isascii() and spec.isdecimal():
        if _number(spec, PID_MAX) is None:
            raise TargetError(f"{spec} is not a process id: give a number from 1 to {PID_MAX}")
        return Target(spec, TargetKind.PID, f"pid {int(spec)}")
    return Target(spec, TargetKind.NAME, spec, comm=cut(spec))


def resolve(spec: str, proc: Path = PROC) -> Target:
    """The processes and listening ports behind the word, now. Never bpftop itself, never bpftrace."""
    target = parse(spec)
    own = procfs.own_pid(proc)
    seen = [p for p in procfs.processes(proc) if p.pid != own and p.comm != _TRACER]
    if target.kind is TargetKind.PORT:
        found = _holders(target.ports[0], seen, proc)
    elif target.kind is TargetKind.PID:
        found = _family(seen, procfs.leader(int(spec), proc))
    elif target.kind is TargetKind.PATH:
        found = _with_forks(seen, _path_matcher(spec, proc))
    else:
        found = _with_forks(seen, lambda p: _named(p, spec))
    places = _places(found, proc)
    if target.ports:
        places = tuple(place for place in places if place[1] in target.ports)
    return Target(
        spec,
        target.kind,
        target.name,
        target.comm,
        tuple(Process(p.pid, p.start_ticks, p.comm, " ".join(p.argv)[:CMDLINE_CHARACTERS]) for p in found),
        target.ports or tuple(sorted({port for _, port in places})),
        places,
    )


def same(process: Process, proc: Path = PROC) -> bool:
    """Whether this very process still runs: an id alone may have been given to another."""
    return procfs.start_ticks(process.pid, proc) == process.start_ticks


def similar(spec: str, proc: Path = PROC, limit: int = 5) -> tuple[str, ...]:
    """Names of running processes (or open ports) that look like the word, best first."""
    if spec.startswith(":"):
        return tuple(difflib.get_close_matches(spec, [f":{port}" for port in _open_ports(proc)], limit, 0.4))
    wanted = basename(spec).lower()
    names = {name for p in _others(proc) for name in _names(p) if name.strip() and name != spec}
    inside = sorted((n for n in names if wanted and (wanted in n.lower() or _inside(n.lower(), wanted))), key=len)
    by_lower = {name.lower(): name for name in sorted(names)}
    close = [by_lower[name] for name in difflib.get_close_matches(wanted, list(by_lower), limit, 0.6)]
    return tuple(dict.fromkeys([*close, *inside]))[:limit]


def listeners(proc: Path = PROC) -> dict[str, tuple[int, ...]]:
    """Names of processes that listen on TCP ports, and the ports: what one could watch here."""
    found: dict[str, set[int]] = {}
    for process in _others(proc):
        ports = {port for _, port in _places([process], proc)}
        if ports:
            found.setdefault(_short_name(process), set()).update(ports)
    return {name: tuple(sorted(ports)) for name, ports in sorted(found.items())}


def explain(target: Target, proc: Path = PROC) -> str:
    """One sentence about a target without processes: what was looked for, and what runs instead."""
    likes = similar(target.spec, proc)
    tail = f"; similar: {', '.join(likes)}" if likes else ""
    if target.kind is TargetKind.PID:
        return f"no process has the id {int(target.spec)}"
    if target.kind is TargetKind.PORT:
        port = target.ports[0]
        if port in _open_ports(proc):
            return f"port {port} is open, but the process behind it belongs to another user"
        return f"nothing listens on port {port}{tail}"
    if target.kind is TargetKind.PATH:
        missing = "" if os.path.exists(target.spec) else ", and there is no such file"
        return f"no process runs {target.spec}{missing}{tail}"
    return f"no process is named {target.spec}{tail}"


def hidden(target: Target, proc: Path = PROC) -> str:
    """One sentence about what could not be seen for lack of rights; empty when all was seen."""
    blind = [p.pid for p in target.processes if procfs.socket_inodes(p.pid, proc) is None]
    if not blind:
        return ""
    return f"the ports of {len(blind)} of {len(target.processes)} processes cannot be seen without root"


def cut(name: str) -> str:
    """The name as the kernel keeps it: the first 15 bytes."""
    return os.fsdecode(os.fsencode(name)[:COMM_BYTES])


# --- the word ---------------------------------------------------------------------------------------------------------


def _validate(spec: str) -> None:
    if not spec.strip():
        raise TargetError("The target is empty: give a process name, a process id, :PORT or the path of a program.")
    if "\0" in spec:
        raise TargetError("The target holds a NUL byte: no process can have such a name.")
    try:
        size = len(os.fsencode(spec))
    except UnicodeEncodeError:
        raise TargetError("The target holds characters that no process name can have.") from None
    if "/" not in spec and size > MAX_BYTES:
        raise TargetError(f"The target has {size} bytes: no program name is longer than {MAX_BYTES}.")
    if size > 4096:
        raise TargetError(f"The target has {size} bytes: no path is longer than 4096.")
    if spec.startswith("-"):
        raise TargetError(f"{spec} looks like an option, not a target.", "bpftop --help")


def _number(text: str, largest: int) -> int | None:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        return None
    return int(text) if 1 <= int(text) <= largest else None


# --- matching ---------------------------------------------------------------------------------------------------------


def _names(process: Seen) -> tuple[str, ...]:
    """Every name a person may know the process by; the last may be empty."""
    return (process.comm, basename(process.exe), title(process.argv), basename(script(process.argv)))


def _named(process: Seen, spec: str) -> bool:
    program, wanted = basename(script(process.argv)), cut(spec)
    if program in _OURSELVES:
        return False
    if spec in (basename(process.exe), title(process.argv), program, program.rpartition(".")[0] or spec + "."):
        return True
    if process.comm != wanted:
        return False
    # The kernel cut a longer name here. Where the full one is known it decides.
    full = [n for n in (basename(process.exe), title(process.argv)) if n != wanted and cut(n) == wanted]
    return spec == wanted or not full


def _path_matcher(spec: str, proc: Path) -> Callable[[Seen], bool]:
    """Whether a process runs the program at this path, or an interpreter runs the script there."""
    paths = {os.path.realpath(spec), os.path.abspath(spec)}

    def matches(process: Seen) -> bool:
        if process.exe in paths:
            return basename(script(process.argv)) not in _OURSELVES
        program = script(process.argv)
        if not program:
            return False
        full = os.path.join(procfs.working_directory(process.pid, proc), program)
        return os.path.isabs(full) and os.path.realpath(full) in paths

    return matches


def _with_forks(seen: list[Seen], matches: Callable[[Seen], bool]) -> list[Seen]:
    """The matching processes, and the workers they forked under another name."""
    found = {p.pid: p for p in seen if matches(p)}
    grown = True
    while grown:
        forks = {p.pid: p for p in seen if p.pid not in found and _is_fork(p, found.get(p.parent))}
        grown = bool(forks)
        found.update(forks)
    return [found[pid] for pid in sorted(found)]


def _is_fork(process: Seen, parent: Seen | None) -> bool:
    """Whether the process was forked and has not run another program since, as far as one can see."""
    if parent is None or not process.exe or process.exe != parent.exe:
        return False
    return script(process.argv) in ("", script(parent.argv))


def _family(seen: list[Seen], pid: int) -> list[Seen]:
    """The process and all its descendants."""
    children: dict[int, list[Seen]] = {}
    for process in seen:
        children.setdefault(process.parent, []).append(process)
    found = {p.pid: p for p in seen if p.pid == pid}
    queue = list(found)
    while queue:
        for child in children.get(queue.pop(), []):
            if child.pid not in found:
                found[child.pid] = child
                queue.append(child.pid)
    return [found[pid] for pid in sorted(found)]


# --- ports ------------------------------------------------------------------------------------------------------------


def _holders(port: int, seen: list[Seen], proc: Path) -> list[Seen]:
    """The processes that hold a listening socket on the port, in whatever network namespace they are."""
    tables = _Tables(proc)
    return [p for p in seen if port in tables.ports_of(p.pid)]


def _places(processes: Iterable[Seen], proc: Path) -> tuple[tuple[int, int], ...]:
    """Network namespace and port of each listening socket that they hold."""
    tables = _Tables(proc)
    return tuple(
        sorted({(procfs.network_number(p.pid, proc), port) for p in processes for port in tables.ports_of(p.pid)})
    )


def _open_ports(proc: Path) -> list[int]:
    """Every port that something listens on in our own network namespace, whoever it is."""
    own = procfs.own_pid(proc)
    return sorted(set(procfs.listening(own, proc).values())) if own else []


def _others(proc: Path) -> list[Seen]:
    """All processes that are neither bpftop nor bpftrace."""
    own = procfs.own_pid(proc)
    everyone = (p for p in procfs.processes(proc) if p.pid != own and p.comm != _TRACER)
    return [p for p in everyone if basename(script(p.argv)) not in _OURSELVES]


class _Tables:
    """The listening sockets of each network namespace, each read once."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc
        self._read: dict[str, dict[int, int]] = {}

    def ports_of(self, pid: int) -> set[int]:
        """The ports the process listens on."""
        inodes = procfs.socket_inodes(pid, self._proc)
        if not inodes:
            return set()
        where = procfs.network(pid, self._proc) or str(pid)
        if where not in self._read:
            self._read[where] = dict(procfs.listening(pid, self._proc))
        table = self._read[where]
        return {table[inode] for inode in inodes & table.keys()}


def _short_name(process: Seen) -> str:
    """The one word that would find the process again."""
    return basename(script(process.argv)) or basename(process.exe) or process.comm


def _inside(name: str, wanted: str) -> bool:
    """Whether a name of some length is part of the word: nginx of nginx-debug."""
    return len(name) >= 4 and name in wanted
