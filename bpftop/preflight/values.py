"""What a check says, and where it looks."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass, field
from pathlib import Path

TRUSTED_DIRECTORIES = tuple(map(Path, ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin")))


@dataclass(frozen=True, slots=True)
class Problem:
    """Something missing: one sentence, the next command to type, and whether nothing can be traced without it."""

    message: str
    hint: str = ""
    fatal: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: for the table of ``bpftop doctor``."""

    name: str
    detail: str
    problem: Problem | None = None
    known: bool = True
    """False when only root could tell, or nobody."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where to look."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    directories: tuple[Path, ...] = TRUSTED_DIRECTORIES
    euid: int = field(default_factory=os.geteuid)
    command: str = "bpftop"
    """How the user would call this program again, for hints: an absolute path and its arguments."""
    bpftrace: Path | None = None
    """The bpftrace the user named; none looks for one."""
    release: str = field(default_factory=lambda: os.uname().release)
    """Of the kernel: ``6.1.0-13-amd64``."""
    memlock: int = field(default_factory=lambda: resource.getrlimit(resource.RLIMIT_MEMLOCK)[0])
    """How many bytes may be locked; negative when that is not limited."""


def read(path: Path) -> str:
    """The text of a small file; empty when it cannot be read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
