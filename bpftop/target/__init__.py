"""From the word the user typed to processes and ports, through /proc.

``resolve`` is called again whenever the answer may have changed; nothing is kept in between but what is handed to it.
A word that matches nothing gives a target without processes: the tracer waits for it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bpftop import procfs
from bpftop.errors import TargetError
from bpftop.interpreters import basename, script
from bpftop.model import Process, Target, TargetKind
from bpftop.procfs import PROC, Seen
from bpftop.target.cgroups import CONTAINER, PREFIX, cgroup_path, containers, is_member, unit_of
from bpftop.target.known import Known
from bpftop.target.matching import OURSELVES, family, named, names, path_matcher, with_forks
from bpftop.target.sockets import holders, open_ports, places
from bpftop.target.word import cut, parse

__all__ = ["cut", "elsewhere", "explain", "hidden", "listeners", "parse", "resolve", "same", "similar"]

CMDLINE_CHARACTERS = 1000
_TRACER = "bpftrace"


def resolve(spec: str, proc: Path = PROC, known: Known | None = None) -> Target:
    """The processes and listening ports behind the word, now. Never bpftop itself, never bpftrace.

    ``known``: of earlier calls for the same ``proc``; then some is as it was a few seconds ago, and costs less.
    """
    target = parse(spec)
    own = procfs.own_pid(proc)
    known = known or Known(proc)
    seen = [p for p in known.processes() if p.pid != own and p.comm != _TRACER]
    if target.kind is TargetKind.PORT:
        found = holders(target.ports[0], seen, proc, known)
    elif target.kind is TargetKind.PID:
        found = family(seen, procfs.leader(int(spec), proc))
    elif target.kind is TargetKind.PATH:
        found = with_forks(seen, path_matcher(spec, proc))
    elif target.kind is TargetKind.CGROUP:
        found = _members(spec, seen, proc)
    else:
        found = with_forks(seen, lambda p: named(p, spec))
    at = places(found, proc)
    if target.ports:
        at = tuple(place for place in at if place[1] in target.ports)
    return Target(
        spec,
        target.kind,
        target.name,
        target.comm,
        tuple(Process(p.pid, p.start_ticks, p.comm, " ".join(p.argv)[:CMDLINE_CHARACTERS]) for p in found),
        target.ports or tuple(sorted({port for _, port in at})),
        at,
    )


def same(process: Process, proc: Path = PROC) -> bool:
    """Whether this very process still runs: an id alone may have been given to another."""
    return procfs.start_ticks(process.pid, proc) == process.start_ticks


def similar(spec: str, proc: Path = PROC, limit: int = 5) -> tuple[str, ...]:
    """Names of running processes (or open ports) that look like the word, best first."""
    if spec.startswith(":"):
        return tuple(_near(spec, [f":{port}" for port in open_ports(proc)], limit, 0.4))
    if parse(spec).kind is TargetKind.CGROUP:
        return _similar_cgroups(spec, proc, limit)
    wanted = basename(spec).lower()
    all_names = {name for p in _others(proc) for name in names(p) if name.strip() and name != spec}
    inside = sorted((n for n in all_names if wanted and (wanted in n.lower() or _inside(n.lower(), wanted))), key=len)
    by_lower = {name.lower(): name for name in sorted(all_names)}
    close = [by_lower[name] for name in _near(wanted, list(by_lower), limit, 0.6)]
    return tuple(dict.fromkeys([*close, *inside]))[:limit]


def listeners(proc: Path = PROC) -> dict[str, tuple[int, ...]]:
    """Names of processes that listen on TCP ports, and the ports: what one could watch here."""
    found: dict[str, set[int]] = {}
    for process in _others(proc):
        if at := places([process], proc):
            found.setdefault(_short_name(process), set()).update(port for _, port in at)
    return {name: tuple(sorted(ports)) for name, ports in sorted(found.items())}


def explain(target: Target, proc: Path = PROC) -> str:
    """One sentence about a target without processes: what was looked for, and what runs instead."""
    likes = similar(target.spec, proc)
    tail = f"; similar: {', '.join(likes)}" if likes else ""
    if target.kind is TargetKind.PID:
        return f"no process has the id {int(target.spec)}"
    if target.kind is TargetKind.PORT:
        port = target.ports[0]
        if port in open_ports(proc):
            return f"port {port} is open, but the process behind it belongs to another user"
        return f"nothing listens on port {port}{tail}"
    if target.kind is TargetKind.PATH:
        missing = "" if os.path.exists(target.spec) else ", and there is no such file"
        return f"no process runs {target.spec}{missing}{tail}"
    if target.kind is TargetKind.CGROUP:
        return f"no process is in the {target.name}{tail}"
    return f"no process is named {target.spec}{tail}"


def hidden(target: Target, proc: Path = PROC) -> str:
    """One sentence about what could not be seen for lack of rights; empty when all was seen."""
    blind = [p.pid for p in target.processes if procfs.socket_inodes(p.pid, proc) is None]
    if not blind:
        return ""
    return f"the ports of {len(blind)} of {len(target.processes)} processes cannot be seen without root"


def elsewhere(target: Target) -> str:
    """One sentence about a port that is open in several network namespaces; empty otherwise."""
    networks = {net for net, _ in target.places}
    if target.kind is not TargetKind.PORT or len(networks) < 2:
        return ""
    return f"{target.name} is open in {len(networks)} network namespaces, as containers have them: all are watched"


def _members(spec: str, seen: list[Seen], proc: Path) -> list[Seen]:
    """The processes in the cgroup, unit or container. Raises TargetError when several containers are meant.

    They are looked up again every two seconds, and their forks are followed in the kernel. bpftrace's ``cgroup`` would
    not do better: it is the inode of a cgroup v2 directory, which systemd removes and makes anew with every restart of
    the unit, and hosts with cgroup v1 have none.
    """
    found = [(p, procfs.cgroups(p.pid, proc)) for p in seen]
    found = [(p, paths) for p, paths in found if is_member(spec, paths)]
    if spec.startswith(CONTAINER):
        wanted = spec.removeprefix(CONTAINER)
        meant = {name for _, paths in found for name in containers(paths) if name.startswith(wanted)}
        if len(meant) > 1 and wanted not in meant:
            raise TargetError(
                f"{len(meant)} containers begin with {wanted}: {', '.join(sorted(name[:16] for name in meant)[:5])}",
                f"bpftop {CONTAINER}{min(meant)[:16]}",
            )
    return [p for p, _ in found]


def _similar_cgroups(spec: str, proc: Path, limit: int) -> tuple[str, ...]:
    """Containers or units that have processes and look like the word; all containers when none does."""
    everyone = [procfs.cgroups(p.pid, proc) for p in _others(proc)]
    if spec.startswith(CONTAINER):
        known = sorted({name for paths in everyone for name in containers(paths)})
        near = _near(spec.removeprefix(CONTAINER), known, limit, 0.6)
        return tuple(CONTAINER + name[:12] for name in near or known[:limit])
    if spec.startswith(PREFIX):
        all_paths = sorted({path for paths in everyone for path in paths if path != "/"})
        return tuple(PREFIX + path for path in _near(cgroup_path(spec), all_paths, limit, 0.6))
    units = sorted({unit for paths in everyone if (unit := unit_of(paths))})
    return tuple(_near(spec, units, limit, 0.6))


def _others(proc: Path) -> list[Seen]:
    """All processes that are neither bpftop nor bpftrace."""
    own = procfs.own_pid(proc)
    everyone = (p for p in procfs.processes(proc) if p.pid != own and p.comm != _TRACER)
    return [p for p in everyone if basename(script(p.argv)) not in OURSELVES]


def _short_name(process: Seen) -> str:
    """The one word that would find the process again."""
    return basename(script(process.argv)) or basename(process.exe) or process.comm


def _inside(name: str, wanted: str) -> bool:
    """Whether a name of some length is part of the word: nginx of nginx-debug."""
    return len(name) >= 4 and name in wanted


def _near(word: str, possible: Sequence[str], most: int, likeness: float) -> list[str]:
    """Those that look like the word, best first."""
    from difflib import get_close_matches

    return get_close_matches(word, possible, most, likeness)
