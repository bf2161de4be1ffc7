"""Every state a screen can be in, with all scripts of the catalog: what the pictures in words are taken of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from bpftop.model import ClientRow, CounterSnapshot, Measure, ScriptStatus, Snapshot, State
from bpftop.scripts import catalog
from tests.ui import builders
from tests.ui.routed import with_routes
from tests.ui.shots import SHOT

FLOOD = 100_000
"""Clients of one measure."""
_KEYS: Mapping[str, tuple[str, ...]] = {
    "peer": ("127.0.0.1:9001", "127.0.0.1:9002", "unix:/run/php/php8.2-fpm.sock"),
    "pid": ("nginx 4243", "nginx 4244"),
    "tid": ("nginx 4243", "nginx 4244"),
    "device": ("vda", "nvme0n1"),
    "label": ("timer", "io"),
    "syscall": ("writev", "openat"),
}


def _rows(measure: Measure, n: int) -> tuple[ClientRow, ...]:
    names = _KEYS.get(measure.key, ())
    if measure.unit == "count":
        return tuple(ClientRow(name, n, n / 60, None, None, None) for n, name in enumerate(names, 3))
    return tuple(
        ClientRow(
            name, n >> i, (n >> i) / 60, 90_000 << i, 1_200_000 << i, 7_000_000 << i, n * 140_000 >> i, code=i + 1
        )
        for i, name in enumerate(names)
    )


def with_scripts(of: Snapshot, n: int = 6_000) -> Snapshot:
    """Every script of the catalog runs beside those that always do."""
    seen = bool(of.histories) and n > 0
    out = builders.with_calls(of, 9_000 if seen else 0)
    counters = dict(out.counters)
    out = with_routes(out, unseen=1234 if seen else 0, empty=not seen)
    measures, counters, scripts = dict(out.measures), {**counters, **out.counters}, list(out.scripts)
    for script in catalog().values():
        if script.default or not script.pane or script.needs or script.name in {each.name for each in scripts}:
            continue
        for each in script.measures:
            shown = builders.measured(each, n if seen else 0, others=0)
            rows = shown.clients if each.key == "client" else _rows(each, n)
            measures[each.name] = replace(shown, clients=rows if seen else ())
        for each in script.counters:
            rows = _rows(each, n) if seen else ()
            counters[each.name] = CounterSnapshot(each, sum(r.count for r in rows), 0.1 * len(rows), rows)
        scripts.append(
            ScriptStatus(
                script.name, script.title, of.tracer.state, 2, script.summary, script.pane, script.figures,
                cost=script.cost,
            )
        )  # fmt: skip
    return replace(out, measures=measures, counters=counters, scripts=tuple(scripts))


def empty() -> Snapshot:
    """Everything is attached, nothing has come."""
    return with_scripts(builders.empty(), 0)


def attaching() -> Snapshot:
    """bpftrace compiles."""
    return with_scripts(builders.empty(State.ATTACHING), 0)


def normal() -> Snapshot:
    """All is well; six clients have every observation behind them, so that one alone has figures, too."""
    return with_scripts(replace(SHOT, measures={**builders.live().measures, **SHOT.measures}))


def failed_script() -> Snapshot:
    """One script could not start; the others go on."""
    whole = normal()
    broken = [
        replace(each, state=State.FAILED, detail="ERROR: no probes to attach") if each.name == "syscalls" else each
        for each in with_scripts(builders.empty(), 0).scripts
    ]
    nothing = with_scripts(builders.empty(), 0)
    figures = next(each.measures for each in broken if each.name == "syscalls")
    measures = {name: nothing.measures[name] if name in figures else each for name, each in whole.measures.items()}
    counters = {name: nothing.counters[name] if name in figures else each for name, each in whole.counters.items()}
    return replace(whole, scripts=tuple(broken), measures=measures, counters=counters)


def flood() -> Snapshot:
    """2,000,000 requests of 100,000 clients and many others in the window; events were lost."""
    of = with_scripts(builders.lossy(builders.live(60_000)))
    shown = of.measures["request_latency"]
    rows = builders.clients(FLOOD, 2_000_000, 99_800)
    summary = replace(shown.summary, count=sum(row.count for row in rows), rate_per_s=33_333.3)
    scale = summary.count // shown.summary.count
    counts = shown.histogram.counts * scale
    histogram = replace(shown.histogram, counts=counts)
    slow = sum(row.slow or 0 for row in rows)
    flooded = replace(shown, summary=summary, histogram=histogram, clients=rows, slow=slow)
    return replace(of, measures={**of.measures, "request_latency": flooded}, slow=builders.slow_requests(300))


MAKERS: Mapping[str, tuple[Callable[[], Snapshot], tuple[str, ...]]] = {
    "empty": (empty, ()),
    "attaching": (attaching, ()),
    "normal": (normal, ()),
    "flood": (flood, ()),
    "failed-script": (failed_script, ()),
    "paused": (normal, ("space",)),
}
"""How each state is made, and the keys that lead to it."""


@lru_cache
def state(name: str) -> Snapshot:
    """The snapshot of a state, made once."""
    return MAKERS[name][0]()
