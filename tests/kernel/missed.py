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
    """The processes that this process has started and that hold BPF programs, whatever they are called.

    A bpftrace with libraries of its own runs under the name of its dynamic linker.
    """
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in own if _holds_programs(int(pid))]


def _holds_programs(pid: int) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(descriptor) == "anon_inode:bpf-prog":
                return True
    return False


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
