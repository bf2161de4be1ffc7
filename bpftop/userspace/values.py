"""What the words on the command line become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bpftop.model import Script
from bpftop.procfs import PROC


@dataclass(frozen=True, slots=True)
class Place:
    """Where names are looked up."""

    pids: Sequence[int] = ()
    """The target's processes: their files are meant."""
    everyone: bool = False
    """No target was named: whoever runs the code is measured."""
    proc: Path = PROC


@dataclass(frozen=True, slots=True)
class Attachment:
    """A script with its attach points, and what the user should know before it starts."""

    script: Script
    notes: tuple[str, ...]
