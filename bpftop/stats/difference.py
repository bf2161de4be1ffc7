"""What happened between two moments of one session: the difference of what was counted up to each. Exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bpftop.model import (
    Accounting,
    CounterSnapshot,
    Counts,
    Histogram,
    MeasureSnapshot,
    Snapshot,
    Trend,
    Window,
)
from bpftop.stats import buckets
from bpftop.stats.quantiles import histogram, summarize

_NONE = np.zeros(0)


def between(before: Snapshot, after: Snapshot) -> Snapshot:
    """The figures of the time from one snapshot to a later one; both must cover everything since the start.

    Tables by client, trends and single requests are left out: they have no difference.
    """
    span_s = max(round(after.window.span_s - before.window.span_s, 3), 0.0)
    missed = before.overhead.missed if before.tracer.runs == after.tracer.runs else 0
    return replace(
        after,
        started_unix_ns=after.unix_ns - round(span_s * 1e9),
        window=Window("between", span_s, span_s),
        measures={name: _measure(before.measures.get(name), new, span_s) for name, new in after.measures.items()},
        counters={name: _counter(before.counters.get(name), new, span_s) for name, new in after.counters.items()},
        slow=(),
        accounting=accounts_between(before.accounting, after.accounting),
        overhead=replace(after.overhead, missed=max(after.overhead.missed - missed, 0)),
        histories=(),
    )


def dense(histogram: Histogram) -> Counts:
    """The counts of all buckets, shape (BUCKETS,)."""
    counts = np.zeros(buckets.BUCKETS, np.int64)
    counts[buckets.bucket_of(histogram.low_ns)] = histogram.counts
    return counts


def _measure(before: MeasureSnapshot | None, after: MeasureSnapshot, span_s: float) -> MeasureSnapshot:
    counts = dense(after.histogram)
    if before is not None:
        counts -= dense(before.histogram)
    trend = Trend(_NONE, _NONE, _NONE, _NONE)
    return MeasureSnapshot(after.measure, summarize(counts, span_s), histogram(counts), (), trend)


def _counter(before: CounterSnapshot | None, after: CounterSnapshot, span_s: float) -> CounterSnapshot:
    count = after.count - (before.count if before is not None else 0)
    return CounterSnapshot(after.measure, count, count / span_s if span_s > 0 else 0.0)


def accounts_between(before: Accounting, after: Accounting) -> Accounting:
    """The books of the time between; what was counted in advance does not become negative."""
    return Accounting(
        produced=max(after.produced - before.produced, 0),
        shown=max(after.shown - before.shown, 0),
        suppressed=max(after.suppressed - before.suppressed, 0),
        lost=max(after.lost - before.lost, 0),
        rejected=max(after.rejected - before.rejected, 0),
        untracked=max(after.untracked - before.untracked, 0),
        unseen_ns=max(after.unseen_ns - before.unseen_ns, 0),
    )
