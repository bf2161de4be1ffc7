"""What a script leaves to the machine it runs on: numbers of system calls, and which disk a partition is on.

``nr(epoll_wait)`` becomes the number of that system call. A script that reads ``@disk_of[PARTITION]`` finds the disk's
device number there, and 0 for what is no partition.
"""

from __future__ import annotations

import re
from pathlib import Path

from bpftop.errors import ScriptError
from bpftop.syscalls import syscall_number

_NUMBER = re.compile(r"\bnr\((\w+)\)")
_DISK_OF = "@disk_of"


def place_numbers(text: str) -> str:
    """``text`` with the numbers of this machine. Raises ScriptError for an ``nr()`` of no system call."""
    return place_disks(place_syscalls(text))


def place_syscalls(text: str, machine: str = "") -> str:
    """``text`` with each ``nr(NAME)`` replaced; a call that this machine lacks becomes a number that never occurs.

    Raises ScriptError for a name that is no system call.
    """
    return _NUMBER.sub(lambda found: str(_number(found[1], machine)), text)


def _number(name: str, machine: str) -> int:
    try:
        return syscall_number(name, machine)
    except KeyError:
        raise ScriptError(f"nr(): there is no system call {name!r}") from None


def place_disks(text: str, devices: Path = Path("/sys/class/block")) -> str:
    """``text`` whose ``BEGIN`` fills ``@disk_of``, when it uses that map."""
    if f"{_DISK_OF}[" not in text:
        return text
    known = {0: 0} | partitions(devices)
    lines = "".join(f"  {_DISK_OF}[(uint64){part}] = (uint64){disk};\n" for part, disk in sorted(known.items()))
    return text.replace("BEGIN {\n", f"BEGIN {{\n{lines}", 1)


def partitions(devices: Path = Path("/sys/class/block")) -> dict[int, int]:
    """The disk of each partition of this host, by device number as the kernel keeps it (major << 20 | minor)."""
    found = {}
    for mark in devices.glob("*/partition"):
        try:
            partition = mark.parent.resolve()
            found[_device(partition)] = _device(partition.parent)
        except (OSError, ValueError):
            continue  # taken away while we look
    return found


def _device(folder: Path) -> int:
    major, minor = (folder / "dev").read_text().split(":")
    return int(major) << 20 | int(minor)
