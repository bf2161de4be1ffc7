"""A snapshot as metric families, whoever reads them: Prometheus in two formats, OpenTelemetry.

Names follow Prometheus: base units, ``_total`` for counters. Every series has the label ``target``; none has a client's
address unless it was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from bpftop import __version__
from bpftop.model import ClientRow, Histogram, MeasureSnapshot, Snapshot, State, losses
from bpftop.text import safe

Labels: TypeAlias = "tuple[tuple[str, str], ...]"
PREFIX = "bpftop"
MOST_CLIENTS = 100
_EVENTS = ("shown", "suppressed", "lost", "rejected")


@dataclass(frozen=True, slots=True)
class Distribution:
    """Everything that one measure has counted since the start."""

    histogram: Histogram
    count: int
    sum_s: float
    """From the middles of the buckets: within 0.8 %."""


@dataclass(frozen=True, slots=True)
class Family:
    """Series of one name."""

    name: str
    """Without prefix, unit and ``_total``."""
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    unit: str = ""
    """``seconds``; empty where there is none, or where it is in the name."""
    series: tuple[tuple[Labels, float | Distribution], ...] = ()

    @property
    def full_name(self) -> str:
        """As Prometheus has it."""
        total = "total" if self.kind == "counter" else ""
        return "_".join(filter(None, (PREFIX, re.sub(r"[^a-zA-Z0-9_]", "_", self.name), self.unit, total)))


@dataclass(slots=True)
class Rising:
    """Counters that never go back: not when an account is settled anew, not when bpftrace is started again."""

    _highest: dict[str, float] = field(default_factory=dict)
    _closed: dict[str, tuple[float, float]] = field(default_factory=dict)

    def highest(self, name: str, value: float) -> float:
        """The largest value so far."""
        self._highest[name] = max(value, self._highest.get(name, 0))
        return self._highest[name]

    def added(self, name: str, value: float) -> float:
        """The sum over all runs of something that begins at 0 with each run."""
        before, last = self._closed.get(name, (0.0, 0.0))
        if value < last:
            before += last
        self._closed[name] = before, value
        return before + value


def families(snapshot: Snapshot, rising: Rising, top: Snapshot | None = None, clients: int = 0) -> list[Family]:
    """All families. ``snapshot`` covers everything since the start; ``rising`` lives as long as the session.

    ``clients``: so many rows of each table over the window of ``top``, as gauges.
    """
    target: Labels = (("target", snapshot.target.name),)
    found = [_measure(measure, target) for measure in snapshot.measures.values()]
    found += [
        Family(name, "counter", f"{counter.measure.title}.", series=((target, rising.highest(name, counter.count)),))
        for name, counter in snapshot.counters.items()
    ]
    found += _own(snapshot, rising, target)
    if top is not None and clients:
        found += _keyed(top, min(clients, MOST_CLIENTS), target)
    return [_harmless(family) for family in found]


def _harmless(family: Family) -> Family:
    """Names of processes, routes and versions may be in its words."""
    series = tuple((tuple((name, safe(word)) for name, word in labels), value) for labels, value in family.series)
    return replace(family, help=safe(family.help), series=series)


def _measure(measure: MeasureSnapshot, target: Labels) -> Family:
    m, s = measure.measure, measure.summary
    told = f"{m.title}: from when {m.start} to when {m.end}."
    whole = Distribution(measure.histogram, s.count, (s.total_ns or 0) / 1e9)
    return Family(m.name, "histogram", told, "seconds", ((target, whole),))


def _own(snapshot: Snapshot, rising: Rising, target: Labels) -> Iterator[Family]:
    """What bpftop says about itself."""
    a, o, t = snapshot.accounting, snapshot.overhead, snapshot.tracer

    def one(name: str, kind: Literal["counter", "gauge"], told: str, value: float, unit: str = "") -> Family:
        return Family(name, kind, told, unit, ((target, value),))

    yield one("tracing", "gauge", "1 while the kernel reports, 0 while nothing is counted.", t.state is State.LIVE)
    yield one("target_processes", "gauge", "Processes of the target.", len(snapshot.target.pids))
    yield one("bpftrace_starts", "counter", "How often bpftrace was started; between, nothing is counted.", t.runs)
    accounts = tuple(
        ((*target, ("outcome", word)), rising.highest(f"events {word}", getattr(a, word))) for word in _EVENTS
    )
    yield Family("events", "counter", "Single slow requests and connections, by what became of them.", "", accounts)
    full = rising.highest("untracked", a.untracked)
    yield one("untracked_connections", "counter", "Connections that found the kernel's table full.", full)
    unseen = rising.highest("unseen", a.unseen_ns / 1e9)
    yield one("unseen", "counter", "Time of which no counts came from bpftrace.", unseen, "seconds")
    if snapshot.missed is not None:
        missed = rising.added("missed", snapshot.missed)
        yield one("probe_misses", "counter", "Hits for which the kernel ran no probe: they are in no figure.", missed)
    told = "Largest share of events, connections, probe hits or time in no figure; above 0.001 figures prove nothing."
    yield one("loss_ratio", "gauge", told, losses(snapshot).share)
    if o.cpu_percent is not None:
        yield one("probe_cpu_ratio", "gauge", "Share of one CPU that the probes take.", o.cpu_percent / 100)
    stopped = tuple(
        ((*target, ("script", each.name)), float(bool(each.budget)))
        for each in snapshot.scripts
        if each.state is not State.OFF
    )
    yield Family("script_stopped", "gauge", "1 for a script that was stopped because it cost too much.", "", stopped)
    versions = (("version", __version__), ("bpftrace", snapshot.bpftrace_version), ("source", t.source))
    yield Family("build_info", "gauge", "What measures: always 1.", "", ((((*target, *versions)), 1.0),))


def _keyed(top: Snapshot, most: int, target: Labels) -> Iterator[Family]:
    """The busiest keys of every table over a window, as gauges: they come and go."""
    span = top.window.label
    rows = [
        ((*target, ("measure", name), ("kind", measure.measure.key), ("key", safe(row.client, 120))), row)
        for name, measure in top.measures.items()
        for row in _busiest(measure, most)
    ]
    rates = tuple((labels, row.rate_per_s) for labels, row in rows)
    yield Family("keyed_per_second", "gauge", f"The busiest clients and other keys, last {span}: rate.", "", rates)
    for name in ("p50", "p99"):
        values = ((labels, getattr(row, f"{name}_ns")) for labels, row in rows)
        series = tuple((labels, value / 1e9) for labels, value in values if value is not None)
        told = f"The busiest clients and other keys, last {span}: {name}, within 3 %."
        yield Family(f"keyed_{name}", "gauge", told, "seconds", series)


def _busiest(measure: MeasureSnapshot, most: int) -> list[ClientRow]:
    return [row for row in measure.clients if row.client != "others"][:most]
