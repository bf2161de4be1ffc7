"""Histograms as lines: bounds, bars, counts, and the rows in which the percentiles are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bpftop.anyscript import figures
from bpftop.anyscript.model import Bucket, Histogram, MapView
from bpftop.ui.anyscript.look import Look
from bpftop.ui.paint import Line, Role, Span, line, pad
from bpftop.ui.table import bar
from bpftop.ui.words import ENOUGH_P99, share

ROLES: dict[str, Role] = {"p50": "p50", "p99": "p99"}


def percentiles(histogram: Histogram, view: MapView) -> list[Span]:
    """``count 1,234  p50 64.0..128 µs``: bounds, dim where the count is too small for them to mean much."""
    spans = [Span("count ", "dim"), Span(f"{histogram.count:,}", "strong")]
    for name, value in figures.quantiles(histogram, figures.unit_of(view.facts)):
        doubtful = name == "p99" and histogram.count < ENOUGH_P99
        spans += [Span(f"  {name} ", "dim"), Span(value, "dim" if doubtful else ROLES.get(name, ""))]
    return spans


def bars(rows: Sequence[Bucket | None], histogram: Histogram, view: MapView, look: Look, width: int) -> list[Line]:
    """One line for each bucket: its bounds, bar, count and share; the percentiles' rows have their colours."""
    unit = figures.unit_of(view.facts)
    labels = [figures.bounds(each, unit) if each else "⋮" for each in rows]
    size = min(max((len(each) for each in labels), default=0), 26)
    most = max((each.count for each in rows if each), default=1) or 1
    numbers = max(len(f"{most:,}"), 5)
    room = max(width - size - numbers - 12, 4)
    marks = _marks(histogram)
    lines = []
    for label, each in zip(labels, rows, strict=True):
        if each is None:
            lines.append(line(Span(pad(label, size), "dim")))
            continue
        length = math.log1p(each.count) / math.log1p(most) if look.log_counts else each.count / most
        role: Role = next((ROLES[name] for name, low in marks if _inside(low, each) and name in ROLES), "bar")
        lines.append(
            line(
                Span(pad(label, size)),
                Span("  "),
                Span(bar(length if each.count else 0, room), role),
                Span("  " + pad(f"{each.count:,}" if each.count else "·", numbers), "" if each.count else "dim"),
                Span("  " + pad(share(each.count / max(histogram.count, 1)) if each.count else "", 6), "dim"),
            )
        )
    return lines


def _marks(histogram: Histogram) -> list[tuple[str, Bucket]]:
    found = ((name, histogram.quantile(part)) for name, part in figures.SHARES)
    return [(name, bucket) for name, bucket in found if bucket]


def _inside(found: Bucket, row: Bucket) -> bool:
    """Whether a bucket is in a row that may be several buckets together."""
    return low_edge(row) <= low_edge(found) and _high(found) <= _high(row)


def low_edge(bucket: Bucket) -> float:
    """Where it begins."""
    return -math.inf if bucket.low is None else bucket.low


def _high(bucket: Bucket) -> float:
    return math.inf if bucket.high is None else bucket.high
