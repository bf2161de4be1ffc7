"""Everything that is shown, at one moment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bpftop.model.figures import ClientRow, CounterSnapshot, History, MeasureSnapshot, Summary
from bpftop.model.standstill import Standstill
from bpftop.model.states import ScriptStatus, TracerStatus
from bpftop.model.target import Target

_MISSED_SINCE = (6, 7)
"""The Linux that counts the runs it leaves out of programs on tracepoints and kprobes."""


@dataclass(frozen=True, slots=True)
class SlowRequest:
    """One event of the events lane, ready to show."""

    unix_ns: int
    event: str
    latency_ns: int
    client: str
    fields: Mapping[str, int] = field(default_factory=dict)
    """The stream's further numbers by name: ``read_queue_ns``, ``client_port``, ``pid``."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """The stream's further keys by name, in words: ``route``, ``syscall``, ``peer``."""


@dataclass(frozen=True, slots=True)
class Recent:
    """One measure in the last ten seconds, beside its own level in the calm seconds before.

    A state begins when 3 of the last 5 seconds are bad and ends after 5 good ones; each is its age in seconds, at
    most 600, None when it is not so.
    """

    now: Summary
    before: Summary
    """Of up to 60 calm seconds before; count 0 while too little is known."""
    limit_ns: int
    """From here on an observation is slow: in a state far beyond the level, otherwise the slowest 1 %."""
    slow: int
    """How many of ``now`` are."""
    rows: Sequence[ClientRow] = ()
    """The keys with the most slow ones, then those with the most observations and the most time: some of each."""
    networks: tuple[ClientRow, ...] = ()
    """The same of /24 and /64 networks, of a measure by client in any of the first, second or last state below."""
    risen_s: float | None = None
    """p99 has risen far beyond its level."""
    late_s: float | None = None
    """A queue that nobody sees in a server that keeps up, whatever its level was."""
    busier_s: float | None = None
    """Observations come at a multiple of their rate."""
    fewer_s: float | None = None
    """Few observations come, or none, where many came."""
    tail_s: float | None = None
    """p99 is long and a multiple of the median."""
    earlier_per_s: Mapping[str, float] = field(default_factory=dict)
    """While ``busier_s``: the rate of each of ``rows`` in the 50 s before that; empty when it is not known."""


@dataclass(frozen=True, slots=True)
class Accounting:
    """produced = shown + suppressed + lost + rejected, since the start, over all event streams."""

    produced: int = 0
    """Candidates counted in the kernel."""
    shown: int = 0
    suppressed: int = 0
    """Held back in the kernel: below the adaptive threshold or above the cap."""
    lost: int = 0
    """Sent by the kernel and never arrived."""
    rejected: int = 0
    """Arrived and not readable."""
    untracked: int = 0
    """Connections that found the kernel's table full: their requests are in no figure."""
    unseen_ns: int = 0
    """Time that no counts are of: from the last ones of a bpftrace to the first of the next, or to the end when it had
    so much before them that they did not come any more."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """The cost of our own probes, from the kernel's BPF statistics; ``None`` where the kernel does not tell."""

    ns_per_hit: float | None = None
    hits_per_s: float | None = None
    cpu_percent: float | None = None
    """Of one CPU."""
    missed: int = 0
    """Hits for which the kernel ran no program of ours since bpftrace started: what happened then is in no figure."""


@dataclass(frozen=True, slots=True)
class Window:
    """The span that the figures cover."""

    label: str
    """``10 s``, ``1 min``, ``5 min``, ``all``."""
    length_s: float | None
    """What was asked for; ``None`` for all."""
    span_s: float
    """What is there: shorter in the first seconds."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a pane, a CSV file or a report shows, at one moment."""

    unix_ns: int
    started_unix_ns: int
    target: Target
    """With the processes and ports as last reported by the kernel."""
    window: Window
    measures: Mapping[str, MeasureSnapshot]
    """By name, in the order of the scripts."""
    slow: Sequence[SlowRequest]
    """Slowest first, inside the window, at most 300 of each stream."""
    accounting: Accounting
    overhead: Overhead
    tracer: TracerStatus
    scripts: tuple[ScriptStatus, ...]
    bpftrace_version: str = ""
    kernel: str = ""
    ticks: int = 0
    """How many times the kernel has reported since the start; 0 = nothing yet."""
    quiet_s: float = 0.0
    """Seconds since the last observation of any measure (since attach when there was none)."""
    counters: Mapping[str, CounterSnapshot] = field(default_factory=dict)
    """What the scripts only count, by name."""
    histories: tuple[History, ...] = ()
    """The seconds behind the figures, for heat maps; one for each bpftrace that runs."""
    recent: Mapping[str, Recent] = field(default_factory=dict)
    """Every measure in the last ten seconds, whatever the window."""
    recent_slow: Sequence[SlowRequest] = ()
    """Like ``slow``, of the last ten seconds, at most 100 of each stream."""
    recent_accounting: Accounting = field(default_factory=lambda: Accounting())
    """The accounts of the last ten seconds alone."""
    recent_missed: int = 0
    """``overhead.missed`` of the last ten seconds alone."""

    standstill: Standstill = field(default_factory=Standstill)
    """Who stands still and who waits, as the kernel says it at this moment."""

    @property
    def unix_offset_ns(self) -> int:
        """Unix time minus boot time, as it is told in this snapshot; 0 when it keeps no seconds."""
        return self.histories[0].unix_offset_ns if self.histories else 0

    @property
    def boot_ns(self) -> int:
        """Its moment by a clock that nobody sets: for differences."""
        return self.unix_ns - self.unix_offset_ns

    @property
    def over_budget(self) -> tuple[str, ...]:
        """A sentence for each script that was stopped because it cost too much, and one when the first ones do."""
        stopped = (f"{script.name} {script.budget}" for script in self.scripts if script.budget)
        return (*filter(None, (self.tracer.budget,)), *stopped)

    def running(self) -> Snapshot:
        """Without the figures of scripts that were stopped: for what is told piece by piece."""
        gone = {name for script in self.scripts if script.budget for name in script.measures}
        if not gone:
            return self
        return replace(
            self,
            measures={name: each for name, each in self.measures.items() if name not in gone},
            counters={name: each for name, each in self.counters.items() if name not in gone},
        )

    @property
    def missed(self) -> int | None:
        """``overhead.missed``; None where the kernel does not count it (trace_call_bpf in kernel/trace/bpf_trace.c)."""
        version = re.match(r"(\d+)\.(\d+)", self.kernel)
        old = version is not None and (int(version[1]), int(version[2])) < _MISSED_SINCE
        return None if old and not self.overhead.missed else self.overhead.missed
