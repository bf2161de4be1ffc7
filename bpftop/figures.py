"""The figures of one bpftrace and what is known about it: all that a snapshot is made of. Live and replayed alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from bpftop.model import (
    Accounting,
    EventStream,
    Measure,
    Overhead,
    Program,
    ScriptStatus,
    Snapshot,
    Standstill,
    State,
    Target,
    TracerStatus,
    Window,
)
from bpftop.stats.keys import KeyNames
from bpftop.stats.levels import NOW_S
from bpftop.stats.moments import Moment, Moments
from bpftop.stats.store import RECENT_SLOW, Store
from bpftop.stats.tick import Named, Slice, TickData
from bpftop.units import span

RECENT_NS = NOW_S * 10**9
WINDOW_LABELS = {10.0: "10 s", 60.0: "1 min", 300.0: "5 min", None: "all"}


@dataclass(frozen=True, slots=True)
class Status:
    """What is known besides counts, at one moment."""

    target: Target
    tracer: TracerStatus
    overhead: Overhead
    started_ns: int = 0
    """Boot time of the last start of bpftrace."""
    offset_ns: int = 0
    """Unix time minus boot time."""
    standstill: Standstill = field(default_factory=Standstill)
    steady_ns: int | None = None
    """Unix time minus boot time of the frames, which no setting of the clock moves; ``None``: as ``offset_ns``."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One change of the figures: what a recording keeps, in order. ``part`` or ``status`` may be missing."""

    unix_ns: int
    """When it was known, by a clock that never goes back."""
    part: Slice | None = None
    status: Status | None = None
    """Only when it is another one."""


Tap = Callable[[Frame], None]
"""Gets each frame from the thread that reads bpftrace: it must be quick and may not raise."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a recording that begins in the middle has to know."""

    unix_ns: int
    names: Named
    accounting: Accounting


@dataclass(frozen=True, slots=True)
class Declared:
    """What a program measures, without the scripts themselves."""

    measures: tuple[Measure, ...]
    streams: tuple[EventStream, ...]
    scripts: tuple[ScriptStatus, ...]
    text: str = ""
    """The program as bpftrace gets it."""

    @classmethod
    def of(cls, program: Program) -> Declared:
        """What this program measures."""
        return cls(program.measures, program.streams, script_states(program), program.text)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where figures come from; does not change."""

    bpftrace_version: str
    kernel: str
    started_unix_ns: int
    """By the clock of the frames."""


class Figures:
    """Frames in, snapshots out. Not thread-safe."""

    def __init__(self, declared: Declared, origin: Origin, status: Status, map_keys: int, names: KeyNames) -> None:
        self.declared, self.origin, self.status = declared, origin, status
        self.names = names
        self._moments = Moments()
        self.store = Store(declared.measures, declared.streams, map_keys, names=names)

    def ingest(self, tick: TickData) -> Slice:
        """Take a tick; what it added. The status is as it was in front of it."""
        part = self.store.ingest(tick)
        self._remember(part)
        return part

    def take(self, frame: Frame) -> None:
        """Apply a frame of other figures."""
        if frame.part is not None:
            self.store.take(frame.part)
            self._remember(frame.part)
        if frame.status is not None:
            self.status = frame.status

    def reset(self) -> None:
        """Forget all figures."""
        self.store.reset()
        self._moments = Moments(self._moments.last)

    def _remember(self, part: Slice) -> None:
        self._moments.add(
            Moment(part.boot_ns, part.accounting, self.status.overhead, self.status.target, self.status.standstill)
        )

    def snapshot(self, window_s: float | None, unix_ns: int, until_unix_ns: int | None = None) -> Snapshot:
        """Everything about a window (None: all), as seen at that moment.

        ``until_unix_ns``: as it was at that moment before, of the last ten minutes; states are those of now.
        """
        store, status = self.store, self.status
        offset = status.offset_ns
        until = None if until_unix_ns is None else until_unix_ns - offset
        past = None if until is None else self._moments.at(until)
        if past is not None and until is not None:
            if until < store.first_ns:  # a script that was started later than the others: it knew nothing then
                past = Moment(until, Accounting(), Overhead(), past.target)
            until = max(until, past.boot_ns)
        seen = store.last_seen_ns or status.started_ns
        recent_accounting, recent_missed = self._moments.within(past or self._moments.last, RECENT_NS)
        return Snapshot(
            unix_ns=unix_ns if until is None else until + offset,
            started_unix_ns=self.origin.started_unix_ns
            + (0 if status.steady_ns is None else offset - status.steady_ns),
            target=past.target if past else status.target,
            window=Window(
                WINDOW_LABELS.get(window_s, span(window_s or 0)), window_s, round(store.span_s(window_s, until), 3)
            ),
            measures=store.measures(window_s, until),
            slow=store.slow(window_s, offset, until),
            accounting=past.accounting if past else store.accounting,
            overhead=past.overhead if past else status.overhead,
            tracer=status.tracer,
            scripts=self._scripts(),
            bpftrace_version=self.origin.bpftrace_version,
            kernel=self.origin.kernel,
            ticks=store.ticks,
            quiet_s=0.0 if past else max(0.0, (unix_ns - offset - seen) / 1e9),
            counters=store.counters(window_s, until),
            histories=(store.history(window_s, offset, until),),
            recent=store.recent(until),
            standstill=store.excluded.without(past.standstill if past else status.standstill),
            recent_slow=store.slow(float(NOW_S), offset, until, RECENT_SLOW),
            recent_accounting=recent_accounting,
            recent_missed=recent_missed,
        )

    def _scripts(self) -> tuple[ScriptStatus, ...]:
        return tuple(replace(script, state=self.status.tracer.state) for script in self.declared.scripts)


def script_states(program: Program) -> tuple[ScriptStatus, ...]:
    """The scripts of a program as the Scripts pane shows them."""
    return tuple(
        ScriptStatus(
            script.name,
            script.title,
            State.ATTACHING,
            _probe_count(script.body),
            f"{script.variant} variant: {script.summary}" if script.variant else script.summary,
            script.pane,
            script.figures,
            cost=script.cost,
        )
        for script in program.scripts
    )


def _probe_count(body: str) -> int:
    return sum(
        line.startswith(("tracepoint:", "kprobe:", "kretprobe:", "uprobe:", "usdt:")) for line in body.splitlines()
    )
