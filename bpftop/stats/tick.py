"""What the kernel reported at one tick, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Accounting, Counts

Keys = NDArray[np.uint64]


def _no_keys() -> Keys:
    return np.zeros(0, np.uint64)


def _no_counts() -> Counts:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class TickData:
    """One complete tick. Key and count arrays of one shape (entries,)."""

    boot_ns: int
    counts_keys: Keys = field(default_factory=_no_keys)
    """Keys of ``@counts`` (see bpftop.wire) with cumulative counts; empty when nothing was printed."""
    counts: Counts = field(default_factory=_no_counts)
    client_keys: Keys = field(default_factory=_no_keys)
    """Keys of the printed half of ``@clients``, with counts since that half was last printed."""
    client_counts: Counts = field(default_factory=_no_counts)
    addresses: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """IPv6 client codes with the halves of their addresses."""
    names: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Keys with the words that their names are made from."""
    sent: Mapping[int, int] = field(default_factory=dict)
    """Events sent by stream, cumulative."""
    untracked: int = 0
    target_pids: tuple[int, ...] | None = None
    target_ports: tuple[int, ...] | None = None
    records: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """(stream, numbers) of the events that arrived since the last tick."""
    rejected: int = 0
    """Records that arrived and could not be read, since the last tick."""
    lost: int = 0
    """What bpftrace says it lost since the last tick: events, and now and then something else that it sent itself."""
    unseen_ns: int = 0
    """So much time passed before the run was ended, and its counts did not come any more."""
    late: bool = False
    """It was read long after its time."""
    final: bool = False
    """The dump at the end of a run: nothing follows."""

    def at(self, boot_ns: int) -> TickData:
        """The same, printed late, at that moment."""
        return replace(self, boot_ns=boot_ns, late=True)


def together(first: TickData, second: TickData) -> TickData:
    """Two ticks as one that ends with the second."""
    newer = second if len(second.counts_keys) else first
    return replace(
        second,
        counts_keys=newer.counts_keys,
        counts=newer.counts,
        client_keys=np.concatenate([first.client_keys, second.client_keys]),
        client_counts=np.concatenate([first.client_counts, second.client_counts]),
        addresses={**first.addresses, **second.addresses},
        names={**first.names, **second.names},
        sent=second.sent or first.sent,
        untracked=max(first.untracked, second.untracked),
        target_pids=first.target_pids if second.target_pids is None else second.target_pids,
        target_ports=first.target_ports if second.target_ports is None else second.target_ports,
        records=first.records + second.records,
        rejected=first.rejected + second.rejected,
        lost=first.lost + second.lost,
        late=first.late or second.late,
    )


@dataclass(frozen=True, slots=True)
class Named:
    """What keys are called, by code."""

    addresses: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    words: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    routes: Mapping[int, str] = field(default_factory=dict)
    lines: Mapping[int, str] = field(default_factory=dict)
    """First lines of single requests."""
    processes: Mapping[int, str] = field(default_factory=dict)
    """The names of processes and threads."""
    devices: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slice:
    """What one tick added to the store: everything it keeps, nothing twice. A recording is made of these."""

    boot_ns: int
    span_ns: int
    """The time it covers."""
    places: Counts = field(default_factory=_no_counts)
    """Where something was counted, ascending: position of the measure times BUCKETS plus bucket; shape (entries,)."""
    counts: Counts = field(default_factory=_no_counts)
    """How much, same shape."""
    client_keys: Keys = field(default_factory=_no_keys)
    """Keys as in ``@clients`` (see bpftop.wire), ascending, those of routes instead of lines; shape (keys,)."""
    client_counts: Counts = field(default_factory=_no_counts)
    overflowed: bool = False
    """Some clients are only among the others."""
    records: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """(stream, numbers) of the events that were as declared."""
    accounting: Accounting = field(default_factory=Accounting)
    """As settled by this tick."""
    names: Named = field(default_factory=Named)
    """Those that were not known before."""
    final: bool = False
