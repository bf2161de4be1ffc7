"""Run one server: start it, watch it, let each phase's client work, compare."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bpftop.model import Snapshot
from bpftop.scripts import catalog
from bpftop.session import Session
from tests.kernel.watching import TICK_S, watching
from tests.servers.case import CONNECTIONS, REQUESTS, UPSTREAM, Case, Expect, Phase, Server, Tally

Counts = Mapping[str, Mapping[str, int]]
"""Observations by measure and client; the client ``""`` is all of them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One measure in one phase: what was expected of each client, what bpftop counted, and what is wrong."""

    expect: Expect
    counted: int
    wrong: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One phase of one server."""

    case: Case
    phase: Phase
    version: str
    total: Tally
    clients: int
    cells: Mapping[str, Cell]
    books: str
    """Empty when produced = shown + suppressed + lost + rejected and nothing was lost."""

    @property
    def wrong(self) -> list[str]:
        """Everything that is not as expected, in sentences."""
        found = [words for cell in self.cells.values() for words in cell.wrong]
        found += [self.books] if self.books else []
        return [f"{self.case.title}, {self.phase.title}: {words}" for words in found]


def run(case: Case) -> list[Row]:
    """Every phase of a server. Raises Missing when something is not installed."""
    scripts = [name for name, script in catalog().items() if name in ("requests", "connections")]
    if UPSTREAM in _wanted(case) and "upstream" in catalog():
        scripts.append("upstream")
    with tempfile.TemporaryDirectory(prefix="bpftop-server-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # workers that are not root read their files here
        with case.start(folder) as server, watching(server.watch or f":{server.port}", tuple(scripts)) as session:
            before: Counts = {}
            rows = []
            for phase in case.phases:
                row, before = _phase(case, phase, server, session, before)
                rows.append(row)
    return rows


def _wanted(case: Case) -> set[str]:
    return {measure for phase in case.phases for measure in (*REQUESTS, *CONNECTIONS, *phase.expect)}


def _phase(case: Case, phase: Phase, server: Server, session: Session, before: Counts) -> tuple[Row, Counts]:
    did = phase.drive(server)
    session.wait_tick(TICK_S)
    snapshot = session.snapshot(None)
    after = _counts(snapshot)
    cells = {}
    for measure in (*REQUESTS, *CONNECTIONS, UPSTREAM):
        expect = phase.expected(measure)
        if expect is not None and measure in after:
            cells[measure] = cell_of(measure, expect, did, _difference(after[measure], before.get(measure, {})))
    total = sum(did.values(), Tally())
    return Row(case, phase, server.version, total, len(did), cells, _books(snapshot)), after


def _counts(snapshot: Snapshot) -> Counts:
    return {
        name: {"": one.summary.count} | {row.client: row.count for row in one.clients}
        for name, one in snapshot.measures.items()
    }


def _difference(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {client: count - before.get(client, 0) for client, count in after.items() if count > before.get(client, 0)}


def cell_of(measure: str, expect: Expect, did: Mapping[str, Tally], counted: Mapping[str, int]) -> Cell:
    """Checks every client on its own, then the sum; the upstream's keys are no clients, so only the sum."""
    total = sum(did.values(), Tally())
    asked = {"": total} | (dict(did) if measure != UPSTREAM else {})
    wrong = []
    for client, tally in asked.items():
        low, high, found = expect.low(tally), expect.high(tally), counted.get(client, 0)
        if not low <= found <= high:
            who = f" of {client}" if client else ""
            span = str(low) if low == high else f"{low} to {high}"
            wrong.append(f"{measure}{who} {found} instead of {span} ({tally})")
    strangers = set(counted) - set(asked) - {"others"}
    if measure != UPSTREAM and strangers:
        wrong.append(f"{measure} has clients that did nothing: {sorted(strangers)}")
    return Cell(expect, counted.get("", 0), tuple(wrong))


def _books(snapshot: Snapshot) -> str:
    books = snapshot.accounting
    even = books.produced == books.shown + books.suppressed + books.lost + books.rejected
    clean = (books.lost, books.rejected, books.untracked) == (0, 0, 0)
    return "" if even and clean else f"the books do not close: {books}"
