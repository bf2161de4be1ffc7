"""Counts per client over time: bounded, with everything beyond the bound in ``others``, so that sums stay exact."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from bpftop import wire
from bpftop.model import ClientRow, Counts, Keyed, Summary
from bpftop.stats import buckets
from bpftop.stats.distinct import distinct, merge, starts
from bpftop.stats.quantiles import grouped_ranks, nearest_rank
from bpftop.stats.series import KEPT_SLICES, WINDOWS_S
from bpftop.stats.tick import Keys

SLICE_CLIENTS = 1024
"""Clients kept one by one in a slice; the others are the least active ones."""
MAX_SLICE_ENTRIES = 262_144
"""(client, measure, bucket) entries in all kept slices; beyond it those older than the windows are folded."""
OLD_SLICE_CLIENTS = 64
MAX_KEYS = 65_536
"""(client, measure, bucket) entries in a total; beyond it the least active clients are folded."""
SHOWN = 1000
OTHERS = "others"
_LOW = np.uint64((1 << wire.CLIENT_SHIFT) - 1)
_SHIFT = np.uint64(wire.CLIENT_SHIFT)


class KeyedTotals:
    """A sum of counts by key, with sorted keys: adding and taking away a slice costs some microseconds."""

    def __init__(self) -> None:
        self.keys: Keys = np.zeros(0, np.uint64)
        self.counts: Counts = np.zeros(0, np.int64)
        self.folded = False
        """Some clients were folded into others."""

    def add(self, keys: Keys, counts: Counts) -> None:
        """Add a slice; its keys are sorted and unique."""
        at, known = self._places(keys)
        if known.all():
            self.counts[at] += counts
            return
        self.counts[at[known]] += counts[known]
        self._insert(at[~known], keys[~known], counts[~known])
        if len(self.keys) > MAX_KEYS:
            self._purge()
            if len(self.keys) > MAX_KEYS:
                self._replace(*fold(self.keys, self.counts, _clients_that_fit(self.keys, self.counts)))
                self.folded = True

    def subtract(self, keys: Keys, counts: Counts) -> None:
        """Take an earlier slice away; what was folded meanwhile is taken from others."""
        at, known = self._places(keys)
        if known.all():
            self.counts[at] -= counts
        else:
            self.counts[at[known]] -= counts[known]
            self._replace(*merge(np.append(self.keys, keys[~known] & _LOW), np.append(self.counts, -counts[~known])))
        if len(self.keys) > 64 and np.count_nonzero(self.counts) < len(self.counts) // 2:
            self._purge()

    def _places(self, keys: Keys) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Where each key is or belongs, and which are there."""
        at = self.keys.searchsorted(keys)
        if not len(self.keys):
            return at, np.zeros(len(keys), np.bool_)
        return at, self.keys.take(at, mode="clip") == keys

    def _insert(self, at: NDArray[np.intp], keys: Keys, counts: Counts) -> None:
        """Put new keys in front of these places, both ascending."""
        places = at + np.arange(len(at))
        old = np.ones(len(self.keys) + len(keys), np.bool_)
        old[places] = False
        more_keys, more_counts = np.empty(len(old), np.uint64), np.empty(len(old), np.int64)
        more_keys[places], more_counts[places] = keys, counts
        more_keys[old], more_counts[old] = self.keys, self.counts
        self._replace(more_keys, more_counts)

    def _purge(self) -> None:
        kept = self.counts != 0
        self._replace(self.keys[kept], self.counts[kept])

    def _replace(self, keys: Keys, counts: Counts) -> None:
        self.keys, self.counts = keys, counts


class ClientSeries:
    """The clients' counts: slices in, windows out."""

    def __init__(self) -> None:
        self.total = KeyedTotals()
        self._windows = {length: KeyedTotals() for length in WINDOWS_S}
        self._slices: deque[Keyed] = deque(maxlen=KEPT_SLICES)
        self._entries = 0
        """Of all kept slices together."""
        self._told: dict[tuple[int | None, int], Keyed] = {}
        """Windows that were asked for, until the next slice."""

    def add(self, keys: Keys, counts: Counts, overflowed: bool) -> tuple[Keys, Counts, bool]:
        """Take what one tick counted; ``overflowed``: the kernel's map was full, some counts are missing here.

        Returns what is kept of it: sorted unique keys, their counts, and whether some clients are only in others.
        """
        self._told.clear()
        keys, counts = merge(keys, counts)
        if len(keys) > SLICE_CLIENTS < len(starts(keys >> _SHIFT)):
            keys, counts = fold(keys, counts, SLICE_CLIENTS)
            overflowed = True
        if len(self._slices) == KEPT_SLICES:
            self._entries -= len(self._slices[0].keys)
        self._slices.append(Keyed(keys, counts, overflowed))
        self._entries += len(keys)
        self._fold_old()
        self.total.add(keys, counts)
        self.total.folded |= overflowed
        for length, window in self._windows.items():
            window.add(keys, counts)
            if len(self._slices) > length:
                old = self._slices[-1 - length]
                window.subtract(old.keys, old.counts)
        return keys, counts, overflowed

    def add_earlier(self, keys: Keys, counts: Counts, folded: bool) -> None:
        """Take counts from before all slices, sorted and unique: they are in the total only."""
        self._told.clear()
        self.total.add(keys, counts)
        self.total.folded |= folded

    def used(self) -> list[int]:
        """The codes of all clients (or other keys) in any total."""
        kept = (self.total, *self._windows.values())
        return list(distinct(np.concatenate([totals.keys >> _SHIFT for totals in kept]))[0].tolist())

    def window(self, length_s: float | None, skip: int = 0) -> Keyed:
        """The totals of a window, which later slices do not change; incomplete: some clients are only in ``others``.

        ``skip``: so many of the newest slices are left out, for a window that ended in the past.
        """
        slices = None if length_s is None else int(length_s)
        found = self._told.get((slices, skip))
        if found is None:
            found = self._told[slices, skip] = self._window(slices, len(self._slices) - skip)
        return found

    def _window(self, slices: int | None, end: int) -> Keyed:
        if slices is None:
            return self._until(end)
        begin = max(0, end - slices)
        if slices in self._windows and end == len(self._slices):
            window = self._windows[slices]
            incomplete = window.folded or any(each.incomplete for each in islice(self._slices, begin, end))
            return Keyed(window.keys, window.counts.copy(), incomplete)
        return together(islice(self._slices, begin, end))

    def slices(self, skip: int = 0) -> tuple[Keyed, ...]:
        """Every kept slice but the ``skip`` newest, oldest first."""
        return tuple(islice(self._slices, len(self._slices) - skip))

    def _until(self, end: int) -> Keyed:
        """Everything but the slices from ``end`` on."""
        before = KeyedTotals()
        before.keys, before.counts, before.folded = self.total.keys, self.total.counts.copy(), self.total.folded
        for each in islice(self._slices, end, None):
            before.subtract(each.keys, each.counts)
        return Keyed(before.keys, before.counts, before.folded)

    def _fold_old(self) -> None:
        """A slice that no running total needs any more keeps fewer clients, when many are kept in all."""
        place = len(self._slices) - max(WINDOWS_S) - 2
        if self._entries > MAX_SLICE_ENTRIES and place >= 0:
            old = self._slices[place]
            keys, counts = fold(old.keys, old.counts, OLD_SLICE_CLIENTS)
            self._entries += len(keys) - len(old.keys)
            self._slices[place] = Keyed(keys, counts, old.incomplete or len(keys) < len(old.keys))


def together(slices: Iterable[Keyed]) -> Keyed:
    """Slices as one."""
    total, incomplete = KeyedTotals(), False
    for each in slices:
        total.add(each.keys, each.counts)
        incomplete |= each.incomplete
    return Keyed(total.keys, total.counts, incomplete or total.folded)


def fold(keys: Keys, counts: Counts, kept: int) -> tuple[Keys, Counts]:
    """Move all but the ``kept`` most active clients to ``others``; the sum per measure and bucket stays."""
    clients = keys >> _SHIFT
    unique, inverse = distinct(clients)
    activity = np.zeros(len(unique), np.int64)
    np.add.at(activity, inverse, counts)
    small = np.ones(len(unique), np.bool_)
    if kept:
        small[np.argpartition(activity, -min(kept, len(unique)))[-kept:]] = False
    return merge(np.where(small[inverse], keys & _LOW, keys), counts)


def _clients_that_fit(keys: Keys, counts: Counts) -> int:
    """How many of the most active clients leave half of the room free; ``keys`` are sorted."""
    begins = starts(keys >> _SHIFT)
    entries = np.diff(np.append(begins, len(keys)))
    order = np.argsort(-np.add.reduceat(counts, begins))
    return int(np.searchsorted(np.cumsum(entries[order]), MAX_KEYS // 2, side="right"))


def slow_bucket(counts: Counts) -> int:
    """The client's bucket that the p99 of ``counts`` (buckets,) lies in: slow is what lies in it or above."""
    return int(nearest_rank(counts, (0.99,))[0]) >> buckets.CLIENT_SHIFT if counts.any() else buckets.CLIENT_BUCKETS


def slow_bucket_of(summary: Summary) -> int:
    """The same, of counts that have been summed up."""
    if summary.p99_ns is None:
        return buckets.CLIENT_BUCKETS
    return buckets.bucket_of_one(summary.p99_ns) >> buckets.CLIENT_SHIFT


def slow_count(counts: Counts, slow_from: int) -> int:
    """How many of ``counts`` (buckets,) lie in this client's bucket or above."""
    return int(counts[slow_from << buckets.CLIENT_SHIFT :].sum())


def of_measure(keyed: Keyed, measure: int) -> tuple[Keys, Counts]:
    """The keys and counts of one measure (id from 1) that are not 0."""
    mine = ((keyed.keys >> np.uint64(wire.CLIENT_MEASURE_SHIFT)) & np.uint64(wire.CLIENT_MEASURE_MASK)) == measure
    mine &= keyed.counts > 0
    return keyed.keys[mine], keyed.counts[mine]


def bucket_of_key(keys: Keys) -> Counts:
    """The bucket in each key; shape (entries,)."""
    return (keys & np.uint64(wire.CLIENT_BUCKET_MASK)).astype(np.int64)


def client_rows(
    keyed: Keyed, measure: int, span_s: float, everything: Counts, name: Callable[[int], str]
) -> tuple[ClientRow, ...]:
    """The rows of one measure (id from 1), by count, largest first; at most SHOWN, ``others`` last.

    ``everything`` (buckets,) are the global counts of the measure: what clients do not account for is in ``others``.
    """
    slow_from = slow_bucket(everything)
    found = by_key(keyed, measure, slow_from)
    if found is None:
        return ()
    rows = [found.row(i, name, span_s) for i in found.busiest()[:SHOWN].tolist()]
    rest = int(everything.sum()) - sum(row.count for row in rows)
    if rest > 0 and (keyed.incomplete or len(found.codes) > len(rows)):
        slow_rest = max(slow_count(everything, slow_from) - sum(row.slow or 0 for row in rows), 0)
        rows.append(ClientRow(OTHERS, rest, rest / span_s, None, None, None, slow=slow_rest))
    return tuple(rows)


def bare(row: ClientRow) -> ClientRow:
    """A row of a counter: it has no times."""
    return replace(row, p50_ns=None, p99_ns=None, max_ns=None, total_ns=None, slow=None)


@dataclass(frozen=True, slots=True)
class ByKey:
    """The figures of one measure by key, in columns of one shape (keys,); ``others`` may be among them."""

    codes: Keys
    n: Counts
    p50: Counts
    p99: Counts
    top: Counts
    total: Counts
    slow: Counts

    def busiest(self) -> NDArray[np.intp]:
        """Their positions by count, largest first, without ``others``."""
        order: NDArray[np.intp] = np.argsort(-self.n, kind="stable")
        kept: NDArray[np.intp] = order[self.codes[order] != wire.OTHERS]
        return kept

    def row(self, i: int, name: Callable[[int], str], span_s: float) -> ClientRow:
        """One of them."""
        figures = (int(column[i]) for column in (self.p50, self.p99, self.top, self.total, self.slow, self.codes))
        return ClientRow(name(int(self.codes[i])), int(self.n[i]), self.n[i] / span_s, *figures)


def by_key(keyed: Keyed, measure: int, slow_from: int) -> ByKey | None:
    """One measure (id from 1); slow is what lies in this client's bucket or above. None without observations."""
    keys, counts = of_measure(keyed, measure)
    if not len(keys):
        return None
    codes = keys >> _SHIFT
    begins = starts(codes)
    codes = codes[begins]
    index = bucket_of_key(keys)
    p50, p99 = (buckets.client_middle(index[grouped_ranks(counts, begins, q)]) for q in (0.5, 0.99))
    return ByKey(
        codes,
        np.add.reduceat(counts, begins),
        p50,
        p99,
        buckets.client_middle(index[np.append(begins[1:], len(index)) - 1]),
        np.add.reduceat(counts * buckets.client_middle(index), begins),
        np.add.reduceat(np.where(index >= slow_from, counts, 0), begins),
    )
