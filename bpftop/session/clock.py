"""The clock of the kernel's reports."""

from __future__ import annotations

import time


def boot_ns() -> int:
    """The clock of bpftrace's ``nsecs``."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
