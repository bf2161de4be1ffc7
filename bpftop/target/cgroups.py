"""Cgroups, systemd units and containers, by the paths of /proc/PID/cgroup. Pure.

A container is known by the id (or name) that its runtime puts into the path: Docker, Podman, containerd, CRI-O, LXC,
systemd-nspawn, with systemd or without. Names that only the runtime's daemon knows are not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

PREFIX = "cgroup:"
CONTAINER = "container:"
_UNIT = re.compile(r".+\.(?:service|scope|slice)")
_MOUNT = "/sys/fs/cgroup/"
_RUNTIMES = "docker|libpod|crio|cri-containerd|containerd|nerdctl"
_CONTAINER = (
    rf"(?:(?:{_RUNTIMES})-|.+:(?:{_RUNTIMES}):)?(?P<id>[0-9a-f]{{64}})(?:\.scope)?"  # docker-ID.scope, X:crio:ID, ID
    r"|lxc\.payload\.(?P<lxc>.+)|machine-(?P<machine>.+)\.scope|systemd-nspawn@(?P<nspawn>.+)\.service"
)
_BY_PARENT = {"lxc", "default"}
"""Parents of containers that are called by their names: LXC without systemd, containerd's own namespace."""


@cache
def _container() -> re.Pattern[str]:
    """It is large, and most targets are no containers."""
    return re.compile(_CONTAINER)


def is_unit(word: str) -> bool:
    """Whether the word is the name of a systemd unit that has a cgroup."""
    return _UNIT.fullmatch(word) is not None and "/" not in word


def cgroup_path(spec: str) -> str:
    """The path of ``cgroup:PATH`` below the root of its hierarchy, as /proc shows it."""
    path = spec.removeprefix(PREFIX)
    if path.startswith(_MOUNT):
        path = path.removeprefix(_MOUNT)
        path = re.sub(r"^(?:unified|systemd|memory|cpu|cpu,cpuacct|pids)(?=/|$)", "", path)
    return "/" + path.strip("/")


def is_member(spec: str, paths: Iterable[str]) -> bool:
    """Whether a process with these cgroups is meant: the cgroup itself or anything below it."""
    if spec.startswith(PREFIX):
        wanted = cgroup_path(spec)
        return any(path == wanted or path.startswith(f"{wanted}/") for path in paths)
    if spec.startswith(CONTAINER):
        wanted = spec.removeprefix(CONTAINER)
        return any(name.startswith(wanted) for name in containers(paths))
    return any(spec in path.split("/") for path in paths)


def containers(paths: Iterable[str]) -> set[str]:
    """The ids and names of the containers around a process: several when they are nested."""
    found = set()
    for path in paths:
        parts = path.split("/")
        for parent, part in zip(["", *parts], parts, strict=False):
            if match := _container().fullmatch(part):
                found.add(next(group for group in match.groups() if group))
            elif parent in _BY_PARENT and part:
                found.add(part)
    return found


def unit_of(paths: Iterable[str]) -> str:
    """The innermost systemd unit; empty when there is none."""
    for path in paths:
        for part in reversed(path.split("/")):
            if is_unit(part) and not part.endswith(".slice") and not _container().fullmatch(part):
                return part
    return ""
