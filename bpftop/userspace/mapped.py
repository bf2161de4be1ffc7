"""Which file a word means for a process: its program, its libraries, its own root directory.

Paths come back as bpftrace can open them from here: a process in a container has its files below /proc/PID/root, one
whose program has been replaced by an upgrade still has the old one at /proc/PID/exe.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpftop import procfs
from bpftop.procfs import PROC

_LINE = re.compile(rb"(?P<range>\w+-\w+) (?P<mode>\S+) \w+ \S+ (?P<inode>\d+)\s+(?P<path>/.*)")
_ROOT = re.compile(r"(?P<root>/proc/[0-9]+/root)(?P<rest>/.*)", re.DOTALL)
_DELETED = " (deleted)"
_LINKS = 40


@dataclass(frozen=True, slots=True)
class Mapped:
    """One file whose code a process has loaded."""

    name: str
    """As the process knows it: ``/usr/lib/libssl.so.3``."""
    path: str
    """Where it can be opened from here."""


def program(pids: Sequence[int], proc: Path = PROC) -> Mapped | None:
    """The program that the first of these processes runs."""
    for pid in pids:
        if name := procfs.exe(pid, proc):
            return Mapped(name, _reachable(pid, name, _inode(f"{proc}/{pid}/exe"), f"{proc}/{pid}/exe", proc))
    return None


def loaded(pids: Sequence[int], proc: Path = PROC) -> list[Mapped]:
    """The files with code that these processes have loaded, the program of the first one in front."""
    found = {first.path: first} if (first := program(pids, proc)) else {}
    names: set[tuple[str, int]] = set()
    for pid in pids:
        for span, inode, name in _mappings(pid, proc):
            if (name, inode) not in names:
                names.add((name, inode))
                path = _reachable(pid, name.removesuffix(_DELETED), inode, f"{proc}/{pid}/map_files/{span}", proc)
                found.setdefault(path, Mapped(name.removesuffix(_DELETED), path))
    exe = {first.name} if first else set()
    return [m for m in found.values() if m is first or m.name not in exe]


def named(files: Sequence[Mapped], word: str) -> Mapped | None:
    """The file called ``word``: ``libssl`` and ``libssl.so`` are ``libssl.so.3`` too."""
    for fits in (_is, _begins):
        for file in files:
            if fits(os.path.basename(file.name), word):
                return file
    return None


def seen_by(path: str, pids: Sequence[int], proc: Path = PROC) -> str:
    """An absolute path as the first of these processes that lives in another root means it; else the path itself.

    Links are followed inside that root. A path that begins with /proc/PID/root says itself which root it means.
    """
    if match := _ROOT.match(path):
        # realpath would read the kernel's own link as the root of this host.
        return _resolved(match["root"], match["rest"])
    for pid in pids:
        root = f"{proc}/{pid}/root"
        if path.startswith("/") and _is_another(root):
            inside = _resolved(root, path)
            if os.path.exists(inside):
                return inside
    return os.path.realpath(path)


def _is(name: str, word: str) -> bool:
    return name == word


def _begins(name: str, word: str) -> bool:
    return name.startswith((word + ".", word + "-"))


def _mappings(pid: int, proc: Path) -> Iterator[tuple[str, int, str]]:
    """Range, inode and name of each mapping that holds code."""
    try:
        raw = (proc / str(pid) / "maps").read_bytes()
    except OSError:
        return
    for line in raw.splitlines():
        match = _LINE.match(line)
        if match and b"x" in match["mode"]:
            yield match["range"].decode(), int(match["inode"]), os.fsdecode(match["path"])


def _reachable(pid: int, name: str, inode: int | None, fallback: str, proc: Path) -> str:
    """A path to this very file: its name here, its name in the root of the process, or the kernel's own link to it."""
    for path in (name, f"{proc}/{pid}/root{name}"):
        if inode is not None and _inode(path) == inode:
            return path
    return fallback


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _is_another(root: str) -> bool:
    """Whether a process has another root directory than we do."""
    try:
        theirs, ours = os.stat(root), os.stat("/")
    except OSError:
        return False
    return (theirs.st_dev, theirs.st_ino) != (ours.st_dev, ours.st_ino)


def _resolved(root: str, path: str) -> str:
    """``root`` + ``path`` without links: an absolute one begins at ``root`` again, and ``..`` does not leave it.

    Empty when links lead round in a circle.
    """
    parts, done = path.split("/")[::-1], [""]
    for _ in range(_LINKS * 100):
        if not parts:
            break
        part = parts.pop()
        if part == "..":
            done = done[:-1] or [""]
        elif part and part != ".":
            done.append(part)
            try:
                link = os.readlink(root + "/".join(done))
            except OSError:
                continue
            done.pop()
            if link.startswith("/"):
                done = [""]
            parts += link.split("/")[::-1]
    return "" if parts else root + "/".join(done)
