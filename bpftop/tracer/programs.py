"""What the kernel counts of the BPF programs that a process holds, read again and again at little cost."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import threading

_BPF_ENABLE_STATS = 32
_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "s390x": 351, "ppc64le": 361}
_libc = ctypes.CDLL(None, use_errno=True)
_COUNTED = re.compile(rb"\nrun_time_ns:\t(\d+)\nrun_cnt:\t(\d+)\n(?:recursion_misses:\t(\d+)\n)?")
_ID = re.compile(rb"\nprog_id:\t(\d+)\n")
_YOUNG, _EVERY = 10, 30
"""All descriptors of the process are looked through in each of the first readings, then in one of so many: bpftrace has
loaded everything soon after its start."""
_LONGEST = 1024
"""Bytes of a file about a program; the kernel writes about 200."""


class ProgramCosts:
    """Of one process at a time. The kernel's files about its programs (fdinfo) stay open, which keeps no program."""

    def __init__(self) -> None:
        self._pid = self._readings = 0
        self._files: list[int] = []
        self._lock = threading.Lock()

    def __call__(self, pid: int) -> tuple[int, int, int]:
        """Run time (ns), runs and missed runs of all programs that the process holds; zeros when it is gone."""
        with self._lock:
            if pid != self._pid:
                self._pid, self._readings = pid, 0
            if self._readings < _YOUNG or self._readings % _EVERY == 0:
                self._find()
            self._readings += 1
            found = self._sum()
            if found is None:
                self._find()
                found = self._sum()
            return found or (0, 0, 0)

    def _sum(self) -> tuple[int, int, int] | None:
        """None when one of them is not there any more."""
        run_ns = runs = missed = 0
        for file in self._files:
            try:
                found = _COUNTED.search(os.pread(file, _LONGEST, 0))
            except OSError:
                return None
            if found is None:
                return None
            run_ns, runs, missed = run_ns + int(found[1]), runs + int(found[2]), missed + int(found[3] or 0)
        return run_ns, runs, missed

    def _find(self) -> None:
        """Open the files of its programs, each once. What is no program, such as a map, whose size the kernel would
        count, is not read."""
        self._let_go()
        known = set()
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{self._pid}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{self._pid}/fd/{number}") != "anon_inode:bpf-prog":
                        continue
                    file = os.open(f"/proc/{self._pid}/fdinfo/{number}", os.O_RDONLY | os.O_CLOEXEC)
                    self._files.append(file)
                    text = os.pread(file, _LONGEST, 0)
                    which = _ID.search(text)
                    if which is None or which[1] in known or not _COUNTED.search(text):
                        os.close(self._files.pop())
                    else:
                        known.add(which[1])

    def close(self) -> None:
        """Close the files; the next reading opens them again. Any thread may call it."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        while self._files:
            os.close(self._files.pop())


def enable_statistics() -> int:
    """The file descriptor that keeps the statistics on, or -1 where the kernel has none."""
    number = _SYSCALL.get(os.uname().machine)
    if number is None:
        return -1
    attributes = (ctypes.c_uint32 * 32)()
    return int(_libc.syscall(number, _BPF_ENABLE_STATS, ctypes.byref(attributes), ctypes.sizeof(attributes)))
