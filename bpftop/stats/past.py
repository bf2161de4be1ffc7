"""Snapshots of a moment, made from the seconds and events that a snapshot keeps.

What comes out is a snapshot like any other, so every pane draws it. Counts and percentiles of a span of seconds are as
exact as those of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bpftop import wire
from bpftop.model import (
    ClientRow,
    CounterSnapshot,
    Counts,
    EventStream,
    Histogram,
    History,
    MeasureSnapshot,
    SlowRequest,
    Snapshot,
    Trend,
    Window,
)
from bpftop.stats import buckets
from bpftop.stats.clients import bare, client_rows, slow_bucket, slow_count, together
from bpftop.stats.events import described, slowest
from bpftop.stats.joined import JOINED, joined, joined_beside
from bpftop.stats.quantiles import histogram, summarize

SLOW_SHOWN = 300
HALF_A_SECOND_NS = 500_000_000
_SHIFT = np.uint64(wire.CLIENT_SHIFT)


def history_of(snapshot: Snapshot, measure: str) -> History:
    """The history that has this measure or counter; an empty one when none has."""
    return next((each for each in snapshot.histories if measure in each.measures), History())


def keyed_since(history: History) -> int | None:
    """The moment (Unix ns) from which on counts are kept by key; None when none are."""
    if not history.keyed_pieces or not history.unix_ns:
        return None
    first = len(history.unix_ns) - len(history.keyed_pieces)
    return begins(history, max(first, 0))


def between(snapshot: Snapshot, from_unix_ns: int, to_unix_ns: int, label: str) -> Snapshot:
    """The snapshot of the kept seconds that the heat map shows between two moments; the trends end with them."""
    parts = [_narrowed(each, from_unix_ns, to_unix_ns) for each in snapshot.histories]
    span_s = max((sum(spans_s(each)) for each in parts), default=0.0)
    measures, counters = dict(snapshot.measures), dict(snapshot.counters)
    for part in parts:
        for position, name in enumerate(part.measures):
            if name in measures:
                measures[name] = _measured(measures[name], part, position, snapshot.unix_ns - to_unix_ns)
            elif name in counters:
                counters[name] = _counted(counters[name], part, position)
    return replace(
        snapshot,
        unix_ns=min(to_unix_ns - 1, snapshot.unix_ns),
        window=Window(label, (to_unix_ns - from_unix_ns) / 1e9, round(span_s, 3)),
        measures=measures,
        counters=counters,
        slow=events_between(snapshot, from_unix_ns, to_unix_ns),
        histories=tuple(parts),
    )


def slices_between(history: History, from_ns: int, to_ns: int) -> History:
    """The slices whose middle is in the span: a tick reports the second that it ends, as in stats.heat."""
    ends = np.array(history.unix_ns, np.int64) - HALF_A_SECOND_NS
    low, high = (int(place) for place in np.searchsorted(ends, (from_ns, to_ns)))
    unkeyed = len(history.unix_ns) - len(history.keyed_pieces)
    keyed = history.keyed_pieces[max(low - unkeyed, 0) : max(high - unkeyed, 0)]
    total = together(keyed)
    if len(keyed) < high - low:
        total = replace(total, incomplete=True)
    return replace(
        history,
        unix_ns=history.unix_ns[low:high],
        pieces=history.pieces[low:high],
        spans_s=history.spans_s[low:high],
        keyed=total if history.keyed is not None else None,
        keyed_pieces=keyed,
    )


def spans_s(history: History) -> Sequence[float]:
    """How long each slice was (s)."""
    return history.spans_s or [1.0] * len(history.unix_ns)


def begins(history: History, place: int) -> int:
    """When a slice began (Unix ns)."""
    return history.unix_ns[place] - int(spans_s(history)[place] * 1e9)


def dense(history: History, position: int) -> Counts:
    """What the slices counted of the measure at this position together; shape (buckets,)."""
    out = np.zeros(buckets.BUCKETS, np.int64)
    base = position * buckets.BUCKETS
    for index, counts in history.pieces:
        low, high = np.searchsorted(index, (base, base + buckets.BUCKETS))
        out[index[low:high] - base] += counts[low:high]
    return out


def dense_counts(shown: Histogram) -> Counts:
    """The counts of a histogram of all its buckets; shape (buckets,)."""
    out = np.zeros(buckets.BUCKETS, np.int64)
    out[np.minimum(buckets.bucket_of(shown.low_ns), buckets.BUCKETS - 1)] = shown.counts
    return out


def _rows(
    history: History, position: int, shown: MeasureSnapshot | CounterSnapshot, mine: Counts
) -> tuple[ClientRow, ...]:
    if history.keyed is None or history.names is None:
        return ()
    span_s = max(sum(spans_s(history)), 1e-9)
    return client_rows(history.keyed, position + 1, span_s, mine, partial(history.names.name, shown.measure))


def _measured(shown: MeasureSnapshot, part: History, position: int, later_ns: int) -> MeasureSnapshot:
    mine = dense(part, position)
    trend = shown.trend
    kept = trend.age_s >= later_ns / 1e9
    ages = trend.age_s[kept] - later_ns / 1e9
    cut = Trend(ages, trend.rate_per_s[kept], trend.p50_ns[kept], trend.p99_ns[kept])
    rows = _rows(part, position, shown, mine)
    summary, slow = summarize(mine, sum(spans_s(part))), slow_count(mine, slow_bucket(mine))
    return MeasureSnapshot(shown.measure, summary, histogram(mine), rows, cut, slow)


def _counted(shown: CounterSnapshot, part: History, position: int) -> CounterSnapshot:
    mine = dense(part, position)
    n, span_s = int(mine.sum()), max(sum(spans_s(part)), 1e-9)
    rows = map(bare, _rows(part, position, shown, mine))
    return CounterSnapshot(shown.measure, n, n / span_s, tuple(rows))


def events_between(snapshot: Snapshot, from_unix_ns: int, to_unix_ns: int) -> tuple[SlowRequest, ...]:
    """The slowest kept events of these seconds, at most 300 of each stream, slowest first."""
    parts = [_narrowed(each, from_unix_ns, to_unix_ns) for each in snapshot.histories]
    if not any(each.events for each in parts):
        return tuple(each for each in snapshot.slow if from_unix_ns <= each.unix_ns < to_unix_ns)
    return slowest_of(snapshot, parts)


def _narrowed(history: History, from_ns: int, to_ns: int) -> History:
    """With the events of the slices between two moments only: events belong to the slice that counted them."""
    part = slices_between(history, from_ns, to_ns)
    low, high = (begins(part, 0), part.unix_ns[-1]) if part.unix_ns else (from_ns, to_ns)
    low, high = low - history.unix_offset_ns, high - history.unix_offset_ns
    return replace(part, events=tuple(rows[(low <= rows[:, 0]) & (rows[:, 0] < high)] for rows in history.events))


def slowest_of(snapshot: Snapshot, histories: Sequence[History]) -> tuple[SlowRequest, ...]:
    """The slowest events that these histories keep, at most 300 of each stream, slowest first."""
    out: list[SlowRequest] = []
    for history in histories:
        found: list[SlowRequest] = []
        for stream, rows in zip(history.streams, _slowest(history), strict=True):
            found += _in_words(snapshot, history, stream, rows)
        out += joined(found, {stream.name for stream in history.streams}.issuperset(JOINED))
    out = joined_beside(out, histories, snapshot.measures) if len(histories) > 1 else out
    return tuple(sorted(out, key=lambda event: -event.latency_ns))


def _slowest(history: History) -> list[NDArray[np.int64]]:
    """The slowest events of each stream; of two that are one row the halves of the other's slowest, too."""
    picked = [slowest(rows, SLOW_SHOWN) for rows in history.events]
    twice = [place for place, stream in enumerate(history.streams) if stream.name in JOINED]
    if len(twice) > 1:
        moments = np.concatenate([picked[place][:, 0] for place in twice])
        for place in twice:
            picked[place] = history.events[place][np.isin(history.events[place][:, 0], moments)]
    return picked


def _in_words(
    snapshot: Snapshot, history: History, stream: EventStream, rows: NDArray[np.int64]
) -> Iterator[SlowRequest]:
    shown = snapshot.measures.get(stream.measure)
    if shown is not None and history.names is not None:
        for row in rows.tolist():
            yield described(stream, shown.measure, row, history.names, history.unix_offset_ns)
