"""One bpftrace at a time: does every script attach and count, and do the kernel tests pass with it?"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bpftop.capabilities import rights_of
from bpftop.model import Program, Script, Snapshot, State
from bpftop.scripts import catalog, compose
from bpftop.scripts.attach import Function, function_script
from bpftop.scripts.catalog import library, shipped, templates
from bpftop.session import Session
from bpftop.target import resolve
from bpftop.tracer.supervisor import BpftraceSource
from tests.bpftraces.versions import Version, cache_folder
from tests.kernel.watching import TICK_S
from tests.load import delay_server, run_load

ROOT = Path(__file__).parents[2]
TOGETHER = "all together"
_EXACT_SCRIPTS = ("requests", "connections", "function", TOGETHER)
"""What they count is known in ``attached``."""
_SOURCES = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")
_CHANCES = 3
_REQUESTS, _CONNECTIONS = 400, 40
_EXACT = {
    "request_latency": _REQUESTS,
    "response_time": _REQUESTS,
    "read_queue_latency": _REQUESTS,
    "accept_queue_latency": _CONNECTIONS,
    "connection_duration": _CONNECTIONS,
    "function_latency": _REQUESTS,
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one script did with one bpftrace."""

    script: str
    version: str
    wrong: tuple[str, ...]
    """Sentences; empty when all is well."""
    tests: int = 0
    """Kernel tests that passed."""

    @property
    def cell(self) -> str:
        """For the table."""
        if self.wrong:
            return "**fails**"
        if self.script in _EXACT_SCRIPTS:
            return "exact"
        return f"{self.tests} tests" if self.tests else "attaches"


def attached(version: Version, names: Sequence[str]) -> tuple[str, ...]:
    """Run scripts on a small server of known work; what went wrong, in sentences."""
    with delay_server(threads=2) as server:
        target = resolve(f":{server.port}")
        program = compose([catalog()[name] if name in catalog() else _functions(server.pid) for name in names], target)
        source = BpftraceSource(program, str(version.path))
        session = Session(source, program, target)
        session.start()
        try:
            if not session.wait_live(60):
                return (_why(session.snapshot(None)),)
            held = rights_of(source.pid or 0).held  # the first start was enough: a second one is said on stderr
            kept, closed = _REQUESTS - _CONNECTIONS // 2, _CONNECTIONS // 2
            run_load(server.port, kept, connections=_CONNECTIONS - closed, sources=_SOURCES)
            run_load(server.port, closed, connections=4, close=True, sources=_SOURCES)
            session.wait_tick(TICK_S)  # one that has ended says so below
        finally:
            session.stop()
    more = held - (source._capabilities() or held)
    return (*_wrong(program, session.snapshot(None)), *(f"it holds capability {number}" for number in sorted(more)))


def _functions(pid: int) -> Script:
    """The script ``function`` on what the server sends its answers with: ``sendmsg`` of its C library."""
    maps = Path(f"/proc/{pid}/maps").read_text().split()
    library = next(word for word in maps if re.search(r"/libc[.-][^/]*so", word))
    return function_script([Function(str(Path(library).resolve()), "sendmsg", "sendmsg")])


def _why(snapshot: Snapshot) -> str:
    said = [line for line in snapshot.tracer.stderr if "ERROR" in line]
    return said[0] if said else snapshot.tracer.detail


def _wrong(program: Program, snapshot: Snapshot) -> tuple[str, ...]:
    wrong = []
    # It detaches one probe after the other, some 70 ms each; after three seconds the session ends it.
    if snapshot.tracer.state is not State.STOPPED or snapshot.tracer.exit_code not in (0, -signal.SIGKILL):
        wrong.append(f"ended {snapshot.tracer.state.value} with exit code {snapshot.tracer.exit_code}")
    wrong += [f"it wrote: {line}" for line in snapshot.tracer.stderr[:1]]
    books = snapshot.accounting
    if books.produced != books.shown + books.suppressed + books.lost + books.rejected or books.lost or books.rejected:
        wrong.append(f"the books do not close: {books}")
    for name, measure in snapshot.measures.items():
        expected = _EXACT.get(name)
        if expected is not None and measure.summary.count != expected:
            wrong.append(f"{name}: {measure.summary.count} instead of {expected}")
        clients = {row.client: row.count for row in measure.clients}
        if (
            expected is not None
            and measure.measure.key == "client"
            and clients != dict.fromkeys(_SOURCES, expected // len(_SOURCES))
        ):
            wrong.append(f"{name} by client: {clients}")
        if measure.histogram.counts.sum() != measure.summary.count:
            wrong.append(f"{name}: the histogram does not add up")
    if program.measures and not any(measure.summary.count for measure in snapshot.measures.values()):
        silent = {"upstream", "http", "disk"} >= {script.name for script in program.scripts}
        wrong += [] if silent else ["nothing was counted"]
    return tuple(wrong)


def tested(version: Version, script: str) -> tuple[int, tuple[str, ...]]:
    """The kernel tests of a script with this bpftrace: how many passed, and what the others said."""
    file = _test_file(script)
    return _file(version.path, file) if file.exists() else (0, ())


def _test_file(script: str) -> Path:
    return ROOT / "tests" / "kernel" / f"test_{script}.py"


@cache
def _file(bpftrace: Path, file: Path) -> tuple[int, tuple[str, ...]]:
    """A test that fails on a busy machine gets a second and a third chance: what a version cannot do fails thrice."""
    passed, failed = _pytest(bpftrace, [str(file)])
    for _ in range(_CHANCES - 1):
        if failed:
            again, failed = _pytest(bpftrace, [f"{file}::{name}" for name in failed])
            passed += again
    return passed, tuple(f"{name}: {said}" for name, said in failed.items())


def _pytest(bpftrace: Path, what: Sequence[str]) -> tuple[int, dict[str, str]]:
    """How many passed, and by name what the others said."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", *what],
            cwd=ROOT,
            env={**os.environ, "BPFTOP_TEST_BPFTRACE": str(bpftrace)},
            capture_output=True,
            check=False,
        )
        if not report.exists():
            return 0, {Path(what[0]).name: "pytest did not run"}
        return _read(report)


def _read(report: Path) -> tuple[int, dict[str, str]]:
    passed, failed = 0, {}
    for case in ET.parse(report).iter("testcase"):
        problem = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        if problem is None:
            passed += 1
        else:
            said = (problem.get("message") or "").splitlines()
            failed[str(case.get("name"))] = f"{problem.tag}: {said[0][:300] if said else ''}"
    return passed, failed


def rows() -> list[str]:
    """What is tried: every script alone, and all that can run without an argument together.

    A template other than ``function`` needs a program with markers: its kernel tests have one.
    """
    filled = [name for name in templates() if name in _EXACT_SCRIPTS or _test_file(name).exists()]
    return [*catalog(), *filled, TOGETHER]


def run(version: Version, script: str, *, tests: bool) -> Result:
    """One cell of the table: the kernel tests of a script, or a run of its own where it has none.

    What has passed once is not repeated until the version, a script or the test changes: a run that was broken off goes
    on where it was.
    """
    kept = cache_folder() / "passed" / _key(version, script)
    if tests and kept.exists():
        return Result(script, version.number, (), int(kept.read_text()))
    result = _run(version, script, tests)
    if tests and not result.wrong:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(str(result.tests))
    return result


def _key(version: Version, script: str) -> str:
    names = list(shipped()) if script == TOGETHER else [script]
    texts = [version.number, script, *(shipped()[name].body for name in names), *library().values()]
    file = _test_file(script)
    texts.append(file.read_text() if file.exists() else "")
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:20]


def _run(version: Version, script: str, tests: bool) -> Result:
    passed, wrong = tested(version, script) if tests and script not in _EXACT_SCRIPTS else (0, ())
    if not passed and not wrong:
        wrong = attached(version, list(catalog()) if script == TOGETHER else [script])
    return Result(script, version.number, wrong, passed)
