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
from bpftop.stats.totals import SHIFT, Fold, KeyedTotals, folded, staying

SLICE_CLIENTS = 1024
"""Clients kept one by one in a slice: the slowest and the most active ones."""
SLICE_NETWORKS = 1024
"""Networks of the other clients that are told apart in a slice."""
MAX_SLICE_ENTRIES = 524_288
"""(client, measure, bucket) entries in all kept slices, of 16 bytes; beyond it the oldest slices are folded."""
OLD_SLICE_CLIENTS = OLD_SLICE_NETWORKS = 16
WHOLE_SLICES = 12
"""The newest slices are never folded: those of the shortest window, and two that are late."""
SHOWN = 1000
SHOWN_SLOW = 250
"""Rows of the busiest clients, and of those with the longest observations and the most slow ones."""
OTHERS = "others"


class ClientSeries:
    """The clients' counts: slices in, windows out.

    ``networks``: as for KeyedTotals.
    """

    def __init__(self, networks: Fold | None = None) -> None:
        self._networks = networks
        self.total = KeyedTotals(networks)
        self._missing = False
        """The kernel's map was full once."""
        self._windows = {length: KeyedTotals(networks) for length in WINDOWS_S}
        self._slices: deque[Keyed] = deque(maxlen=KEPT_SLICES)
        self._entries = 0
        """Of all kept slices together."""
        self._whole = 0
        """Where the slices begin that were never folded."""
        self._told: dict[tuple[int | None, int], Keyed] = {}
        """Windows that were asked for, until the next slice."""

    def add(self, keys: Keys, counts: Counts, overflowed: bool) -> tuple[Keys, Counts, bool]:
        """Take what one tick counted; ``overflowed``: the kernel's map was full, some counts are missing here.

        Returns what is kept of it: sorted unique keys, their counts, and whether some clients are only in others.
        """
        self._told.clear()
        new = self._slice(*merge(keys, counts), overflowed)
        if len(self._slices) == KEPT_SLICES:
            self._entries -= _entries(self._slices[0])
            self._whole = max(self._whole - 1, 0)
        self._slices.append(new)
        self._entries += _entries(new)
        self.total.add_slice(new)
        self.total.folded |= new.incomplete
        self._missing |= overflowed
        for length, window in self._windows.items():
            window.add_slice(new)
            if len(self._slices) > length:
                window.subtract_slice(self._slices[-1 - length])
        self._fold_old()
        return new.keys, new.counts, new.incomplete

    def _slice(self, keys: Keys, counts: Counts, overflowed: bool) -> Keyed:
        whole = Keyed(keys, counts, overflowed, missing=overflowed)
        few = len(keys) <= SLICE_CLIENTS or len(starts(keys >> SHIFT)) <= SLICE_CLIENTS
        return whole if few else self._fewer(whole, SLICE_CLIENTS, SLICE_NETWORKS)

    def _fewer(self, each: Keyed, clients: int, networks: int) -> Keyed:
        """So many clients one by one at most, and of the others so many networks."""
        stay = staying(each.keys, each.counts, clients)
        if stay.all():
            return each
        kept = folded(each.keys, each.counts, stay)
        return Keyed(*kept, True, self._rest(each, stay, networks), each.missing)

    def _rest(self, each: Keyed, stay: NDArray[np.bool_], most: int) -> Keyed | None:
        """The networks of those that do not stay, with those that were known."""
        if self._networks is None:
            return None
        keys, counts = self._networks(each.keys[~stay]), each.counts[~stay]
        if each.networks is not None:
            keys, counts = np.append(keys, each.networks.keys), np.append(counts, each.networks.counts)
        keys, counts = merge(keys, counts)
        return Keyed(*folded(keys, counts, staying(keys, counts, most)))

    def add_earlier(self, keys: Keys, counts: Counts, folded: bool) -> None:
        """Take counts from before all slices, sorted and unique: they are in the total only."""
        self._told.clear()
        self.total.add(keys, counts)
        self.total.folded |= folded
        self._missing |= folded

    def used(self) -> list[int]:
        """The codes of all clients (or other keys) in any total."""
        kept = (self.total, *self._windows.values())
        return list(distinct(np.concatenate([totals.keys >> SHIFT for totals in kept]))[0].tolist())

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
            inside = tuple(islice(self._slices, begin, end))
            incomplete, missing = any(each.incomplete for each in inside), any(each.missing for each in inside)
            return self._windows[slices].keyed(incomplete, missing)
        return together(islice(self._slices, begin, end), self._networks)

    def slices(self, skip: int = 0) -> tuple[Keyed, ...]:
        """Every kept slice but the ``skip`` newest, oldest first."""
        return tuple(islice(self._slices, len(self._slices) - skip))

    def _until(self, end: int) -> Keyed:
        """Everything but the slices from ``end`` on; where one of these was folded, nobody knows who was in it."""
        before = self.total.copy()
        if end < self._whole:
            before.fold_all()
        for each in islice(self._slices, end, None):
            before.subtract_slice(each)
        return before.keyed(False, self._missing)

    def _fold_old(self) -> None:
        """While there are too many entries, the oldest slice that is whole keeps fewer, in the windows, too."""
        while self._entries > MAX_SLICE_ENTRIES and self._whole < len(self._slices) - WHOLE_SLICES:
            place, self._whole = self._whole, self._whole + 1
            old = self._slices[place]
            fewer = self._slices[place] = self._fewer(old, OLD_SLICE_CLIENTS, OLD_SLICE_NETWORKS)
            self._entries += _entries(fewer) - _entries(old)
            for length, window in self._windows.items():
                if place >= len(self._slices) - length:
                    window.subtract_slice(old)
                    window.add_slice(fewer)


def _entries(each: Keyed) -> int:
    return len(each.keys) + (len(each.networks.keys) if each.networks is not None else 0)


def together(slices: Iterable[Keyed], networks: Fold | None = None) -> Keyed:
    """Slices as one."""
    total, incomplete, missing = KeyedTotals(networks), False, False
    for each in slices:
        total.add_slice(each)
        incomplete |= each.incomplete
        missing |= each.missing
    return total.keyed(incomplete, missing)


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
    """The rows of one measure (id from 1), by count, largest first, ``others`` last.

    At most SHOWN busy ones, and those of the rest that are slowest.

    ``everything`` (buckets,) are the global counts of the measure: what clients do not account for is in ``others``.
    """
    slow_from = slow_bucket(everything)
    found = by_key(keyed, measure, slow_from)
    if found is None:
        return ()
    rows = [found.row(i, name, span_s) for i in found.shown().tolist()]
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

    def shown(self) -> NDArray[np.intp]:
        """The busiest and, of many, also the slowest of the rest; by count."""
        busiest = self.busiest()
        if len(busiest) <= SHOWN:
            return busiest
        rest = busiest[SHOWN:]
        by = [np.argsort(-column[rest], kind="stable")[:SHOWN_SLOW] for column in (self.top, self.slow)]
        return np.concatenate([busiest[:SHOWN], rest[np.unique(np.concatenate(by))]])

    def row(self, i: int, name: Callable[[int], str], span_s: float) -> ClientRow:
        """One of them."""
        figures = (int(column[i]) for column in (self.p50, self.p99, self.top, self.total, self.slow, self.codes))
        return ClientRow(name(int(self.codes[i])), int(self.n[i]), self.n[i] / span_s, *figures)


def by_key(keyed: Keyed, measure: int, slow_from: int) -> ByKey | None:
    """One measure (id from 1); slow is what lies in this client's bucket or above. None without observations."""
    keys, counts = of_measure(keyed, measure)
    if not len(keys):
        return None
    codes = keys >> SHIFT
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
