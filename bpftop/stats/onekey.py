"""Snapshots of one key, and the trends of many: a client, a route, a system call alone.

Percentiles and buckets are those that are kept by key, within 3 %; seconds are kept for five minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bpftop import wire
from bpftop.model import (
    CounterSnapshot,
    Counts,
    Histogram,
    History,
    Keyed,
    MeasureSnapshot,
    SlowRequest,
    Snapshot,
    Summary,
    Trend,
)
from bpftop.stats import buckets
from bpftop.stats.clients import bucket_of_key, of_measure, slow_bucket_of
from bpftop.stats.past import begins, history_of, slowest_of, spans_s
from bpftop.stats.quantiles import QUANTILES, grouped_ranks, histogram, nearest_rank

_SHIFT = np.uint64(wire.CLIENT_SHIFT)


def only(snapshot: Snapshot, kind: str, codes: Collection[int], mine: Callable[[SlowRequest], bool]) -> Snapshot:
    """The snapshot of some keys of one kind: their measures and counters, and their events.

    ``mine`` tells their events where the records do not have the key. Measures by other kinds are left out.
    """
    wanted = np.array(sorted(codes), np.uint64)
    histories = tuple(_of_codes(each, wanted) for each in snapshot.histories)
    measures: dict[str, MeasureSnapshot] = {}
    counters: dict[str, CounterSnapshot] = {}
    for name, shown in snapshot.measures.items():
        if shown.measure.key == kind:
            shown = replace(shown, slow=sum(row.slow or 0 for row in shown.clients if row.code in codes))
            measures[name] = _of_key(shown, history_of(replace(snapshot, histories=histories), name), snapshot)
    for name, counter in snapshot.counters.items():
        if counter.measure.key == kind:
            rows = [row for row in counter.rows if row.code in codes and row.code]
            n, rate = sum(row.count for row in rows), sum(row.rate_per_s for row in rows)
            counters[name] = CounterSnapshot(counter.measure, n, rate, tuple(rows))
    return replace(
        snapshot,
        measures=measures,
        counters=counters,
        slow=_events_of(snapshot, kind, wanted, mine),
        histories=histories,
    )


def _events_of(
    snapshot: Snapshot, kind: str, codes: NDArray[np.uint64], mine: Callable[[SlowRequest], bool]
) -> tuple[SlowRequest, ...]:
    """The slowest events of these keys: of all that are kept where the records have the key, else of those shown."""
    if not any(each.events for each in snapshot.histories):
        return tuple(each for each in snapshot.slow if mine(each))
    parts = []
    for history in snapshot.histories:
        since = _window_begins(snapshot, history) - history.unix_offset_ns
        pairs = [
            (stream, rows[(rows[:, 0] >= since) & np.isin(rows[:, stream.fields.index(kind)], codes.astype(np.int64))])
            for stream, rows in zip(history.streams, history.events, strict=True)
            if kind in stream.fields and kind != "route"  # a record has the code of its line
        ]
        parts.append(replace(history, streams=tuple(p[0] for p in pairs), events=tuple(p[1] for p in pairs)))
    there = {stream.name for part in parts for stream in part.streams}
    others = [each for each in snapshot.slow if each.event not in there and mine(each)]
    return tuple(sorted([*slowest_of(snapshot, parts), *others], key=lambda event: -event.latency_ns))


def _window_begins(snapshot: Snapshot, history: History) -> int:
    """When the window of a snapshot begins in this history (Unix ns)."""
    if snapshot.window.length_s is None or not history.unix_ns:
        return 0
    return begins(history, -min(max(int(snapshot.window.length_s), 1), len(history.unix_ns)))


def _of_codes(history: History, codes: NDArray[np.uint64]) -> History:
    """The history of these keys alone; its slices are those that are kept by key, in the middle of its buckets."""
    kept = len(history.keyed_pieces)
    pieces = tuple(_chosen(each, codes) for each in history.keyed_pieces)
    return replace(
        history,
        unix_ns=history.unix_ns[-kept:] if kept else (),
        spans_s=history.spans_s[-kept:] if kept else (),
        pieces=tuple(map(_places, pieces)),
        keyed=_chosen(history.keyed, codes) if history.keyed is not None else None,
        keyed_pieces=pieces,
    )


def _chosen(keyed: Keyed, codes: NDArray[np.uint64]) -> Keyed:
    if len(codes) > 64:
        inside = np.isin(keyed.keys >> _SHIFT, codes)
        return Keyed(keyed.keys[inside], keyed.counts[inside])
    low = np.searchsorted(keyed.keys, codes << _SHIFT)
    high = np.searchsorted(keyed.keys, (codes + np.uint64(1)) << _SHIFT)
    at = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    index = np.concatenate(at) if at else np.zeros(0, np.int64)
    return Keyed(keyed.keys[index], keyed.counts[index])


def _places(keyed: Keyed) -> tuple[NDArray[np.int64], Counts]:
    """As a piece of a history: each client's bucket stands at the global bucket in its middle."""
    measure = ((keyed.keys >> np.uint64(wire.CLIENT_MEASURE_SHIFT)) & np.uint64(wire.CLIENT_MEASURE_MASK)).astype(
        np.int64
    )
    middle = (bucket_of_key(keyed.keys) << buckets.CLIENT_SHIFT) + (1 << buckets.CLIENT_SHIFT) // 2
    places, inverse = np.unique((measure - 1) * buckets.BUCKETS + middle, return_inverse=True)
    counts = np.zeros(len(places), np.int64)
    np.add.at(counts, inverse, keyed.counts)
    return places, counts


def _of_key(shown: MeasureSnapshot, history: History, snapshot: Snapshot) -> MeasureSnapshot:
    """One measure of the keys whose history this is."""
    name = shown.measure.name
    if history.keyed is None or name not in history.measures:
        return replace(shown, summary=Summary(0, 0.0), histogram=histogram(np.zeros(1, np.int64)), clients=())
    position = history.measures.index(name)
    keys, counts = of_measure(history.keyed, position + 1)
    mine = np.bincount(bucket_of_key(keys), counts, buckets.CLIENT_BUCKETS).astype(np.int64)
    slow = int(counts[bucket_of_key(keys) >= slow_bucket_of(shown.summary)].sum())
    span_s = shown.summary.count / shown.summary.rate_per_s if shown.summary.rate_per_s else snapshot.window.span_s
    trend = _key_trend(history, position, snapshot)
    return replace(
        shown, summary=_key_summary(mine, span_s), histogram=_key_histogram(mine), clients=(), trend=trend, slow=slow
    )


def _key_summary(mine: Counts, span_s: float) -> Summary:
    n = int(mine.sum())
    if not n:
        return Summary(0, 0.0)
    p50, p90, p95, p99, p999, top = buckets.client_middle(nearest_rank(mine, (*QUANTILES, 1.0))).tolist()
    filled = np.flatnonzero(mine)
    total = int(np.dot(buckets.client_middle(filled), mine[filled]))
    return Summary(n, n / max(span_s, 1e-9), p50, p90, p95, p99, p999, top, total)


def _key_histogram(mine: Counts) -> Histogram:
    index = np.flatnonzero(mine)
    low, high = (buckets.lower_edge(each << buckets.CLIENT_SHIFT) for each in (index, index + 1))
    return Histogram(low, high, mine[index])


def _key_trend(history: History, position: int, snapshot: Snapshot) -> Trend:
    """One point for each slice that is kept by key."""
    ages = (snapshot.unix_ns - np.array(history.unix_ns, np.float64)) / 1e9
    rates, p50, p99 = np.zeros(len(ages)), np.full(len(ages), np.nan), np.full(len(ages), np.nan)
    parts = [of_measure(each, position + 1) for each in history.keyed_pieces]
    place = np.repeat(np.arange(len(parts)), [len(keys) for keys, _ in parts])
    if len(place):
        index = bucket_of_key(np.concatenate([keys for keys, _ in parts]))
        order = np.lexsort((index, place))
        index, counts = index[order], np.concatenate([some for _, some in parts])[order]
        there, starts = np.unique(place, return_index=True)
        rates[there] = np.add.reduceat(counts, starts) / np.maximum(np.array(spans_s(history))[there], 1e-9)
        p50[there], p99[there] = (buckets.client_middle(index[grouped_ranks(counts, starts, q)]) for q in (0.5, 0.99))
    return Trend(np.maximum(ages, 0.0), rates, p50, p99)


class RecentP99:
    """The p99 (ns, within 3 %) of keys in single seconds; what is known of a second is not asked for again."""

    def __init__(self) -> None:
        self._measure = ""
        self._known: dict[int, tuple[Keyed, dict[int, float]]] = {}
        """By the identity of a second's counts: these counts, and p99 by key."""

    def __call__(self, history: History, measure: str, codes: Sequence[int], seconds: int) -> NDArray[np.float64]:
        """Of each key in each of the last seconds, oldest first; NaN where it had none. Shape (keys, seconds)."""
        out = np.full((len(codes), seconds), np.nan)
        if measure not in history.measures or not len(codes):
            return out
        if measure != self._measure:
            self._measure, self._known = measure, {}
        recent = history.keyed_pieces[-seconds:]
        self._known = {id(each): self._known.get(id(each), (each, {})) for each in recent}
        position = history.measures.index(measure)
        for piece, known in self._known.values():
            unknown = [code for code in codes if code not in known]
            if unknown:
                known.update(zip(unknown, _p99_of(piece, position, unknown), strict=True))
        seen = [self._known[id(each)][1] for each in recent]
        if seen:
            out[:, -len(seen) :] = [[known[code] for known in seen] for code in codes]
        return out


def _p99_of(piece: Keyed, position: int, codes: Sequence[int]) -> list[float]:
    """The p99 of each key in one second."""
    out = np.full(len(codes), np.nan)
    lows = (np.array(codes, np.uint64) << _SHIFT) + np.uint64(position + 1 << wire.CLIENT_MEASURE_SHIFT)
    highs = lows + np.uint64(1 << wire.CLIENT_MEASURE_SHIFT)
    low, high = np.searchsorted(piece.keys, lows), np.searchsorted(piece.keys, highs)
    there = np.flatnonzero(high > low)
    if len(there):
        at = np.concatenate([np.arange(low[i], high[i]) for i in there])
        starts = np.concatenate([[0], np.cumsum(high[there] - low[there])[:-1]]).astype(np.intp)
        place = grouped_ranks(piece.counts[at], starts, 0.99)
        out[there] = buckets.client_middle(bucket_of_key(piece.keys[at])[place])
    found: list[float] = out.tolist()
    return found
