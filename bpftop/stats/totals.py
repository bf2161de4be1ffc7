"""Sums of counts by key, bounded: what does not fit goes into ``others``, by network where it has one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bpftop import wire
from bpftop.model import Counts, Keyed
from bpftop.stats.distinct import merge, starts
from bpftop.stats.tick import Keys

MAX_KEYS = 65_536
"""(client, measure, bucket) entries in a total; beyond it some clients are folded."""
FOR_SLOW = 4
"""One in so many of the clients kept is kept for its slowest observation, not for how many it has."""
SHIFT = np.uint64(wire.CLIENT_SHIFT)
LOW = np.uint64((1 << wire.CLIENT_SHIFT) - 1)
Fold = Callable[[Keys], Keys]
"""What the keys of clients that are not kept count as: keys of their networks, or of ``others``."""


class KeyedTotals:
    """A sum of counts by key, with sorted keys: adding and taking away a slice costs some microseconds.

    ``networks`` says which keys clients that are folded count as besides; without it they are in ``others`` only.
    """

    def __init__(self, networks: Fold | None = None) -> None:
        self.keys: Keys = np.zeros(0, np.uint64)
        self.counts: Counts = np.zeros(0, np.int64)
        self.folded = False
        """Some clients were folded into others."""
        self._networks = networks
        self._rest: KeyedTotals | None = None
        """What of ``others`` is known by network."""

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
                self._fold()

    def subtract(self, keys: Keys, counts: Counts) -> None:
        """Take an earlier slice away; what was folded meanwhile is taken from others."""
        at, known = self._places(keys)
        if known.all():
            self.counts[at] -= counts
        else:
            self.counts[at[known]] -= counts[known]
            self._subtract_folded(keys[~known], counts[~known])
        if len(self.keys) > 64 and np.count_nonzero(self.counts) < len(self.counts) // 2:
            self._purge()

    def _subtract_folded(self, keys: Keys, counts: Counts) -> None:
        self._replace(*merge(np.append(self.keys, keys & LOW), np.append(self.counts, -counts)))
        if self._rest is not None and self._networks is not None:
            self._rest.subtract(*merge(self._networks(keys), counts))

    def add_slice(self, each: Keyed) -> None:
        """Add a slice with what is known of its others by network."""
        self.add(each.keys, each.counts)
        if each.networks is not None:
            self._add_rest(each.networks.keys, each.networks.counts)

    def subtract_slice(self, each: Keyed) -> None:
        """Take such a slice away."""
        self.subtract(each.keys, each.counts)
        if each.networks is not None and self._rest is not None:
            self._rest.subtract(each.networks.keys, each.networks.counts)

    def copy(self) -> KeyedTotals:
        """Another one with the same counts."""
        new = KeyedTotals(self._networks)
        new.keys, new.counts, new.folded = self.keys, self.counts.copy(), self.folded
        new._rest = None if self._rest is None else self._rest.copy()
        return new

    def fold_all(self) -> None:
        """Keep nobody one by one, and no network: sums only."""
        self._replace(*merge(self.keys & LOW, self.counts))
        self._rest, self.folded = None, True

    def keyed(self, incomplete: bool, missing: bool) -> Keyed:
        """The counts of this moment, which later slices do not change."""
        rest = None if self._rest is None else self._rest.keyed(False, False)
        return Keyed(self.keys, self.counts.copy(), incomplete or self.folded, rest, missing)

    def _add_rest(self, keys: Keys, counts: Counts) -> None:
        if self._rest is None:
            self._rest = KeyedTotals()
        self._rest.add(keys, counts)

    def _fold(self) -> None:
        """Leave half of the room free."""
        stay = staying(self.keys, self.counts, room=MAX_KEYS // 2)
        if self._networks is not None:
            self._add_rest(*merge(self._networks(self.keys[~stay]), self.counts[~stay]))
        self._replace(*folded(self.keys, self.counts, stay))
        self.folded = True

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


def folded(keys: Keys, counts: Counts, stay: NDArray[np.bool_]) -> tuple[Keys, Counts]:
    """Move all entries but those that ``stay`` to ``others``; the sum per measure and bucket remains."""
    return merge(np.where(stay, keys, keys & LOW), counts)


def staying(keys: Keys, counts: Counts, clients: int | None = None, room: int | None = None) -> NDArray[np.bool_]:
    """Which entries (sorted, unique keys) are of the clients worth keeping: the slowest, then the most active ones.

    So many ``clients`` at most, or those whose entries together fit into ``room``. A client that is slow and rare must
    not be lost among many that are neither.
    """
    begins = starts(keys >> SHIFT)
    entries = np.diff(np.append(begins, len(keys)))
    active = np.argsort(-np.add.reduceat(counts, begins), kind="stable") if len(begins) else begins
    limit = len(begins) if clients is None else clients
    most = len(_that_fit(entries[active], room, limit)) // FOR_SLOW
    slow = _slowest(keys, counts, begins, most)
    order = np.concatenate([slow, active[~np.isin(active, slow)]])
    kept = np.zeros(len(begins), np.bool_)
    kept[order[: len(_that_fit(entries[order], room, limit))]] = True
    return np.repeat(kept, entries)


def _that_fit(entries: Counts, room: int | None, limit: int) -> Counts:
    """The first of these clients, by the number of their entries, that fit into the room."""
    fitting = len(entries) if room is None else int(np.searchsorted(np.cumsum(entries), room, side="right"))
    return entries[: min(fitting, limit)]


def _slowest(keys: Keys, counts: Counts, begins: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """The positions of at most so many clients: those with the highest buckets of each measure, of counters the most.

    Equal buckets: who has more in them comes first.
    """
    own = (keys >> SHIFT) != wire.OTHERS
    measures = ((keys >> np.uint64(wire.CLIENT_MEASURE_SHIFT)) & np.uint64(wire.CLIENT_MEASURE_MASK)).astype(np.int64)
    present = np.flatnonzero(np.bincount(measures[own]))
    each = most // max(len(present), 1)
    if not each:
        return np.zeros(0, np.intp)
    weight = (keys & np.uint64(wire.CLIENT_BUCKET_MASK)).astype(np.float64) + 1 - 1 / (1 + np.maximum(counts, 0))
    found = []
    for measure in present.tolist():
        mine = np.flatnonzero(own & (measures == measure) & (counts > 0))
        top = mine[np.argsort(-weight[mine], kind="stable")[: 4 * each]]
        clients = np.searchsorted(begins, top, side="right") - 1
        _, first = np.unique(clients, return_index=True)
        found.append(clients[np.sort(first)][:each])
    positions: NDArray[np.intp] = np.unique(np.concatenate(found)).astype(np.intp)
    return positions
