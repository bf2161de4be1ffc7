"""What can be measured, and the programs that do it."""

from __future__ import annotations

from dataclasses import dataclass

KEY_KINDS = ("client", "peer", "pid", "tid", "syscall", "label", "device", "route", "none")
"""What the 48-bit key of an observation can stand for; ``none``: it has no key."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One latency that a script observes, or (``unit`` is ``count``) one thing that it only counts."""

    name: str
    """``request_latency``: the key in JSON and CSV."""
    title: str
    """``Request latency``: for the screen."""
    start: str
    """The moment the clock starts, in words."""
    end: str
    """The moment the clock stops, in words."""
    tells: str = ""
    """What a high value means, in words."""
    key: str = "client"
    """By what it is split in a table: one of KEY_KINDS."""
    labels: tuple[str, ...] = ()
    """The names of the keys 1, 2, …, when ``key`` is ``label``."""
    unit: str = "ns"
    """``ns`` for a latency, ``count`` for a counter."""


@dataclass(frozen=True, slots=True)
class EventStream:
    """One kind of single event that a script sends on the events lane."""

    name: str
    """``request``: the ``event`` column of CSV."""
    measure: str
    """The measure whose observations are its candidates: produced = the count of that measure."""
    fields: tuple[str, ...]
    """Names of the numbers in each record; ``timestamp_ns`` (boot) and ``latency_ns`` come first.

    One that is called like a kind of key (``client``, ``peer``, ``route``, ``syscall``, ``label``) is shown by name.
    """


@dataclass(frozen=True, slots=True)
class Cost:
    """What a script takes from a saturated nginx: medians, each with the bounds of its 95 % interval."""

    rate: tuple[float, float, float]
    """Requests/s as a ratio to those without tracing."""
    added_us: tuple[float, float, float]
    """What a request takes more of the server's CPU."""
    cpu: tuple[float, float, float]
    """CPU time per request without tracing, as a ratio to that with it."""
    ns_per_hit: float | None = None
    """The time of one run of a probe, by the kernel's own statistics."""


@dataclass(frozen=True, slots=True)
class Script:
    """One ``.bt`` file with its header."""

    name: str
    path: str
    title: str
    summary: str
    measures: tuple[Measure, ...]
    streams: tuple[EventStream, ...]
    requires: tuple[str, ...]
    """Attach points that must exist: ``tracepoint:sock:sk_data_ready``."""
    body: str
    counters: tuple[Measure, ...] = ()
    """Things that are counted, not timed: measures whose unit is ``count``."""
    default: bool = False
    """It runs without being asked for."""
    pane: str = ""
    """The short title of its pane; empty for those that the fixed panes show."""
    when: str = ""
    """The trouble in which it helps, in words."""
    unseen: tuple[str, ...] = ()
    """What of its subject it does not see, in words."""
    cost: str = ""
    """What it takes from a busy server, in words, when that is worth a warning before it starts."""
    measured: Cost | None = None
    """What it was measured to take from a saturated nginx; ``None`` for those that nginx is no measure of."""
    needs: str = ""
    """The option that gives a template its attach points: ``--func PATH:SYMBOL``; empty for all others."""
    variant: str = ""
    """``kprobe``: of ``NAME-kprobe.bt``, which measures the same with other attach points; empty for ``NAME.bt``."""
    variants: tuple[Script, ...] = ()
    """What can run in its place where its attach points are missing, in the order to try."""

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of its measures and counters."""
        return tuple(each.name for each in (*self.measures, *self.counters))


@dataclass(frozen=True, slots=True)
class Program:
    """Scripts composed for one target: plain bpftrace. Measure and stream ids are positions in these tuples, from 1.

    ``measures`` has the latencies of all scripts and then their counters.
    """

    text: str
    scripts: tuple[Script, ...]
    measures: tuple[Measure, ...]
    streams: tuple[EventStream, ...]
    argv: tuple[str, ...] = ()
    """Positional parameters, data for ``str($1)``."""
    every_event: bool = False
    """The events lane has no threshold and no cap."""
