"""What a running bpftrace holds in the kernel, from its open files: what is attached, and whether it works."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

_HOLDS = frozenset(
    f"anon_inode:{name}"
    for name in ("[perf_event]", "bpf_link", "[bpf_link]", "bpf-raw-tracepoint", "bpf-tracing-prog")
)
_TIMERS = ("interval:", "i:", "profile:", "p:")
_PERF_BUFFERS = ("0.14", "0.15", "0.16", "0.17", "0.18")
"""These have a perf event for each CPU besides, for what the program prints."""


def held(pid: int | None) -> int:
    """How many perf events and links a process has open; -1: unknown."""
    found = -1
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            found = max(found, 0)
            with contextlib.suppress(OSError):
                found += os.readlink(entry) in _HOLDS
    return found


def buffers(version: str) -> int:
    """How many of them are no probes."""
    return (os.cpu_count() or 1) if version.startswith(_PERF_BUFFERS) else 0


def nothing(holds: int, points: Sequence[str], version: str) -> bool:
    """Whether ``holds`` perf events and links are only timers of these points. False when not to be known."""
    timers = [point for point in points if point.startswith(_TIMERS)]
    expected = sum(1 if point.startswith("i") else os.cpu_count() or 1 for point in timers)
    expected = expected if len(timers) < len(points) else 0
    return bool(points) and 0 <= holds <= buffers(version) + expected
