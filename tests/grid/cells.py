"""One cell of the grid: real nginx under a known load, every event sent, a reader that may be slow: the books."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from bpftop import preflight
from bpftop.model import Accounting, Snapshot, losses, too_much
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.target import resolve
from bpftop.tracer.supervisor import BpftraceSource
from tests.bpftraces.versions import Version
from tests.load import run_load

READERS = ("full", "slow", "stalled")
SLOW_BYTES_PER_S = 200_000
STALL_S = 2.0
SCRIPTS = {1: ("requests",), 3: ("requests", "connections", "upstream")}
CONNECTIONS = 20
LOAD_S = 2.0
LEAST = 2000
MAX_REQUESTS = 40_000
"""Of a cell whose rate is as much as goes."""
SETTLE_S = {"full": 10.0, "slow": 60.0, "stalled": 10.0}


@dataclass(frozen=True, slots=True)
class Cell:
    """What is tried."""

    rate_per_s: int
    """0: as much as goes."""
    reader: str
    hogs: int
    """Processes that do nothing but take CPU."""
    scripts: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    cell: Cell
    version: str
    truth: int
    """Requests, and connections where these are events, that the generator made."""
    books: Accounting
    missing_s: float | None
    """Seconds from the end of the load until nothing was missing; None: only with the end of bpftrace."""
    wrong: tuple[str, ...]


class Relay:
    """A bpftrace whose output comes late: a run (bpftop.tracer.source.Source) with a slow hand between."""

    label = "bpftrace"

    def __init__(self, source: BpftraceSource, reader: str) -> None:
        self._source, self._reader = source, reader
        self.stdout = self.stderr = -1
        self.pid: int | None = None
        self.stall = threading.Event()

    def start(self) -> None:
        """Begin, and hand its output on."""
        self._source.start()
        self.pid, self.stderr = self._source.pid, self._source.stderr
        self.stdout, out = os.pipe()
        threading.Thread(target=self._hand_on, args=(os.dup(self._source.stdout), out), daemon=True).start()

    def _hand_on(self, source: int, out: int) -> None:
        with suppress(OSError):
            while chunk := os.read(source, 4096):
                if self.stall.is_set():
                    self.stall.clear()
                    time.sleep(STALL_S)
                os.write(out, chunk)
                if self._reader == "slow":
                    time.sleep(len(chunk) / SLOW_BYTES_PER_S)
        os.close(source)
        os.close(out)

    def stop(self) -> None:
        """SIGINT."""
        self._source.stop()

    def terminate(self) -> None:
        """SIGTERM."""
        self._source.terminate()

    def kill(self) -> None:
        """SIGKILL."""
        self._source.kill()

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code."""
        code = self._source.wait(timeout_s)
        if code is not None and self.stdout >= 0:
            os.close(self.stdout)
            self.stdout = -1
        return code


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """So many processes that take CPU."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def tried(cell: Cell, version: Version | None, port: int) -> Outcome:
    """Run a cell on the nginx that listens on ``port``."""
    target = resolve(f":{port}")
    program = compose([preflight.suited(catalog()[name]) for name in SCRIPTS[cell.scripts]], target, every_event=True)
    path = version.path if version is not None else preflight.bpftrace_path()
    source = Relay(BpftraceSource(program, str(path)), cell.reader)
    session = Session(source, program, target)
    session.start()
    try:
        if not session.wait_live(60):
            return Outcome(
                cell, _number(version), 0, Accounting(), None, (f"not live: {session.snapshot(None).tracer}",)
            )
        with hogs(cell.hogs):
            if cell.reader == "stalled":
                source.stall.set()
            requests = max(int(cell.rate_per_s * LOAD_S), LEAST) if cell.rate_per_s else MAX_REQUESTS
            load = run_load(
                port, requests, connections=CONNECTIONS, rate_per_s=float(cell.rate_per_s), paths=["/fixed"]
            )
        truth = requests + (load.connections if cell.scripts > 1 else 0)
        missing_s = _settled(session, truth, requests, SETTLE_S[cell.reader])
    finally:
        session.stop()
    return Outcome(
        cell, _number(version), truth, session.snapshot(None).accounting, missing_s,
        _wrong(session.snapshot(None), truth, requests, load.complete),
    )  # fmt: skip


def _number(version: Version | None) -> str:
    return version.number if version is not None else preflight.bpftrace_version(preflight.bpftrace_path())


def _settled(session: Session, truth: int, requests: int, most_s: float) -> float | None:
    """How long it takes until everything is shown, suppressed, lost or rejected, and all requests are counted."""
    began = time.monotonic()
    while time.monotonic() - began < most_s:
        found = session.snapshot(None)
        if whole(found.accounting) == truth and found.measures["request_latency"].summary.count == requests:
            return time.monotonic() - began
        time.sleep(0.02)
    return None


def whole(books: Accounting) -> int:
    """What the parts of the books add up to."""
    return books.shown + books.suppressed + books.lost + books.rejected


def _wrong(snapshot: Snapshot, truth: int, requests: int, complete: bool) -> tuple[str, ...]:
    books, wrong = snapshot.accounting, []
    counted = snapshot.measures["request_latency"].summary.count
    if not complete:
        wrong.append("the generator did not get every answer")
    if counted != requests:
        wrong.append(f"{counted:,} requests counted instead of {requests:,}")
    if books.produced != truth:
        wrong.append(f"{books.produced:,} produced instead of {truth:,}")
    if whole(books) != books.produced:
        wrong.append(f"the parts are {whole(books):,}, produced {books.produced:,}")
    inconclusive = bool(losses(snapshot).problems)
    if too_much(books.lost + books.rejected, books.produced) and not inconclusive:
        wrong.append("too much was lost, and the verdict does not say so")
    return tuple(wrong)


def all_cells(rates: Sequence[int], cpus: int) -> list[Cell]:
    """Every combination."""
    return [
        Cell(rate, reader, count, scripts)
        for scripts in SCRIPTS
        for rate in rates
        for reader in READERS
        for count in (0, 2 * cpus)
    ]
