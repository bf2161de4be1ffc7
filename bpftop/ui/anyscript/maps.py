"""Maps as lines: values, tables by key, one key in full."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bpftop import units
from bpftop.anyscript import figures, keys
from bpftop.anyscript.model import Histogram, MapView, Row, Stats, Value
from bpftop.ui.anyscript.histograms import ROLES, bars, low_edge, percentiles
from bpftop.ui.anyscript.look import Look, Place
from bpftop.ui.paint import EMPTY, Line, Span, line, pad, wrapped
from bpftop.ui.safe import cut, safe
from bpftop.ui.table import Column, bar, table
from bpftop.ui.words import ENOUGH_P99

_KEY_CELLS = 60
SortKey = Callable[[Row], "tuple[int, float, str]"]


def heading(view: MapView) -> Line:
    """The map's title, its own name beside it, and when it was printed."""
    spans = [Span(safe(view.title, 50), "strong")]
    if view.facts.title:
        spans.append(Span(f" {safe(view.name, 30)}", "dim"))
    if view.full:
        spans.append(Span("  full: keys that came later are not in it", "bad"))
    return Line(tuple(spans))


def waiting(view: MapView) -> str:
    """Why there is nothing yet."""
    if view.prints:
        return "empty"
    if view.facts.printed:
        return "not printed yet: the program prints it while it runs"
    return "comes when the program ends: press q"


# --- values ---


def scalar(view: MapView, width: int) -> Line:
    """A map without keys in one line: title, value, change, trend."""
    title = Span(pad(safe(view.title, 24), 24, left=True), "strong")
    if not view.rows:
        return line(title, Span(f"  {waiting(view)}", "dim"))
    row = view.rows[0]
    spans = [title, Span("  "), *_value(row.value, view)]
    change = figures.change(row, view.facts)
    spans.append(Span(f"  {change}" if change else "", "dim"))
    room = width - line(*spans).cells - 2
    trend = figures.spark(row.history, min(room, 60))
    return line(*spans, Span(f"  {trend}" if trend and room >= 6 else "", "bar"))


def _value(value: Value, view: MapView) -> list[Span]:
    unit = figures.unit_of(view.facts)
    if isinstance(value, Stats):
        return [
            Span("average ", "dim"),
            Span(figures.figure(value.average, unit), "accent"),
            Span(f"  count {value.count:,}  total {figures.figure(value.total, unit)}", "dim"),
        ]
    return [Span(safe(figures.value_text(value, view.facts), 60), "accent")]


# --- tables ---


def columns(view: MapView, rows: Sequence[Row]) -> list[Column[Row]]:
    """The parts of the key, then the value, its change and its trend, as there is room."""
    out = [_key_column(view, rows, part) for part in range(len(rows[0].key) if rows else 1)]
    if rows and isinstance(rows[0].value, Histogram):
        out += _histogram_columns(view, rows)
    elif rows and isinstance(rows[0].value, Stats):
        out += _stats_columns(view)
    else:
        name = view.facts.function.strip("+=").capitalize() or "Value"
        size = max([len(name) + 1, 8, *(len(figures.value_text(row.value, view.facts)) for row in rows[:300])])
        words = bool(rows) and isinstance(rows[0].value, str)
        text = lambda row: safe(figures.value_text(row.value, view.facts), 60)  # noqa: E731
        out.append(Column(name, min(size, 40), text, left=words))
    if any(row.rate is not None for row in rows[:300]):
        out.append(Column("Change", 9, lambda row: Span(figures.change(row, view.facts), "dim"), rank=3))
    if any(len(row.history) > 1 for row in rows[:300]):
        trend = lambda row, size: (Span(pad(figures.spark(row.history, size), size), "bar"),)  # noqa: E731
        out.append(Column("Trend", 12, lambda row: "", left=True, rank=4, grow=48, draw=trend))
    elif rows and (most := max(_size(row.value) for row in rows)) > 0:
        drawing = lambda row, size: (Span(bar(_size(row.value) / most, size), "bar"),)  # noqa: E731
        out.append(Column("", 8, lambda row: "", left=True, rank=4, grow=52, draw=drawing))
    return out


def _size(value: Value) -> float:
    """How long the bar of a row is, before it is compared with the others."""
    if isinstance(value, (Histogram, Stats)):
        return float(value.count)
    return float(max(value, 0)) if isinstance(value, int) else 0.0


def _key_column(view: MapView, rows: Sequence[Row], part: int) -> Column[Row]:
    expressions = view.facts.keys
    title = keys.heading(expressions[part] if part < len(expressions) else "", part + 1)
    longest = max((len(keys.short(row.key[part])) for row in rows[:300] if part < len(row.key)), default=4)
    size = max(min(longest, 16), len(title) + 1, 4)

    def cell(row: Row) -> Span:
        return Span(safe(keys.short(row.key[part]), 200) if part < len(row.key) else "", "")

    return Column(title, size, cell, left=True, grow=max(min(longest, _KEY_CELLS) - size, 0))


def _histogram_columns(view: MapView, rows: Sequence[Row]) -> list[Column[Row]]:
    unit = figures.unit_of(view.facts)
    count: Column[Row] = Column("Count", 8, lambda row: figures.value_text(row.value, view.facts))
    ranks = {"p90": 2, "p99": 1}
    return [count, *(_bounds_column(name, part, unit, ranks.get(name, 0), rows) for name, part in figures.SHARES)]


def _bounds_column(name: str, part: float, unit: str, rank: int, rows: Sequence[Row]) -> Column[Row]:
    def cell(row: Row) -> Span:
        if not isinstance(row.value, Histogram):
            return Span("–", "dim")
        doubtful = name == "p99" and row.value.count < ENOUGH_P99
        return Span(figures.bounds(row.value.quantile(part), unit), "dim" if doubtful else ROLES.get(name, ""))

    size = max((len(cell(row).text) for row in rows[:100]), default=8)
    return Column(name, max(size, 8), cell, rank=rank)


def _stats_columns(view: MapView) -> list[Column[Row]]:
    unit = figures.unit_of(view.facts)

    def of(field: str) -> Callable[[Row], str]:
        def text(row: Row) -> str:
            number = getattr(row.value, field, 0)
            return f"{number:,}" if field == "count" else figures.figure(number, unit)

        return text

    return [Column("Average", 11, of("average")), Column("Count", 9, of("count")), Column("Total", 12, of("total"))]


def sorts(view: MapView, rows: Sequence[Row]) -> list[tuple[str, SortKey]]:
    """What ``s`` steps through: (heading, key); the largest number and the first word come first."""
    titles = [each.title for each in columns(view, rows) if each.title not in ("Trend", "")]
    parts = len(rows[0].key) if rows else 1
    out: list[tuple[str, SortKey]] = []
    for at, title in enumerate(titles):
        out.append((title, _by_key(at) if at < parts else _by_number(title)))
    return out[parts:] + out[:parts]


def _by_key(part: int) -> SortKey:
    def key(row: Row) -> tuple[int, float, str]:
        text = row.key[part] if part < len(row.key) else ""
        number = text.lstrip("-").isascii() and text.lstrip("-").isdecimal() and len(text) < 20
        return (0, float(text), "") if number else (1, 0.0, text)

    return key


def _by_number(title: str) -> SortKey:
    shares = dict(figures.SHARES)

    def key(row: Row) -> tuple[int, float, str]:
        value = row.value
        if title == "Change":
            return (row.rate is None, -(row.rate or 0.0), "")
        if isinstance(value, Histogram):
            bucket = value.quantile(shares[title]) if title in shares else None
            return (0, -low_edge(bucket) if bucket else -float(value.count), "")
        if isinstance(value, Stats):
            return (0, -float(getattr(value, title.lower())), "")
        return (0, -float(value), "") if isinstance(value, int) else (1, 0.0, value)

    return key


def filtered(rows: Sequence[Row], words: str) -> Sequence[Row]:
    """The rows with these words in their key or their value."""
    if not words:
        return rows
    wanted = words.casefold()
    return [
        row
        for row in rows
        if wanted in ",".join(row.key).casefold() or (isinstance(row.value, str) and wanted in row.value.casefold())
    ]


def ordered(view: MapView, look: Look, place: Place) -> list[Row]:
    """The rows that the filter leaves, in the chosen order."""
    rows = filtered(view.rows, look.filter)
    if not rows:
        return []
    choice = sorts(view, rows)
    place.sort %= len(choice)
    return sorted(rows, key=choice[place.sort][1], reverse=place.reversed)


def table_lines(view: MapView, look: Look, place: Place, width: int, height: int) -> list[Line]:
    """The visible part of a keyed map."""
    rows = ordered(view, look, place)
    place.count, place.rows = len(rows), max(height - 2, 1)
    if not rows:
        return [line(Span("no key has these words" if view.rows else waiting(view), "dim"))]
    _follow(rows, place)
    visible = rows[place.top : place.top + place.rows]
    titles = sorts(view, rows)
    arrow = "▲" if place.reversed else "▼"
    marked = [
        each._replace(mark=arrow) if each.title == titles[place.sort][0] else each for each in columns(view, rows)
    ]
    lines = table(marked, visible, width, cursor=place.cursor - place.top)
    if len(rows) > len(visible):
        last = place.top + len(visible)
        lines.append(line(Span(f"rows {place.top + 1:,}–{last:,} of {len(rows):,}", "dim")))
    return lines


def _follow(rows: Sequence[Row], place: Place) -> None:
    """The cursor stays with its key; at the top it stays at the top, where the news is."""
    place.cursor = min(max(place.cursor, 0), len(rows) - 1)
    if place.cursor and place.chosen is not None and rows[place.cursor].key != place.chosen:
        place.cursor = next((i for i, row in enumerate(rows) if row.key == place.chosen), place.cursor)
    place.chosen = rows[place.cursor].key
    place.top = min(max(place.top, place.cursor - place.rows + 1), place.cursor)
    place.top = max(min(place.top, len(rows) - place.rows), 0)


# --- one key ---


def detail_lines(view: MapView, row: Row, look: Look, place: Place, width: int, height: int) -> list[Line]:
    """A key in full: its parts and stacks, its value and change, its histogram."""
    lines = []
    for part, text in enumerate(row.key):
        title = keys.heading(view.facts.keys[part] if part < len(view.facts.keys) else "", part + 1)
        stack = keys.frames(text)
        lines.append(line(Span(f"{title} ", "head"), Span("" if stack else safe(text, 400))))
        lines += [line(Span(f"  {safe(each, width - 2)}")) for each in stack]
    change = figures.change(row, view.facts)
    if isinstance(row.value, Histogram):
        lines += [line(*percentiles(row.value, view), Span(f"  {change}", "dim")), EMPTY]
        lines += bars(figures.rows_of(row.value), row.value, view, look, width)
    else:
        lines.append(line(*_value(row.value, view), Span(f"  {change}", "dim")))
        lines += wrapped(safe(row.value, 2000), width) if isinstance(row.value, str) else []
        trend = figures.spark(row.history, width - 2)
        lines += [EMPTY, line(Span(trend, "bar"))] if trend else []
    return scrolled(lines, place, height)


def scrolled(lines: list[Line], place: Place, height: int) -> list[Line]:
    """The part of long lines that is scrolled to, with what is hidden said."""
    place.count, place.rows = len(lines), max(height - 1, 1)
    if len(lines) <= height:
        place.top = 0
        return lines
    place.top = max(min(place.top, len(lines) - place.rows), 0)
    last = min(place.top + place.rows, len(lines))
    return [*lines[place.top : last], line(Span(f"lines {place.top + 1:,}–{last:,} of {len(lines):,}", "dim"))]


def age(view: MapView, unix_ns: int) -> str:
    """``printed 3 s ago``; empty when it is fresh."""
    if view.printed_unix_ns is None:
        return ""
    seconds = (unix_ns - view.printed_unix_ns) / 1e9
    return f"printed {units.span(seconds)} ago" if seconds >= 3 else ""


def short_line(view: MapView, width: int) -> Line:
    """A table in one line, where there is no room for more."""
    spans = [Span(pad(safe(view.title, 24), 24, left=True), "strong")]
    if not view.rows:
        return line(*spans, Span(f"  {waiting(view)}", "dim"))
    if isinstance(view.rows[0].value, Histogram) and not view.keyed:
        return line(*spans, Span("  "), *percentiles(view.rows[0].value, view))
    first = view.rows[0]
    name = cut(safe(", ".join(map(keys.short, first.key)), 60), 40)
    said = f"  {len(view.rows):,} key{'s' * (len(view.rows) != 1)}, first: {name} "
    return line(*spans, Span(said, "dim"), Span(safe(figures.value_text(first.value, view.facts), 30), "accent"))
