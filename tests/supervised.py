"""A supervisor and its other process in one program, for tests: ``python -m tests.supervised BPFTRACE BODY [WORDS]``.

BODY is Python that runs in the other process, as nobody, with ``link`` and ``raw`` (the socket); what it prints is
JSON for the test. The supervisor can start the program "main" and the script "known" with the bpftrace at BPFTRACE.
WORDS: ``drawn``, it draws on the terminal; ``lean``, it needs no more modules than there are already.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from bpftop.errors import UsageError
from bpftop.model import Program
from bpftop.people import named
from bpftop.supervision.drop import import_everything, leave_root, may_read
from bpftop.supervision.link import Link
from bpftop.supervision.supervisor import HANDLED, Supervisor
from bpftop.terminal_modes import TerminalModes
from bpftop.tracer.supervisor import BpftraceSource

ROOT = Path(__file__).parents[1]


class Works:
    """Two things that can be started, and a target that is looked up."""

    def __init__(self, path: str) -> None:
        self._path = path

    def open(self) -> tuple[object, BpftraceSource | None]:
        return "main", self._source("// main")

    def start(self, name: str) -> tuple[object, BpftraceSource | None]:
        if name != "known":
            raise UsageError(f"there is no script {name}", "bpftop scripts")
        return "known", self._source("// known")

    def again(self, key: str) -> BpftraceSource:
        return self._source(f"// {key or 'main'} again")

    def look(self) -> object:
        return "target", "nobody"

    def _source(self, text: str) -> BpftraceSource:
        return BpftraceSource(Program(text, (), (), ()), self._path)


def main() -> int:
    """The exit code of the supervisor."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    modes = TerminalModes()  # before somebody draws on it
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    own, other = os.getpid(), os.fork()
    if other == 0:
        ours.close()
        person = named("nobody")
        if not may_read(person) and "lean" not in sys.argv[3:]:
            import_everything()
        leave_root(person, own)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        exec(sys.argv[2], {"link": Link(theirs), "raw": theirs, "say": _say, "supervisor": own})
        os._exit(0)
    theirs.close()
    works = Works(sys.argv[1])
    drawn = "drawn" in sys.argv[3:]
    return Supervisor(works, ours, other, modes=modes, drawn=drawn, say=lambda s: _say(said=s)).run()


def _say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


def run(path: str | Path, body: str, timeout_s: float = 60) -> tuple[int, list[dict[str, Any]], str]:
    """Run it; exit code, what was printed, stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.supervised", str(path), body],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


if __name__ == "__main__":
    sys.exit(main())
