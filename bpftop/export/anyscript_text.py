"""A run of any program as plain text: its maps as histograms and tables, then how the run went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from bpftop import units
from bpftop.anyscript import figures, keys
from bpftop.anyscript.model import Bucket, Histogram, MapView, Row, RunSnapshot, Stats
from bpftop.export.bars import bar
from bpftop.text import safe

MOST_ROWS = 40
"""Of a table; CSV and JSON have all."""
MOST_HISTOGRAMS = 10
_WIDTH = 80
_KEY_CELLS = 48


def run_text(snapshot: RunSnapshot, *, ascii_only: bool = False, seen: dict[str, int] | None = None) -> str:
    """The maps and the account of a run.

    ``seen``: how many prints of each map have been written before; only newer ones are.
    """
    lines = []
    for view in snapshot.maps:
        if view.prints > (seen or {}).get(view.name, 0):
            lines += [*map_lines(view, ascii_only), ""]
    return "\n".join([*lines, account(snapshot)]) + "\n"


def account(snapshot: RunSnapshot) -> str:
    """How long, how many probes, what came and what is missing: one line."""
    parts = [units.span(snapshot.span_s) if snapshot.span_s >= 10 else f"{snapshot.span_s:.1f} s"]
    if snapshot.probes:
        parts.append(f"{snapshot.probes} probes")
    if snapshot.overhead.hits_per_s is not None:
        parts.append(f"{units.count(snapshot.overhead.hits_per_s)} hits/s")
    parts.append(f"{snapshot.log_lines:,} line{'s' * (snapshot.log_lines != 1)} said")
    parts.append(f"{snapshot.lost:,} events lost")
    if snapshot.rejected:
        parts.append(f"{snapshot.rejected:,} lines unreadable")
    return f"{safe(snapshot.script.title)}: {', '.join(parts)}"


def map_lines(view: MapView, ascii_only: bool = False) -> list[str]:
    """One map."""
    title = safe(view.title) + (f" ({view.name})" if view.facts.title else "")
    title += "  memory of the program" if view.facts.scratch else ""
    at = datetime.fromtimestamp((view.printed_unix_ns or 0) / 1e9).strftime("%H:%M:%S")
    if not view.rows:
        return [f"{title}  empty at {at}"]
    if not view.is_table:
        return [f"{title}  {_scalar(view, view.rows[0])}"]
    if not view.keyed and isinstance(view.rows[0].value, Histogram):
        return [f"{title}  {_summary(view.rows[0].value, view)}", *_bars(view.rows[0].value, view, ascii_only)]
    keys_word = f"{len(view.rows):,} keys" if len(view.rows) != 1 else "1 key"
    full = "  FULL: keys that came later are not in it" if view.full else ""
    return [f"{title}  {keys_word}{full}", *_table(view), *_histograms(view, ascii_only)]


def _scalar(view: MapView, row: Row) -> str:
    shown = _value(row, view)
    change = figures.change(row, view.facts)
    return f"{shown}  ({change})" if change else shown


def _value(row: Row, view: MapView) -> str:
    if isinstance(row.value, Stats):
        unit = figures.unit_of(view.facts)
        average, total = (figures.figure(number, unit) for number in (row.value.average, row.value.total))
        return f"count {row.value.count:,}  average {average}  total {total}"
    return safe(figures.value_text(row.value, view.facts))


def _summary(histogram: Histogram, view: MapView) -> str:
    found = figures.quantiles(histogram, figures.unit_of(view.facts))
    return "  ".join([f"count {histogram.count:,}", *(f"{name} {value}" for name, value in found)])


def _bars(histogram: Histogram, view: MapView, ascii_only: bool) -> Iterator[str]:
    unit = figures.unit_of(view.facts)
    rows = figures.rows_of(histogram)
    labels = [figures.bounds(each, unit) if each else "" for each in rows]
    size = max((len(each) for each in labels), default=0)
    most = max((each.count for each in rows if each), default=1) or 1
    room = _WIDTH - size - 22
    for label, each in zip(labels, rows, strict=True):
        if each is None:
            yield f"  {'...':>{size}}"
        else:
            yield f"  {label:>{size}}  {_bar(each, most, room, ascii_only)}  {each.count:>8,}".rstrip()


def _bar(bucket: Bucket, most: int, room: int, ascii_only: bool) -> str:
    return bar(bucket.count / most * room, ascii_only).ljust(room)


def _table(view: MapView) -> Iterator[str]:
    heads = headings(view)
    rows = [_cells(view, row) for row in view.rows[:MOST_ROWS]]
    sizes = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    parts = len(heads) - len(value_headings(view))
    for cells in (heads, *rows):
        yield (
            "  "
            + "  ".join(
                cell.ljust(size) if index < parts else cell.rjust(size)
                for index, (cell, size) in enumerate(zip(cells, sizes, strict=True))
            ).rstrip()
        )
    if len(view.rows) > MOST_ROWS:
        yield f"  and {len(view.rows) - MOST_ROWS:,} more keys (--format csv and json have all)"


def headings(view: MapView) -> list[str]:
    """The columns of a keyed map: the parts of the key, then the value."""
    parts = len(view.rows[0].key) if view.rows else max(len(view.facts.keys), 1)
    names = list(view.facts.keys) or [""] * parts
    return [*(keys.heading(each, i) for i, each in enumerate(names[:parts], 1)), *value_headings(view)]


def value_headings(view: MapView) -> list[str]:
    """The columns of the value."""
    value = view.rows[0].value if view.rows else 0
    if isinstance(value, Histogram):
        return ["count", "p50", "p90", "p99", "change"]
    if isinstance(value, Stats):
        return ["count", "average", "total", "change"]
    return [view.facts.function.strip("+=") or "value", "change"]


def _cells(view: MapView, row: Row) -> list[str]:
    unit = figures.unit_of(view.facts)
    change = figures.change(row, view.facts)
    key = [safe(keys.short(part), _KEY_CELLS) for part in row.key]
    if isinstance(row.value, Histogram):
        found = [value for _, value in figures.quantiles(row.value, unit)]
        return [*key, f"{row.value.count:,}", *found, change]
    if isinstance(row.value, Stats):
        average, total = (figures.figure(number, unit) for number in (row.value.average, row.value.total))
        return [*key, f"{row.value.count:,}", average, total, change]
    return [*key, safe(figures.value_text(row.value, view.facts), _KEY_CELLS), change]


def _histograms(view: MapView, ascii_only: bool) -> Iterator[str]:
    """The histograms of a keyed map, and the stacks of its keys in full."""
    for row in view.rows[:MOST_HISTOGRAMS]:
        stacked = any(keys.frames(part) for part in row.key)
        if not isinstance(row.value, Histogram) and not stacked:
            continue
        yield ""
        yield from _key_lines(view.name, row.key)
        if isinstance(row.value, Histogram):
            yield from _bars(row.value, view, ascii_only)
        else:
            yield f"  {safe(figures.value_text(row.value, view.facts))}"
    left = len(view.rows) - MOST_HISTOGRAMS
    if left > 0 and isinstance(view.rows[0].value, Histogram):
        yield f"  and {left:,} more histograms (--format csv and json have all)"


def _key_lines(name: str, key: Sequence[str]) -> Iterator[str]:
    plain = ", ".join(safe(part) for part in key if not keys.frames(part))
    yield f"  {name}[{plain}]" if plain else f"  {name}"
    for part in key:
        for frame in keys.frames(part):
            yield f"    {safe(frame)}"
