"""Each measure in the last ten seconds, beside its level: what a verdict is made from, whatever the window shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bpftop.model import ClientRow, Counts, Keyed, Measure, Names, Recent
from bpftop.stats import buckets
from bpftop.stats.clients import ClientSeries, by_key, of_measure, slow_count
from bpftop.stats.groups import Networks
from bpftop.stats.levels import NOW_S, Level
from bpftop.stats.made import Made
from bpftop.stats.quantiles import summarize
from bpftop.stats.series import GlobalSeries

EARLIER_S = 60
"""The window that tells how busy a key was before."""
TOP = 4
"""Keys with the most slow observations; as many again by count and by time."""


def recent(
    measures: Sequence[Measure],
    series: GlobalSeries,
    clients: ClientSeries,
    levels: Sequence[Level],
    names: Names,
    skip: int = 0,
) -> dict[str, Recent]:
    """Every latency with observations or a level, by name. ``levels`` are of the same moment.

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
                whole, whole_s = clients.window(EARLIER_S, skip), series.window(EARLIER_S, skip)[1]
                found = replace(found, earlier_per_s=_earlier(whole, number, rows, whole_s - span_s))
            out[measure.name] = found
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


def _earlier(whole: Keyed, number: int, rows: Sequence[ClientRow], rest_s: float) -> dict[str, float]:
    """The rate of each of ``rows`` between EARLIER_S and NOW_S seconds ago; ``whole``: the keys of EARLIER_S."""
    found = by_key(whole, number, 0)
    counted = dict(zip(found.codes.tolist(), found.n.tolist(), strict=True)) if found else {}
    return {row.client: max(counted.get(row.code, 0) - row.count, 0) / max(rest_s, 1.0) for row in rows}
