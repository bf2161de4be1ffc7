"""Each measure in the last ten seconds, beside its level: what a verdict is made from, whatever the window shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bpftop.model import ClientRow, Counts, Keyed, Measure, Names, Recent, Summary
from bpftop.stats import buckets
from bpftop.stats.clients import ClientSeries, by_key, of_measure, slow_count
from bpftop.stats.groups import Networks
from bpftop.stats.levels import NOW_S, Level
from bpftop.stats.made import Made
from bpftop.stats.quantiles import summarize
from bpftop.stats.series import GlobalSeries
from bpftop.stats.totals import SHIFT

EARLIER_S, EARLIER_LEAST_S = 50, 5
"""So long before a rise in traffic tells how busy a key was; of less it is not known."""
FAILURES = frozenset({"route_errors_5xx", "client_errors_5xx"})
"""Counters that are looked at like latencies: all they count is slow, so to say, and they have no level."""
TOP = 6
"""Keys with the most slow observations; as many again by count and by time. By count more than who.OTHERS_LEAST."""


def recent(
    measures: Sequence[Measure],
    series: GlobalSeries,
    clients: ClientSeries,
    levels: Sequence[Level],
    names: Names,
    skip: int = 0,
) -> dict[str, Recent]:
    """Every latency with observations or a level, and failures, by name. ``levels`` are of the same moment.

    ``skip``: so many of the newest slices are left out.
    """
    counts, span_s = series.window(NOW_S, skip)
    keyed = clients.window(NOW_S, skip)
    out = {}
    for number, (measure, level) in enumerate(zip(measures, levels, strict=False), 1):
        mine = counts[number - 1]
        if measure.unit == "ns" and (mine.any() or level.before.count):
            named = partial(names.name, measure)
            rows = Made(partial(_top, keyed, number, max(span_s, 1e-9), named, level.slow_from))
            found = replace(_recent(mine, span_s, level), rows=rows)
            if measure.key == "client" and (found.risen_s or found.late_s or found.tail_s):
                found = replace(found, networks=_networks(keyed, number, max(span_s, 1e-9), names, level.slow_from))
            if level.busier_s is not None:
                begun = skip + max(NOW_S, math.ceil(level.busier_s))
                slices, earlier_s = clients.slices(begun)[-EARLIER_S:], series.window(EARLIER_S, begun)[1]
                found = replace(found, earlier_per_s=_earlier(slices, number, rows, earlier_s))
            out[measure.name] = found
        elif measure.name in FAILURES and mine.any():
            named, n = partial(names.name, measure), int(mine.sum())
            rows = Made(partial(_top, keyed, number, max(span_s, 1e-9), named, 0))
            out[measure.name] = Recent(Summary(n, n / max(span_s, 1e-9)), Summary(0, 0.0), 0, n, rows)
    return out


def _recent(mine: Counts, span_s: float, level: Level) -> Recent:
    return Recent(
        summarize(mine, span_s),
        level.before,
        int(buckets.lower_edge(level.slow_from << buckets.CLIENT_SHIFT)),
        slow_count(mine, level.slow_from),
        risen_s=level.risen_s,
        late_s=level.late_s,
        busier_s=level.busier_s,
        fewer_s=level.fewer_s,
        tail_s=level.tail_s,
    )


def _top(keyed: Keyed, number: int, span_s: float, name: Callable[[int], str], slow_from: int) -> tuple[ClientRow, ...]:
    """The keys with the most slow observations, the most observations and the most time: TOP of each."""
    found = by_key(keyed, number, slow_from)
    if found is None:
        return ()
    busiest = found.busiest()
    by = [busiest[np.argsort(-column[busiest], kind="stable")][:TOP] for column in (found.slow, found.n, found.total)]
    return tuple(found.row(i, name, span_s) for i in dict.fromkeys(np.concatenate(by).tolist()))


def _networks(keyed: Keyed, number: int, span_s: float, names: Names, slow_from: int) -> tuple[ClientRow, ...]:
    """The same of the networks that the keys are in."""
    networks = Networks(names)
    rest = None if keyed.networks is None else Keyed(*of_measure(keyed.networks, number))
    mine = networks.grouped(Keyed(*of_measure(keyed, number), networks=rest))
    return _top(mine, number, span_s, networks.label, slow_from)


def _earlier(slices: Sequence[Keyed], number: int, rows: Sequence[ClientRow], span_s: float) -> dict[str, float]:
    """The rate of each of ``rows`` in ``slices``, which are of the time before the rise."""
    if span_s < EARLIER_LEAST_S:
        return {}
    counted = dict.fromkeys((row.code for row in rows), 0)
    wanted = np.array(sorted(counted), np.uint64)
    for each in slices:
        keys, counts = of_measure(each, number)
        codes = keys >> SHIFT
        mine = np.isin(codes, wanted)
        for code, count in zip(codes[mine].tolist(), counts[mine].tolist(), strict=True):
            counted[code] += count
    return {row.client: counted[row.code] / span_s for row in rows}
