"""Which processes a word means: by name, by the program's path, by descent."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bpftop import procfs
from bpftop.interpreters import basename, script, title
from bpftop.procfs import Seen
from bpftop.target.word import cut

OURSELVES = frozenset({"bpftop", "bpftop-latency"})


def names(process: Seen) -> tuple[str, ...]:
    """Every name a person may know the process by; the last may be empty."""
    return (process.comm, basename(process.exe), title(process.argv), basename(script(process.argv)))


def named(process: Seen, spec: str) -> bool:
    """Whether the word is a name of the process: of its program, its title, its script, or what the kernel kept."""
    program, wanted = basename(script(process.argv)), cut(spec)
    if program in OURSELVES:
        return False
    if spec in (basename(process.exe), title(process.argv), program, program.rpartition(".")[0] or spec + "."):
        return True
    if process.comm != wanted:
        return False
    # The kernel cut a longer name here. Where the full one is known it decides.
    full = [n for n in (basename(process.exe), title(process.argv)) if n != wanted and cut(n) == wanted]
    return spec == wanted or not full


def path_matcher(spec: str, proc: Path) -> Callable[[Seen], bool]:
    """Whether a process runs the program at this path, or an interpreter runs the script there.

    In another mount namespace the same path is another file, and another path may be this one: there the file decides.
    """
    paths = {os.path.realpath(spec), os.path.abspath(spec)}
    file = _identity(spec)
    if file != _identity(os.path.realpath(spec)):  # it leads through /proc/PID/root
        paths = set()

    def matches(process: Seen) -> bool:
        if not procfs.same_namespace("mnt", process.pid, proc):
            return file is not None and _identity(f"{proc}/{process.pid}/exe") == file
        if process.exe in paths:
            return basename(script(process.argv)) not in OURSELVES
        program = script(process.argv)
        if not program:
            return False
        full = os.path.join(procfs.working_directory(process.pid, proc), program)
        return os.path.isabs(full) and os.path.realpath(full) in paths

    return matches


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode of the file; ``None`` when there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def with_forks(seen: list[Seen], matches: Callable[[Seen], bool]) -> list[Seen]:
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


def family(seen: list[Seen], pid: int) -> list[Seen]:
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
