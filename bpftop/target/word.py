"""What kind of target a word names; nothing is looked up."""

from __future__ import annotations

import os
import re

from bpftop.errors import TargetError
from bpftop.interpreters import basename
from bpftop.model import Target, TargetKind
from bpftop.target.cgroups import CONTAINER, PREFIX, cgroup_path, is_unit

COMM_BYTES = 15
MAX_BYTES = 255
PID_MAX = 1 << 22
"""The kernel's own limit, PID_MAX_LIMIT."""


def parse(spec: str) -> Target:
    """What kind of target the word names, before anything is looked up. Raises TargetError for an impossible word."""
    _validate(spec)
    if spec.startswith(":"):
        port = _number(spec[1:], 65535)
        if port is None:
            raise TargetError(f"{spec} is not a port: give a number from 1 to 65535, as in :8080")
        return Target(spec, TargetKind.PORT, f"port {port}", ports=(port,))
    if spec.startswith((PREFIX, CONTAINER)) or is_unit(spec):
        return _cgroup(spec)
    if "/" in spec:
        if os.path.isdir(spec):
            raise TargetError(f"{spec} is a directory, not a program.")
        return Target(spec, TargetKind.PATH, basename(spec) or spec, comm=cut(basename(spec)))
    if spec.isascii() and spec.isdecimal():
        if _number(spec, PID_MAX) is None:
            raise TargetError(f"{spec} is not a process id: give a number from 1 to {PID_MAX}")
        return Target(spec, TargetKind.PID, f"pid {int(spec)}")
    return Target(spec, TargetKind.NAME, spec, comm=cut(spec))


def _cgroup(spec: str) -> Target:
    """``cgroup:/a/b``, ``container:ID`` or the name of a systemd unit."""
    if spec.startswith(CONTAINER):
        word = spec.removeprefix(CONTAINER)
        if not re.fullmatch(r"\w[\w.@:-]*", word, re.ASCII):
            raise TargetError(f"{spec} names no container: give the beginning of its id", "docker ps --no-trunc")
        return Target(spec, TargetKind.CGROUP, f"container {word[:12] if len(word) == 64 else word}")
    if spec.startswith(PREFIX):
        path = cgroup_path(spec)
        if path == "/":
            raise TargetError("The root cgroup is the whole host: give a cgroup below it.", "systemd-cgls")
        return Target(spec, TargetKind.CGROUP, f"cgroup {path}")
    return Target(spec, TargetKind.CGROUP, f"unit {spec}")


def cut(name: str) -> str:
    """The name as the kernel keeps it: the first 15 bytes."""
    return os.fsdecode(os.fsencode(name)[:COMM_BYTES])


def _validate(spec: str) -> None:
    if not spec.strip():
        raise TargetError("the target is empty: give a process name, a process id, :PORT or a path", "bpftop --help")
    if "\0" in spec:
        raise TargetError("the target holds a NUL byte: no process can have such a name.")
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
