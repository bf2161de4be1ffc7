"""The table of ``docs/servers.md``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.servers.case import CONNECTIONS, REQUESTS, UPSTREAM
from tests.servers.measure import Row

PAGE = Path(__file__).parents[2] / "docs" / "servers.md"
_COLUMNS = {
    "request_latency": "request latency",
    "response_time": "response time",
    "read_queue_latency": "read queue",
    "accept_queue_latency": "accept queue",
    "connection_duration": "connection duration",
    UPSTREAM: "upstream",
}
_TEMPLATE = Path(__file__).with_name("page.md")


def page(rows: Sequence[Row], bpftrace: str) -> str:
    """The whole page."""
    notes: list[str] = []
    lines = [
        f"| server | workload | requests | connections | {' | '.join(_COLUMNS.values())} |",
        "|---|---|--:|--:|" + "---|" * len(_COLUMNS),
    ]
    lines += [_line(row, notes) for row in rows]
    return _TEMPLATE.read_text().format(
        clients=max(row.clients for row in rows),
        bpftrace=bpftrace,
        kernel=".".join(os.uname().release.split(".")[:2]),
        table="\n".join(lines),
        notes="\n".join(f"{i}. {note}." for i, note in enumerate(notes, 1)),
    )


def _line(row: Row, notes: list[str]) -> str:
    cells = [_cell(row, name, notes) for name in (*REQUESTS, *CONNECTIONS, UPSTREAM)]
    work = f"{row.total.requests} | {row.total.connections}"
    return f"| {row.case.title} ({row.version}) | {row.phase.title} | {work} | {' | '.join(cells)} |"


def _cell(row: Row, name: str, notes: list[str]) -> str:
    cell = row.cells.get(name)
    if cell is None:
        return "–"
    if cell.wrong:
        return f"**wrong**: {cell.counted}"
    if not cell.expect.why:
        return cell.expect.text
    if cell.expect.why not in notes:
        notes.append(cell.expect.why)
    return f"{cell.expect.text}: {cell.counted} ({notes.index(cell.expect.why) + 1})"
