"""Where the kernel describes its types (BTF), and how bpftrace is told so."""

from __future__ import annotations

import os
import re
from pathlib import Path

BTF_PATH = Path("/sys/kernel/btf/vmlinux")
_NUMBERED_SINCE = (5, 11)


def told_types(modules: bool = False, release: str = os.uname().release, path: Path = BTF_PATH) -> dict[str, str]:
    """The environment in which bpftrace reads the kernel's types from ``path`` and looks no further.

    By itself, 0.17 looks through the types of the kernel and of each loaded module for every type: with 18 modules that
    was more than half of its start on 6.1. ``modules``: the program may need a module's types. Then the file is named
    only before Linux 5.11 (``release`` is the kernel's): bpftrace asks for types by number (BPF_BTF_GET_NEXT_ID), and
    there the kernel's own have none, so that ``struct sock`` is unknown although the file is there.
    """
    version = re.match(r"(\d+)\.(\d+)", release)
    numbered = version is None or (int(version[1]), int(version[2])) >= _NUMBERED_SINCE
    return {} if (modules and numbered) or not path.exists() else {"BPFTRACE_BTF": str(path)}
