"""Events that no BPF program saw, because the kernel left the program out.

While a process works on a BPF map by a bpf() call, the kernel runs no tracing program on that CPU, even when that
process is preempted meanwhile (bpf_disable_instrumentation); nor does it in an interrupt that hits a running tracing
program (bpf_prog_active). It counts both. Other tracers on the same host cause more of them.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path


def tracers() -> list[int]:
    """The bpftrace processes that this process has started."""
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in own if Path(f"/proc/{pid}/comm").read_text() == "bpftrace\n"]


def missed_runs(pids: Iterable[int]) -> int:
    """How often a program of these processes was left out since it was loaded."""
    missed: dict[str, int] = {}
    for pid in pids:
        for info in Path(f"/proc/{pid}/fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError):
                lines = dict(re.findall(r"(?m)^(prog_id|recursion_misses):\s+(\d+)$", info.read_text()))
                if "recursion_misses" in lines:  # a link names its program too
                    missed[lines["prog_id"]] = int(lines["recursion_misses"])
    return sum(missed.values())
