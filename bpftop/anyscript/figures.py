"""Figures of any program as people read them: with their unit, buckets as bounds, changes, small trends. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bpftop import units
from bpftop.anyscript.model import ACCUMULATING, Bucket, Histogram, MapFacts, Row, Stats, Value
from bpftop.text import safe

_TIME = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}
_NAMED = re.compile(r"@(?:.*_)?(?:(n|u|m)(?:s|secs?)|(bytes))\Z", re.IGNORECASE)
_COUNTING = ("count", "++", "+=")
SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))
_SPARKS = "▁▂▃▄▅▆▇█"


def unit_of(facts: MapFacts) -> str:
    """The header's unit; else that of the program's arithmetic; else the one in the map's name (``@latency_ns``).

    In this order: biostacks.bt counts nanoseconds in a map that it calls ``@usecs``.
    """
    if facts.unit or facts.function in ("", *_COUNTING):
        return safe(facts.unit) if facts.function not in _COUNTING or facts.unit not in _TIME else ""
    match = _NAMED.match(facts.name)
    if facts.measured or not match:
        return facts.measured
    return "bytes" if match[2] else f"{match[1].lower()}s"


def figure(number: float, unit: str = "") -> str:
    """``1,234``, ``64.0 µs``, ``12.3 KiB``, ``7 pages``."""
    if unit in _TIME and not number:
        return f"0 {unit.replace('us', 'µs')}"
    if unit in _TIME:
        sign = "-" if number < 0 else ""
        return sign + units.duration(abs(number) * _TIME[unit])
    if unit == "bytes":
        return _bytes(number)
    plain = f"{number:,.0f}" if float(number).is_integer() or abs(number) >= 100 else f"{number:.3g}"
    return f"{plain} {unit}" if unit else plain


def _bytes(number: float) -> str:
    for suffix in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(number) < 1024 or suffix == "TiB":
            return f"{number:.0f} {suffix}" if float(number).is_integer() else f"{number:.1f} {suffix}"
        number /= 1024
    raise AssertionError


def value_text(value: Value, facts: MapFacts) -> str:
    """A value in one cell: of a histogram its count."""
    unit = unit_of(facts)
    if isinstance(value, Histogram):
        return f"{value.count:,}"
    if isinstance(value, Stats):
        return figure(value.average, unit)
    return figure(value, unit) if isinstance(value, int) else value


def bounds(bucket: Bucket | None, unit: str = "") -> str:
    """What is known of a value in a bucket: ``64..127``, ``≥ 100``, ``< 0``, ``5``; ``–`` for none."""
    if bucket is None:
        return "–"
    low, high = bucket.low, bucket.high
    if low is None:
        return f"< {figure(high + 1, unit)}" if high is not None else "any"
    if high is None:
        return f"≥ {figure(low, unit)}"
    if low == high:
        return _round(figure(low, unit))
    first, last = _round(figure(low, unit)), _round(figure(_edge(high, unit), unit))
    # 64..128 µs: the unit once when both have it
    number, _, word = first.partition(" ")
    return f"{number}..{last}" if word and last.endswith(f" {word}") else f"{first}..{last}"


def _round(text: str) -> str:
    """``64 µs`` for ``64.0 µs``: an edge is a round value."""
    number, _, word = text.partition(" ")
    return f"{number.rstrip('0').rstrip('.')} {word}" if "." in number and word else text


def _edge(high: int, unit: str) -> int:
    """Of times and sizes the edge that does not belong to the bucket reads better: 64..128 µs, not 64..127 µs."""
    return high + 1 if unit in _TIME or unit == "bytes" else high


def quantiles(histogram: Histogram, unit: str = "") -> list[tuple[str, str]]:
    """Percentiles as the bounds of their buckets: nothing finer is known of them."""
    return [(name, bounds(histogram.quantile(share), unit)) for name, share in SHARES]


def change(row: Row, facts: MapFacts) -> str:
    """``12.3/s`` of what accumulates, ``+1.50/s`` of other numbers; empty when it is not known."""
    if row.rate is None:
        return ""
    if facts.function in ACCUMULATING and not row.rate:
        return "0/s"
    if facts.function in ACCUMULATING and (facts.function != "sum" or unit_of(facts) == ""):
        return units.rate(row.rate)
    if facts.function == "sum":
        return f"{figure(row.rate, unit_of(facts))}/s"
    if abs(row.rate) < 0.005:
        return "steady"
    return f"{'+' if row.rate > 0 else '-'}{units.rate(abs(row.rate)).replace('<', '')}"


def spark(history: Sequence[float], width: int) -> str:
    """The newest values as small bars from nothing to the largest; all blank when there are fewer than two."""
    values = list(history)[-width:] if width > 0 else []
    if len(values) < 2:
        return ""
    low, high = min(0.0, *values), max(values)
    scale = (high - low) or 1.0
    return "".join(_SPARKS[min(int((value - low) / scale * 8), 7)] for value in values)


def rows_of(histogram: Histogram) -> list[Bucket | None]:
    """The buckets to draw; ``None`` in the place of four or more empty ones that follow each other."""
    out: list[Bucket | None] = []
    empty: list[Bucket] = []
    for bucket in histogram.buckets:
        if not bucket.count:
            empty.append(bucket)
            continue
        out += empty if len(empty) < 4 or not out else [None]
        empty = []
        out.append(bucket)
    return out


def merged(histogram: Histogram, most: int) -> list[Bucket | None]:
    """As ``rows_of`` in at most ``most`` rows: neighbours are put together, none is left out."""
    rows, step = rows_of(histogram), 1
    while len(rows) > max(most, 1) and step < len(histogram.buckets):
        step += 1
        together = [histogram.buckets[i : i + step] for i in range(0, len(histogram.buckets), step)]
        parts = (Bucket(each[0].low, each[-1].high, sum(b.count for b in each)) for each in together)
        rows = rows_of(Histogram(tuple(parts)))
    return rows
