"""Figures of one measure: counts, percentiles, rows by key, seconds one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from bpftop.model.scripts import EventStream, Measure

if TYPE_CHECKING:  # bpftrace is started with these words before numpy is loaded
    import numpy as np
    from numpy.typing import NDArray


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

    @property
    def share_of_wall(self) -> float | None:
        """``total_ns`` as a share of the time that was looked at: 1.0 is one thread all the time."""
        return self.total_ns * self.rate_per_s / self.count / 1e9 if self.total_ns is not None and self.count else None


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
    clients: Sequence[ClientRow]
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
    rows: Sequence[ClientRow] = ()
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
    networks: Keyed | None = None
    """What of ``others`` is known by network (/24, IPv6 /64), under the code of the network's own address."""
    missing: bool = False
    """Some counts came without a key: the kernel's map was full."""


@dataclass(frozen=True, slots=True)
class History:
    """The last seconds one by one, up to ten minutes, oldest first, and the single events that are kept.

    The arrays are the store's own and are never changed, so that a snapshot can hold them without a copy.
    bpftop.stats.past makes snapshots of a moment or of one key from them.
    """

    measures: tuple[str, ...] = ()
    unix_ns: Sequence[int] = ()
    """When each slice ended."""
    pieces: tuple[tuple[NDArray[np.int64], Counts], ...] = ()
    """Of each slice the places that are not 0, ascending, and their counts; place = position of the measure times the
    number of buckets + bucket."""
    spans_s: Sequence[float] = ()
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
