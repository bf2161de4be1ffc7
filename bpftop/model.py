"""The vocabulary: frozen values in the field's words. No behaviour beyond properties, no input or output.

Units are in the names: ``_ns`` nanoseconds, ``_s`` seconds. ``boot_ns`` counts from boot (CLOCK_BOOTTIME, the clock of
bpftrace's ``nsecs``); ``unix_ns`` counts from 1970.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:  # bpftrace is started with these words before numpy is loaded
    import numpy as np
    from numpy.typing import NDArray

_MISSED_SINCE = (6, 7)
"""The Linux that counts the runs it leaves out of programs on tracepoints and kprobes."""

# --- targets ----------------------------------------------------------------------------------------------------------


class TargetKind(Enum):
    """How the user named the target."""

    NAME = "name"
    PID = "pid"
    PORT = "port"
    PATH = "path"
    CGROUP = "cgroup"
    """A cgroup, a systemd unit or a container, with everything below it."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process (thread group) as /proc shows it."""

    pid: int
    start_ticks: int
    """Start time in clock ticks since boot: with ``pid`` it names one process for ever (proc_pid_stat(5), field 22)."""
    comm: str
    cmdline: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What is watched: the processes and listening ports of one server."""

    spec: str
    """The words the user typed."""
    kind: TargetKind
    name: str
    """For people: ``nginx``, ``pid 1234``, ``port 8080``."""
    comm: str = ""
    """The name to follow through exec, at most 15 bytes as the kernel keeps it; empty when none is followed."""
    processes: tuple[Process, ...] = ()
    ports: tuple[int, ...] = ()
    places: tuple[tuple[int, int], ...] = ()
    """Network namespace (its inode, 0 for any) and listening port. A port without a place is meant in any namespace."""

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids, ascending."""
        return tuple(p.pid for p in self.processes)


# --- scripts ----------------------------------------------------------------------------------------------------------


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
    cost: str = ""
    """What it takes from a busy server, in words, when that is worth a warning (benchmarks/README.md)."""
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


# --- what a bpftrace run says -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attached:
    """bpftrace says how many probes it attaches (before 0.24: before it does so)."""

    probes: int


@dataclass(frozen=True, slots=True)
class Tick:
    """The interval probe fired: map prints up to the next tick belong to this moment."""

    boot_ns: int


@dataclass(frozen=True, slots=True)
class TickEnd:
    """All map prints of the last tick have arrived."""

    boot_ns: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A CPU is alive and its event buffer is being read."""

    cpu: int


@dataclass(frozen=True, slots=True)
class MapPrint:
    """A printed map. A scalar map has the one key ``""``; tuple values stay lists."""

    name: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Record:
    """One event of the events lane: numbers in the order of its stream's fields."""

    stream: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """bpftrace says that events did not fit its buffer."""

    events: int


@dataclass(frozen=True, slots=True)
class Text:
    """Anything else on stdout: a foreign printf, a warning."""

    line: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that should have been a record or JSON and is not."""

    line: str


Message: TypeAlias = Attached | Tick | TickEnd | Heartbeat | MapPrint | Record | Lost | Text | Rejected

# --- states -----------------------------------------------------------------------------------------------------------


class State(Enum):
    """Where a tracer is in its life."""

    WAITING = "waiting"
    """Nothing to trace yet."""
    ATTACHING = "attaching"
    LIVE = "live"
    STALLED = "stalled"
    """No heartbeat for more than 2 s."""
    STOPPED = "stopped"
    OFF = "off"
    """A script that does not run and could be started."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ScriptStatus:
    """One script at one moment, for the Scripts pane."""

    name: str
    title: str
    state: State
    probes: int = 0
    detail: str = ""
    """Why it failed or what it waits for: one sentence."""
    pane: str = ""
    """The short title of its pane; empty when the fixed panes show its figures."""
    measures: tuple[str, ...] = ()
    """The names of its measures and counters."""
    summary: str = ""
    """What it is for, while it is off."""
    cost: str = ""
    """What it takes from a busy server, in words; empty when that is little."""
    unfit: str = ""
    """Why it cannot be started here; empty when it can."""


@dataclass(frozen=True, slots=True)
class TracerStatus:
    """The bpftrace child at one moment."""

    state: State
    detail: str = ""
    """One sentence for people: ``attaching 9 probes``, ``bpftrace ended with exit code 255``."""
    hint: str = ""
    """The next command to type, when there is one."""
    stderr: tuple[str, ...] = ()
    """The last lines bpftrace wrote on stderr, known harmless ones left out; oldest first."""
    exit_code: int | None = None
    restarts: int = 0
    """After a crash."""
    runs: int = 1
    """How often bpftrace was started, for other processes too: between two runs nothing is counted."""
    lost_messages: int = 0
    """What bpftrace itself says it could not hand over."""
    source: str = "bpftrace"
    """``bpftrace``, ``simulation`` or ``replay``: where the figures come from."""
    rights: str = ""
    """One sentence: as which user what bpftrace says is read and drawn."""


# --- figures ----------------------------------------------------------------------------------------------------------

Counts: TypeAlias = "NDArray[np.int64]"


@dataclass(frozen=True, slots=True)
class Summary:
    """Percentiles of one measure over one window: nearest rank over log-linear buckets, within 0.8 %.

    All ``None`` when ``count`` is 0.
    """

    count: int
    rate_per_s: float
    p50_ns: int | None = None
    p90_ns: int | None = None
    p95_ns: int | None = None
    p99_ns: int | None = None
    p999_ns: int | None = None
    max_ns: int | None = None
    total_ns: int | None = None
    """The time of all observations together, from the middles of the buckets: within 0.8 %."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Non-empty buckets, ascending: ``low_ns <= value < high_ns``. Three int64 arrays of shape (buckets,)."""

    low_ns: Counts
    high_ns: Counts
    counts: Counts


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One client, or whatever else the measure is keyed by, over the window; percentiles within 3 %."""

    client: str
    """The key's name: an address, a syscall … or ``others`` for the rest beyond those kept one by one."""
    count: int
    rate_per_s: float
    p50_ns: int | None
    p99_ns: int | None
    max_ns: int | None
    total_ns: int | None = None
    """The time of all observations together, within 3 %."""
    slow: int | None = None
    """How many of them are among the slow ones of the measure, which ``MeasureSnapshot.slow`` defines."""
    code: int = 0
    """The key itself (bpftop.wire); 0 for ``others``."""


@dataclass(frozen=True, slots=True)
class Trend:
    """One point per slice over the last minutes, oldest first. Arrays of one shape (points,); NaN where nothing was."""

    age_s: NDArray[np.float64]
    """Seconds before the snapshot, descending to 0."""
    rate_per_s: NDArray[np.float64]
    p50_ns: NDArray[np.float64]
    p99_ns: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MeasureSnapshot:
    """One measure over the window."""

    measure: Measure
    summary: Summary
    histogram: Histogram
    clients: tuple[ClientRow, ...]
    """By count, largest first; ``others`` last when there are any."""
    trend: Trend
    slow: int = 0
    """The slow observations, of all keys together: the slowest 1 %, and whatever shares the bucket of p99 with them."""


@dataclass(frozen=True, slots=True)
class CounterSnapshot:
    """One counter over the window."""

    measure: Measure
    count: int
    rate_per_s: float
    rows: tuple[ClientRow, ...] = ()
    """By key, largest count first; ``others`` last when there are any. They have counts and rates only."""


class Names(Protocol):
    """What keys are called."""

    def name(self, measure: Measure, code: int) -> str:
        """The name of a key of this measure."""
        ...

    def of_kind(self, kind: str, code: int) -> str:
        """The name of a key of this kind, one of KEY_KINDS."""
        ...


@dataclass(frozen=True, slots=True)
class Keyed:
    """Counts by key, measure and bucket, 16 buckets per octave. Two arrays of one shape (entries,)."""

    keys: NDArray[np.uint64]
    """Sorted: key << 16 | id of the measure << 10 | bucket (bpftop.wire)."""
    counts: Counts
    incomplete: bool = False
    """What some keys had is only in ``others``."""


@dataclass(frozen=True, slots=True)
class History:
    """The last seconds one by one, up to ten minutes, oldest first, and the single events that are kept.

    The arrays are the store's own and are never changed, so that a snapshot can hold them without a copy.
    bpftop.stats.past makes snapshots of a moment or of one key from them.
    """

    measures: tuple[str, ...] = ()
    unix_ns: tuple[int, ...] = ()
    """When each slice ended."""
    pieces: tuple[tuple[NDArray[np.int64], Counts], ...] = ()
    """Of each slice the places that are not 0, ascending, and their counts; place = position of the measure times the
    number of buckets + bucket."""
    spans_s: tuple[float, ...] = ()
    """How long each slice was; empty when every one was a second."""
    keyed: Keyed | None = None
    """By key, of the whole window."""
    keyed_pieces: tuple[Keyed, ...] = ()
    """By key, of the newest slices (some or all): the last one is that of ``unix_ns[-1]``."""
    streams: tuple[EventStream, ...] = ()
    events: tuple[NDArray[np.int64], ...] = ()
    """The newest records of each stream in no order, shape (records, fields); the first field is boot time (ns)."""
    unix_offset_ns: int = 0
    """Unix time - boot time."""
    names: Names | None = None


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
    rows: tuple[ClientRow, ...] = ()
    """The keys with the most slow ones, then those with the most observations and the most time: some of each."""
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
    """While ``busier_s``: the rate of each of ``rows`` in the 50 s before."""


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
    slow: tuple[SlowRequest, ...]
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
    recent_slow: tuple[SlowRequest, ...] = ()
    """Like ``slow``, of the last ten seconds, at most 100 of each stream."""

    @property
    def missed(self) -> int | None:
        """``overhead.missed``; None where the kernel does not count it (trace_call_bpf in kernel/trace/bpf_trace.c)."""
        version = re.match(r"(\d+)\.(\d+)", self.kernel)
        old = version is not None and (int(version[1]), int(version[2])) < _MISSED_SINCE
        return None if old and not self.overhead.missed else self.overhead.missed
