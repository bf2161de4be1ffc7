"""From options to a host that can trace, or to the error that says what to type."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bpftop.text import safe
from bpftop.ui import first

if TYPE_CHECKING:
    from bpftop.preflight import Host


def host_of(bpftrace: Path | None, *arguments: str) -> Host:
    """This host, with the command that would do the same again."""
    from bpftop.preflight import Host

    return Host(command=command(*arguments), bpftrace=bpftrace)


def command(*arguments: str) -> str:
    """This program with these words, by absolute path: sudo knows another PATH."""
    program = Path(sys.argv[0])
    if program.name.startswith("bpftop") and program.is_file() and os.access(program, os.X_OK):
        words = [str(program.absolute())]
    else:
        words = [sys.executable, "-P", "-m", "bpftop"]
    import shlex

    return shlex.join([*words, *(word for word in arguments if word)])


def narrate(sentence: str) -> None:
    """Tell the person, not the pipe. Names of processes may be in it: nothing steers the terminal."""
    said = f"bpftop: {safe(sentence)}"
    if not first.aside(said):
        print(said, file=sys.stderr, flush=True)


def prepare(host: Host, say: Callable[[str], object] = narrate) -> None:
    """Mount tracefs when only that is missing, and say so. Raises HostError with everything that stands in the way."""
    from bpftop.preflight import mount_tracefs, require

    said = mount_tracefs(host)
    if said:
        say(said)
    require(host)
