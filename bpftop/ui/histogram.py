"""The latency histogram and its percentile table as lines."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

from bpftop import units
from bpftop.model import MeasureSnapshot, Summary
from bpftop.ui.paint import EMPTY, Line, Role, Span, joined, line, pad
from bpftop.ui.shape import Rows, rows_of, rows_of_both
from bpftop.ui.table import bar
from bpftop.ui.words import ENOUGH_P99, ENOUGH_P999, share

_MARKED = (("p50", "p50_ns"), ("p90", "p90_ns"), ("p99", "p99_ns"), ("p99.9", "p999_ns"), ("max", "max_ns"))
_SHARES = 8
"""Cells of the shares, which give way where bars would have fewer than ``_BARS``."""
_BARS, _LEAST_BARS = 12, 6
BASELINE = "░ ┃"
"""What a baseline had more, and where it ended."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a histogram is drawn."""

    log_counts: bool = False
    """Bars on a log scale."""
    curve: bool = False
    """The cumulative curve over the bars."""
    base: MeasureSnapshot | None = None
    """An earlier histogram, drawn behind with its counts scaled to those of now."""
    low_ns: float = math.inf
    high_ns: float = math.inf
    """Rows whose middle is in this range are marked."""


PLAIN = Look()


def histogram(shown: MeasureSnapshot, width: int, height: int, look: Look = PLAIN) -> list[Line]:
    """Heading and one row per merged bucket: where it starts, its bar, count and share, and the percentiles in it."""
    if height < 2 or width < 30:
        return []
    base = look.base.histogram if look.base and look.base.summary.count else None
    if base is None:
        rows, behind = rows_of(shown.histogram, height - 1), None
    else:
        rows, then = rows_of_both(shown.histogram, base, height - 1)
        behind = then * (rows.counts.sum() / then.sum())
    most = max(float(rows.counts.max()), float(behind.max()) if behind is not None else 0.0)
    marks = _marks(rows, shown.summary)
    marks_width = max((len(text) for text in marks.values()), default=0)
    numbers = max(len(f"{int(rows.counts.max()):,}"), 5)
    sums = 8 if width >= 90 or look.curve else 0
    room = width - 20 - numbers - sums - 2 - marks_width
    shares = _SHARES if room >= _BARS else 0
    room += _SHARES - shares
    if room < _LEAST_BARS:
        marks_width, room = 0, max(width - 12 - shares - numbers - sums, 1)
    lines = [_titles(look, room, numbers, shares, sums, base is not None)]
    total = max(int(rows.counts.sum()), 1)
    sum_of = (rows.counts.cumsum() / total).tolist()
    for index, n in enumerate(rows.counts.tolist()):
        mark = marks.get(index, "") if marks_width else ""
        role: Role = "p99" if "p99" in mark else "p50" if "p50" in mark else "bar"
        before = _length(float(behind[index]), most, look.log_counts) if behind is not None else 0.0
        length = _length(n, most, look.log_counts)
        middle = math.sqrt(rows.edges_ns[index] * rows.edges_ns[index + 1])
        lines.append(
            line(
                Span(pad(round_duration(rows.edges_ns[index]), 8)),
                Span(" ▪" if look.low_ns <= middle < look.high_ns else "  ", "accent"),
                *_bar(length, before, sum_of[index] if look.curve else None, room, role),
                Span("  " + pad(f"{n:,}" if n else "·", numbers), "" if n else "dim"),
                Span(pad(share(n / total) if n else "", shares) if shares else "", "dim"),
                Span(pad(share(sum_of[index]), sums) if sums else "", "dim"),
                Span(f"  {mark}" if mark else "", "strong"),
            )
        )
    return lines


def _titles(look: Look, room: int, numbers: int, shares: int, sums: int, compared: bool) -> Line:
    scale = "log" if look.log_counts else "linear"
    curve = ", • sum" if look.curve else ""
    legend = f", {BASELINE} baseline" if compared else ""
    forms = (f"bars {scale}{curve}{legend}", f"bars {scale}{curve}", f"{scale}{curve}", scale)
    said = next((each for each in forms if len(each) <= room), forms[-1])
    title = pad("from", 8) + "  " + pad(said, room, left=True) + "  " + pad("count", numbers)
    return line(Span(title + (pad("share", shares) if shares else "") + (pad("sum", sums) if sums else ""), "head"))


def _bar(length: float, before: float, sum_of: float | None, room: int, role: Role) -> list[Span]:
    """A bar, what the baseline had beyond it (░) or where it ended inside (┃), and a point of the cumulative curve."""
    cells: list[tuple[str, Role]] = [(char, role) for char in bar(length, room)]
    ends = min(round(before * room), room)
    if before > 0:
        for place in range(ends):
            if cells[place][0] == " ":
                cells[place] = ("░", "dim")
        place = max(ends - 1, 0)
        if cells[place][0] != "░":
            cells[place] = ("┃", "accent")
    if sum_of is not None:
        cells[min(round(sum_of * (room - 1)), room - 1)] = ("•", "accent")
    return [Span("".join(char for char, _ in group), each) for each, group in groupby(cells, key=lambda cell: cell[1])]


def round_duration(edge_ns: float) -> str:
    """A round value without needless decimals: ``100 µs``, ``1.6 ms``."""
    number, _, unit = units.duration(edge_ns).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def _length(n: float, most: float, log_counts: bool) -> float:
    if not most or not n:
        return 0.0
    return math.log1p(n) / math.log1p(most) if log_counts else n / most


def _marks(rows: Rows, summary: Summary) -> dict[int, str]:
    """Which percentiles fall in which row: ``← p50 p90``."""
    out: dict[int, str] = {}
    for label, field in _MARKED:
        value = getattr(summary, field)
        if value is not None and _meaningful(label, summary.count):
            row = rows.row_of(float(value))
            out[row] = f"{out[row]} {label}" if row in out else f"← {label}"
    return out


def _meaningful(label: str, n: int) -> bool:
    return n >= {"p99": ENOUGH_P99, "p99.9": ENOUGH_P999}.get(label, 1)


def change(now: int | None, then: int | None) -> Span:
    """How a figure has changed: ``+25 %``; dim within the 1.6 % that two buckets can differ by themselves."""
    if now is None or not then:
        return Span("–", "dim")
    ratio = now / then
    if ratio >= 10:
        return Span(f"×{ratio:.0f}", "bad")
    text = f"{(ratio - 1) * 100:+.0f} %".replace("-0 %", "0 %").replace("+0 %", "0 %")
    return Span(text, "dim" if abs(ratio - 1) < 0.016 else "bad" if ratio >= 1.2 else "warn" if ratio > 1 else "good")


def percentiles_row(summary: Summary, base: Summary | None, width: int) -> list[Line]:
    """The percentiles in as few rows as they need, for a screen too narrow for their table."""
    few, fewer = summary.count < ENOUGH_P99, summary.count < ENOUGH_P999
    roles: dict[str, Role] = {"p50": "p50", "p99": "dim" if few else "p99", "p99.9": "dim" if fewer else ""}
    clauses = []
    for label, field in _MARKED:
        value = getattr(summary, field)
        spans = [Span(f"{label} ", "head"), Span(units.duration(value), roles.get(label, ""))]
        if base is not None:
            changed = change(value, getattr(base, field))
            spans += [Span(" "), changed]
        clauses.append(spans)
    return joined([*clauses, [Span("n ", "head"), Span(f"{summary.count:,}")]], width, "  ")


def percentiles(summary: Summary, base: Summary | None = None) -> list[Line]:
    """The percentile table, one figure a row, with the count it rests on; the change since ``base``."""
    few, fewer = summary.count < ENOUGH_P99, summary.count < ENOUGH_P999
    rows: list[tuple[str, str, Role]] = [
        ("p50", units.duration(summary.p50_ns), "p50"),
        ("p90", units.duration(summary.p90_ns), ""),
        ("p95", units.duration(summary.p95_ns), ""),
        ("p99", units.duration(summary.p99_ns), "dim" if few else "p99"),
        ("p99.9", units.duration(summary.p999_ns), "dim" if fewer else ""),
        ("max", units.duration(summary.max_ns), ""),
    ]
    lines = [line(Span(pad(label, 6, left=True), "head"), Span(pad(value, 10), role)) for label, value, role in rows]
    if base is not None:
        fields = ("p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns", "max_ns")
        changes = (change(getattr(summary, field), getattr(base, field)) for field in fields)
        lines = [line(*row.spans, Span(pad(span.text, 8), span.role)) for row, span in zip(lines, changes, strict=True)]
    lines += [
        EMPTY,
        line(Span(pad("count", 6, left=True), "head"), Span(pad(f"{summary.count:,}", 10))),
        line(Span(pad("rate", 6, left=True), "head"), Span(pad(units.rate(summary.rate_per_s), 10))),
    ]
    if few and summary.count:
        lines += [EMPTY, line(Span("dim: too few", "dim")), line(Span("observations", "dim"))]
    return lines
