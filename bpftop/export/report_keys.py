"""The tables of a plain report that are not about clients: by system call, worker, upstream … and the counters."""

from __future__ import annotations

from collections.abc import Iterator

from bpftop import units
from bpftop.model import ClientRow, MeasureSnapshot, Snapshot
from bpftop.text import both_ends, safe

ROWS = 12
FEW = 3
_NAME = 21


def keyed(measure: MeasureSnapshot) -> Iterator[str]:
    """The keys of one measure by the time they took together."""
    kind, rows = measure.measure.key, sorted(measure.clients, key=_total, reverse=True)
    if kind in ("client", "none") or not rows:
        return
    yield f"{safe(measure.measure.title, 40)} by {kind}"
    yield f"  {kind:{_NAME}} {'n':>6} {'rate':>8} {'p50':>8}{'p99':>8}{'max':>8} {'total':>7} of wall"
    for row in rows[:ROWS]:
        times = "".join(f"{units.duration(value):>8}" for value in (row.p50_ns, row.p99_ns, row.max_ns))
        total = f"{units.duration(row.total_ns):>7} {units.percent(row.share_of_wall or 0.0):>7}"
        name = _name(row, kind)
        yield f"  {name:{_NAME}} {units.count(row.count):>6} {units.rate(row.rate_per_s):>8} {times} {total}".rstrip()
    if len(rows) > ROWS:
        yield f"  and {len(rows) - ROWS} more: --format json shows them"


def counters(snapshot: Snapshot) -> Iterator[str]:
    """Every counter with its most frequent keys."""
    for counter in snapshot.counters.values():
        title = safe(counter.measure.title, 30)
        yield f"{title:30} {units.count(counter.count):>6} {units.rate(counter.rate_per_s):>9}"
        for row in counter.rows[:FEW]:
            yield f"  {_name(row, counter.measure.key):{_NAME}} {units.count(row.count):>6}"
        if len(counter.rows) > FEW:
            yield f"  and {len(counter.rows) - FEW} more: --format json shows them"


def _name(row: ClientRow, kind: str) -> str:
    return both_ends(row.client, _NAME) if kind in ("peer", "client", "route") else safe(row.client, _NAME)


def _total(row: ClientRow) -> int:
    return row.total_ns or 0
