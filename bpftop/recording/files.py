"""Is a file a recording? Asked before numpy is loaded."""

from __future__ import annotations

import os

SUFFIX = ".bpftop"
FAMILY = b"bpftop recording "


def is_recording(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like one, or has the name of one."""
    if os.fspath(path).endswith(SUFFIX):
        return True
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return file.read(len(FAMILY)) == FAMILY
    except (OSError, ValueError):
        return False
