"""What a disk is called: its device number in words."""

from __future__ import annotations

from pathlib import Path

DISK_WORK = ("read", "write", "flush", "discard")
"""What ``bt/disk.bt`` calls 1, 2, 3, 4."""


def device_name(code: int, devices: Path = Path("/sys/dev/block")) -> str:
    """``vda write``; ``259:3 write`` for a disk that is gone.

    Args:
        code: the device number as the kernel keeps it (major << 20 | minor); from bit 32 on what was done, or 0.
    """
    major, minor = code >> 20 & 0xFFF, code & 0xFFFFF
    try:
        name = (devices / f"{major}:{minor}").readlink().name
    except OSError:
        name = f"{major}:{minor}"
    return with_work(name, code)


def with_work(name: str, code: int) -> str:
    """``vda write``: the name of a device and what its code says was done."""
    work = code >> 32
    return f"{name} {DISK_WORK[work - 1]}" if 0 < work <= len(DISK_WORK) else name
