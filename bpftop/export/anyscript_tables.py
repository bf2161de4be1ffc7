"""A run of any program as rows for CSV and as JSON: every key, every bucket, whole numbers as bpftrace printed them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bpftop.anyscript import figures, keys
from bpftop.anyscript.model import Bucket, Histogram, LogLine, MapView, Row, RunSnapshot, Stats
from bpftop.errors import FileError
from bpftop.export.files import NameTaken, create_all
from bpftop.export.table import Cell, to_csv
from bpftop.text import safe

HEADER = ("timestamp_ns", "map", "key", "field", "low", "high", "value")
"""One row per number. ``low`` and ``high`` are the inclusive edges of a bucket; empty: open to that side."""
UNNAMED = "(unnamed)"
"""The map that is only called ``@``."""
LOG_HEADER = ("timestamp_ns", "by", "line")
_TRIES = 100


def map_rows(snapshot: RunSnapshot, seen: Mapping[str, int] | None = None) -> Iterator[Sequence[Cell]]:
    """Every number of every map, as last printed; ``seen``: prints that were written before are left out."""
    for view in snapshot.maps:
        if view.prints > (seen or {}).get(view.name, 0):
            for row in view.rows:
                # Without its @: a spreadsheet would take that for a formula.
                name, key = view.name[1:] or UNNAMED, ",".join(keys.short(part) for part in row.key)
                for field, low, high, value in _fields(row):
                    yield view.printed_unix_ns, name, key, field, low, high, value


def _fields(row: Row) -> Iterator[tuple[str, int | None, int | None, Cell]]:
    if isinstance(row.value, Histogram):
        yield "count", None, None, row.value.count
        for name, share in figures.SHARES:
            if found := row.value.quantile(share):
                yield name, found.low, found.high, None
        for bucket in row.value.buckets:
            yield "bucket", bucket.low, bucket.high, bucket.count
    elif isinstance(row.value, Stats):
        yield "count", None, None, row.value.count
        yield "average", None, None, row.value.average
        yield "total", None, None, row.value.total
    else:
        yield "value", None, None, row.value
    if row.rate is not None:
        yield "change_per_s", None, None, float(row.rate)


def log_rows(lines: Sequence[LogLine]) -> Iterator[Sequence[Cell]]:
    """The log with the moment at which each line arrived here."""
    for line in lines:
        yield line.unix_ns, "program" if line.own else "bpftrace", line.text.expandtabs()


def said_rows(lines: Sequence[LogLine]) -> Iterator[Sequence[Cell]]:
    """The log in the columns of the maps, for one stream of both."""
    for line in lines:
        yield line.unix_ns, "", "", "line" if line.own else "complaint", None, None, line.text.expandtabs()


def account_rows(snapshot: RunSnapshot) -> Iterator[Sequence[Cell]]:
    """What is missing and how it ended, in the columns of the maps."""
    account = {
        "log_lines": snapshot.log_lines,
        "log_dropped": snapshot.log_dropped,
        "lost_events": snapshot.lost,
        "rejected_lines": snapshot.rejected,
        "exit_code": snapshot.exit_code,
    }
    for name, value in account.items():
        if value is not None:
            yield snapshot.unix_ns, "", "", name, None, None, value


def to_json(snapshot: RunSnapshot, lines: Sequence[LogLine], seen: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The run as one object. ``lines``: of the log; ``seen``: prints of maps that are left out."""
    return {
        "script": safe(snapshot.script.path),
        "title": safe(snapshot.script.title),
        "arguments": [safe(word) for word in snapshot.script.argv],
        "bpftrace_version": snapshot.version,
        "unix_ns": snapshot.unix_ns,
        "started_unix_ns": snapshot.started_unix_ns,
        "span_s": round(snapshot.span_s, 3),
        "state": snapshot.state.value,
        "detail": safe(snapshot.detail),
        "exit_code": snapshot.exit_code,
        "probes": snapshot.probes,
        "attached": not snapshot.unattached,
        "lost_events": snapshot.lost,
        "rejected_lines": snapshot.rejected,
        "log_lines": snapshot.log_lines,
        "log_dropped": snapshot.log_dropped,
        "maps": {
            view.name: _map(view)
            for view in snapshot.maps
            if view.prints and view.prints > (seen or {}).get(view.name, 0)
        },
        "log": [{"unix_ns": line.unix_ns, "program": line.own, "line": safe(line.text.expandtabs())} for line in lines],
    }


def _map(view: MapView) -> dict[str, Any]:
    return {
        "title": safe(view.title),
        "unit": figures.unit_of(view.facts),
        "function": view.facts.function,
        "key_names": list(view.facts.keys),
        "printed_unix_ns": view.printed_unix_ns,
        "prints": view.prints,
        "full": view.full,
        "rows": [{"key": [safe(keys.short(part)) for part in row.key], **_json(row)} for row in view.rows],
    }


def _json(row: Row) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if isinstance(row.value, Histogram):
        out["count"] = row.value.count
        for name, share in figures.SHARES:
            out[name] = _edges(row.value.quantile(share))
        out["buckets"] = [{**_edges(each), "count": each.count} for each in row.value.buckets]
    elif isinstance(row.value, Stats):
        out |= {"count": row.value.count, "average": row.value.average, "total": row.value.total}
    else:
        out["value"] = safe(row.value) if isinstance(row.value, str) else row.value
    out["change_per_s"] = None if row.rate is None else round(row.rate, 3)
    return out


def _edges(bucket: Bucket | None) -> dict[str, int | None]:
    return {"low": bucket.low if bucket else None, "high": bucket.high if bucket else None}


def write_run(snapshot: RunSnapshot, directory: Path) -> tuple[Path, ...]:
    """Write the maps and the log on the screen as two CSV files: both or none. Raises FileError.

    Never overwrites: when the names are taken it takes others.
    """
    tables = {
        "maps": to_csv([HEADER, *map_rows(snapshot), *account_rows(snapshot)]),
        "log": to_csv([LOG_HEADER, *log_rows(snapshot.log)]),
    }
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(snapshot.script.path).stem)[:40].strip("._-") or "program"
    stem = f"bpftop-{name}-{datetime.fromtimestamp(snapshot.unix_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}"
    for number in range(1, _TRIES + 1):
        last = f"-{number}" if number > 1 else ""
        try:
            return create_all(directory, {f"{stem}{last}-{table}.csv": text for table, text in tables.items()})
        except NameTaken:
            continue
    raise FileError(f"{directory} holds {_TRIES} snapshots of this very second; nothing was written")
