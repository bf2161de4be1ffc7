"""What any bpftrace program can print, as frozen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, TypeAlias

from bpftop.model import Overhead


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket of a histogram; both edges belong to it. ``None``: open to that side."""

    low: int | None
    high: int | None
    count: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """What ``hist()`` or ``lhist()`` counted: buckets in ascending order, empty ones between others included."""

    buckets: tuple[Bucket, ...] = ()

    @property
    def count(self) -> int:
        """All observations."""
        return sum(bucket.count for bucket in self.buckets)

    @property
    def entries(self) -> int:
        """The entries that it takes in bpftrace's map: one for each bucket that holds something."""
        return sum(bucket.count > 0 for bucket in self.buckets)

    def quantile(self, share: float) -> Bucket | None:
        """The bucket that holds this quantile by nearest rank: all that is known of it. ``None`` of nothing."""
        rank = math.ceil(share * self.count)
        for bucket in self.buckets:
            rank -= bucket.count
            if rank <= 0 and bucket.count:
                return bucket
        return None


@dataclass(frozen=True, slots=True)
class Stats:
    """What ``stats()`` counted."""

    count: int
    average: int
    total: int


Value: TypeAlias = int | str | Histogram | Stats
Key: TypeAlias = str
"""As bpftrace writes it: parts joined by commas. A map without keys has the one key ``""``."""


@dataclass(frozen=True, slots=True)
class Printed:
    """One print of a map."""

    name: str
    """With its ``@``."""
    keyed: bool
    rows: Mapping[Key, Value]


@dataclass(frozen=True, slots=True)
class Said:
    """Words of the program: ``printf``, ``time``, ``join``, ``cat``, a printed value. Ends with a newline or not."""

    text: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """Words of bpftrace itself on stdout: a warning, a failed helper."""

    text: str


# --- the program ------------------------------------------------------------------------------------------------------

ACCUMULATING = frozenset({"count", "sum", "stats", "hist", "lhist", "++", "+="})
"""What only grows until it is cleared: its change in a second is a rate."""


@dataclass(frozen=True, slots=True)
class MapFacts:
    """What the text of a program tells about one of its maps."""

    name: str
    function: str = ""
    """``hist``, ``count`` …, ``++``, ``+=``; empty for plain values."""
    keys: tuple[str, ...] = ()
    """The expressions between the brackets: ``("pid", "comm")``."""
    printed: bool = False
    """The program prints it while it runs."""
    printed_at_end: bool = False
    cleared: bool = False
    """The program clears or zeroes it while it runs."""
    cleared_at_end: bool = False
    deleted: bool = False
    """The program deletes single keys of it."""
    measured: str = ""
    """The unit of what is counted, where the program's own arithmetic tells: ``(nsecs - @t) / 1000`` is ``us``."""
    title: str = ""
    unit: str = ""
    """The header's."""

    @property
    def hidden(self) -> bool:
        """It is only the program's memory: never printed, and cleared before bpftrace prints what is left."""
        return self.cleared_at_end and not self.printed and not self.printed_at_end

    @property
    def scratch(self) -> bool:
        """Memory of the program that bpftrace prints at the end all the same: start times and the like."""
        return self.deleted and not self.function and not self.printed and not self.printed_at_end

    @property
    def is_table(self) -> bool:
        """It will need more than one row."""
        return bool(self.keys) or self.function in ("hist", "lhist")


@dataclass(frozen=True, slots=True)
class UserScript:
    """A program of the user, read once and checked."""

    path: str
    """As the user typed it."""
    text: str
    title: str
    maps: Mapping[str, MapFacts]
    """In the order of their first mention."""
    max_keys: int | None = None
    """Entries per map, when the program sets that itself."""
    argv: tuple[str, ...] = ()
    """Positional parameters."""


# --- the run ----------------------------------------------------------------------------------------------------------


class RunState(Enum):
    """Where a run is in its life."""

    STARTING = "starting"
    LIVE = "live"
    STOPPING = "stopping"
    """It was asked to end; its last maps are still to come."""
    ENDED = "ended"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Row:
    """One key of a map and its value as last printed."""

    key: tuple[str, ...]
    """Its parts; empty for a map without keys."""
    value: Value
    rate: float | None = None
    """Change in a second: of the value, or of the count of a histogram or of stats. ``None`` before two prints."""
    history: tuple[float, ...] = ()
    """The rates (of what accumulates) or the values of the last minutes, oldest first; empty for large maps."""


@dataclass(frozen=True, slots=True)
class MapView:
    """One map at one moment."""

    facts: MapFacts
    keyed: bool
    rows: tuple[Row, ...] = ()
    """Largest first."""
    printed_unix_ns: int | None = None
    """When it was printed last; ``None``: not yet."""
    prints: int = 0
    full: bool = False
    """It has as many entries as fit: what came later is not in it."""

    @property
    def name(self) -> str:
        """With its ``@``."""
        return self.facts.name

    @property
    def title(self) -> str:
        """For people: the header's word, else the name."""
        return self.facts.title or self.facts.name

    @property
    def is_histogram(self) -> bool:
        """One or several histograms."""
        if self.rows:
            return isinstance(self.rows[0].value, Histogram)
        return self.facts.function in ("hist", "lhist")

    @property
    def is_table(self) -> bool:
        """It needs more than one row."""
        return self.keyed or self.is_histogram


class LogLine(NamedTuple):
    """One line of the log."""

    unix_ns: int
    """When it arrived here."""
    text: str
    own: bool = True
    """The program's words; False: bpftrace's."""


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """Everything about a run at one moment."""

    script: UserScript
    unix_ns: int
    started_unix_ns: int
    live_unix_ns: int | None
    """When bpftrace said that it attaches; ``None``: not yet."""
    ended_unix_ns: int | None
    """When it was asked to end, or ended by itself; detaching may take half a minute more."""
    state: RunState
    detail: str = ""
    """One sentence for people."""
    hint: str = ""
    failed_line: int | None = None
    """The line of the program that bpftrace does not accept."""
    host_fault: bool = False
    """It failed for what this host lacks, not for what the program says."""
    exit_code: int | None = None
    """Of bpftrace; minus the number of a signal."""
    probes: int = 0
    unattached: bool = False
    """None of its probes has found something to attach to: bpftrace up to 0.23 goes on all the same."""
    version: str = ""
    maps: tuple[MapView, ...] = ()
    """Those that have been printed and those that will be, in the order of the program."""
    log: tuple[LogLine, ...] = ()
    """The newest lines."""
    log_head: tuple[str, ...] = ()
    """The first lines of all: often a heading."""
    log_lines: int = 0
    """All lines since the start."""
    log_dropped: int = 0
    """Lines no longer kept."""
    lost: int = 0
    """Events that bpftrace reports as lost."""
    rejected: int = 0
    """Lines of bpftrace that could not be read."""
    stderr: tuple[str, ...] = ()
    overhead: Overhead = field(default_factory=Overhead)

    @property
    def span_s(self) -> float:
        """Seconds since it runs, or that it ran."""
        end = self.ended_unix_ns or self.unix_ns
        return max(end - (self.live_unix_ns or self.started_unix_ns), 0) / 1e9

    @property
    def over(self) -> bool:
        """Nothing more will come."""
        return self.state in (RunState.ENDED, RunState.FAILED)
