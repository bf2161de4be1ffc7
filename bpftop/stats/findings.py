"""What stands out in a snapshot: a p99 that has risen, a client that most slow requests come from. Measured only.

Both need enough behind them to be said at all, and compare with the run's own figures, so that a healthy server is left
alone: a server that is always slow is slow, not worse.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from bpftop.model import MeasureSnapshot, Snapshot, Trend

RECENT_S, BEFORE_S = 10.0, 70.0
"""The last seconds are compared with those before them, up to this age."""
RISEN = 2.0
ENOUGH_SECONDS = 5
ENOUGH_EVENTS = 10
MOST = 0.6
"""The share of the slow requests from which on they are one client's."""


@dataclass(frozen=True, slots=True)
class Culprit:
    """One client that most of the slow requests come from."""

    client: str
    share: float
    """Of the slow requests."""
    events: int
    """How many slow requests this rests on."""


def risen(trend: Trend) -> float | None:
    """How many times its earlier level p99 has now; None when it has not risen, or when too little is known.

    Medians of the seconds: one bad second is no change, and one good second does not end it.
    """
    known = ~np.isnan(trend.p99_ns)
    recent = trend.p99_ns[known & (trend.age_s < RECENT_S)]
    before = trend.p99_ns[known & (trend.age_s >= RECENT_S) & (trend.age_s < BEFORE_S)]
    if len(recent) < ENOUGH_SECONDS or len(before) < 2 * ENOUGH_SECONDS:
        return None
    level = float(np.median(before))
    ratio = float(np.median(recent)) / level if level > 0 else 0.0
    # Beyond what its seconds swing by themselves, too: a p99 of few requests jumps about.
    swing = float(np.quantile(before, 0.9)) / level if level > 0 else np.inf
    return ratio if ratio >= max(RISEN, swing * 1.2) else None


def culprit(snapshot: Snapshot, shown: MeasureSnapshot, event: str = "request") -> Culprit | None:
    """The client of most requests slower than p99 that came one by one, when it is not simply most of the traffic."""
    limit = shown.summary.p99_ns
    if limit is None or shown.summary.count < ENOUGH_EVENTS:
        return None
    clients = Counter(each.client for each in snapshot.slow if each.event == event and each.latency_ns >= limit)
    events = sum(clients.values())
    if events < ENOUGH_EVENTS:
        return None
    name, n = clients.most_common(1)[0]
    row = next((row for row in shown.clients if row.client == name), None)
    of_all = row.count / shown.summary.count if row else 0.0
    share = n / events
    return Culprit(name, share, events) if share >= MOST and share >= 2 * of_all else None
