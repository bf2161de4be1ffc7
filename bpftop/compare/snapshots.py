"""The CSV files that ``e`` on the screen saves, by any one of them: the buckets, and what was lost."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

from bpftop.compare.buckets import Accounting, histogram
from bpftop.compare.model import Run
from bpftop.errors import FileError
from bpftop.model import Histogram
from bpftop.text import safe

_TABLES = re.compile(r"(.+)-(histogram|percentiles|clients|slow_requests|accounting|keys)\.csv")
_BUCKETS = ["measure", "low_ns", "high_ns", "count"]


def snapshot_stem(path: Path) -> Path | None:
    """What the names of a snapshot's files have in common; None when this is none of them.

    The slow requests of a snapshot are samples, but of the slow ones only: they are never taken for all. Any other
    file of such a name with no histogram beside it is what its first line says.
    """
    match = _TABLES.fullmatch(path.name)
    if not match:
        return None
    stem = path.with_name(match[1])
    return stem if match[2] == "slow_requests" or os.path.exists(f"{stem}-histogram.csv") else None


def read_snapshot(stem: Path) -> Run:
    """The snapshot whose files begin with ``stem``. Raises FileError."""
    shown = safe(f"{stem}-histogram.csv")
    measures = _histograms(stem, shown)
    notes = [] if _checked(stem, measures) else ["no percentiles beside it: whether it is whole is not known"]
    quantities = _table(stem, "accounting", ["quantity", "value"])
    if quantities is None:
        notes.append("no accounting beside it: what was lost is not known")
        return Run(shown, "snapshot", measures, tuple(notes))
    told = dict(row for row in quantities if len(row) == 2)
    account = Accounting.of(told, sum(int(h.counts.sum()) for h in measures.values()), shown)
    facts = {name: safe(told[name]) for name in ("target", "source") if told.get(name)}
    return Run(shown, "snapshot", measures, (*notes, *account.notes), account.problems, facts)


def _histograms(stem: Path, shown: str) -> dict[str, Histogram]:
    rows = _table(stem, "histogram", _BUCKETS)
    if rows is None:
        raise FileError(f"{shown} is missing: without it there are no counts to compare")
    buckets: dict[str, list[tuple[int, int, int]]] = {}
    for number, row in enumerate(rows, 2):
        try:
            name, low, high, count = row
            buckets.setdefault(safe(name), []).append((int(low), int(high), int(count)))
        except ValueError:
            raise FileError(f"{shown}: line {number} is no bucket; is the file whole?") from None
    return {name: histogram(found, f"{shown}: {name}") for name, found in buckets.items()}


def _checked(stem: Path, measures: dict[str, Histogram]) -> bool:
    """True when the counts are those of the percentiles. Raises FileError when they differ: a file is cut."""
    rows = _table(stem, "percentiles", ["measure", "count"])
    for row in rows or ():
        name, count = safe(row[0]) if row else "", row[1] if len(row) > 1 else ""
        found = int(measures[name].counts.sum()) if name in measures else 0
        if not count.isascii() or not count.isdigit() or int(count[:19]) != found:
            where = safe(f"{stem}-percentiles.csv")
            raise FileError(
                f"{where} has {safe(count, 20) or 'nothing'} of {safe(name, 40)}, the histogram {found}: not whole"
            )
    return rows is not None


def _table(stem: Path, name: str, header: list[str]) -> list[list[str]] | None:
    """The rows of one of the files below its header, or None when it is not there. Raises FileError."""
    path = stem.with_name(f"{stem.name}-{name}.csv")
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
        rows = list(csv.reader(text.splitlines()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, csv.Error) as error:
        raise FileError(f"{safe(str(path))} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not rows or rows[0][: len(header)] != header:
        raise FileError(f"{safe(str(path))} is no table of a snapshot: it has to begin with {','.join(header)}")
    if not text.endswith(("\n", "\r")):
        raise FileError(f"{safe(str(path))} is cut off: its last line has no end")
    return rows[1:]
