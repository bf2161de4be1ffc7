"""From options to a host that can trace, or to the error that says what to type."""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

from bpftop.errors import HostError
from bpftop.preflight import Host, mount_tracefs, problems


def host_of(bpftrace: Path | None, *arguments: str) -> Host:
    """This host, with the command that would do the same again."""
    return Host(command=command(*arguments), bpftrace=bpftrace)


def command(*arguments: str) -> str:
    """This program with these words, by absolute path: sudo knows another PATH."""
    program = Path(sys.argv[0])
    if program.name.startswith("bpftop") and program.is_file() and os.access(program, os.X_OK):
        words = [str(program.absolute())]
    else:
        words = [sys.executable, "-P", "-m", "bpftop"]
    return shlex.join([*words, *(word for word in arguments if word)])


def prepare(host: Host) -> None:
    """Mount tracefs when only that is missing. Raises HostError with everything that stands in the way."""
    said = mount_tracefs(host)
    if said:
        narrate(said)
    fatal = [problem for problem in problems(host) if problem.fatal]
    if fatal:
        message = "; ".join(problem.message for problem in fatal)
        raise HostError(message, fatal[0].hint)


def require_numpy() -> None:
    """numpy from 2.4 on refuses old processors: say so before anything needs it."""
    try:
        import numpy  # noqa: F401
    except (ImportError, RuntimeError) as error:
        hint = f"{shlex.quote(sys.executable)} -m pip install 'numpy<2.4'"
        why = reason(str(error).strip()) or type(error).__name__
        raise HostError(f"numpy does not load here: {why}", hint) from error


def reason(said: str) -> str:
    """The one line that matters of numpy's page of advice, or of a traceback that ends with it."""
    match = re.search(r"^Original error was: (.+)$", said, re.MULTILINE)
    if match:
        return match[1]
    if said.startswith("Traceback"):
        raised = re.findall(r"^\w[\w.]*(?:Error|Exception|Interrupt)\w*: (.+)$", said, re.MULTILINE)
        return str(raised[-1]) if raised else said.splitlines()[-1]
    return said.partition("\n")[0]


def narrate(sentence: str) -> None:
    """Tell the person, not the pipe."""
    print(f"bpftop: {sentence}", file=sys.stderr, flush=True)
