"""A pinned piece of the heat map: the view of its seconds, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from bpftop import units, wire
from bpftop.model import Counts, History, SlowRequest, Snapshot
from bpftop.stats import buckets
from bpftop.stats.clients import bucket_of_key, of_measure
from bpftop.stats.past import between, dense, events_between, history_of, keyed_since, slices_between
from bpftop.ui.histogram import round_duration
from bpftop.ui.view import Box, View


class Pin:
    """Cuts views to the pinned seconds; the last cut is kept, so that a key costs nothing."""

    def __init__(self) -> None:
        self._made: tuple[Snapshot | None, Box | None, Snapshot | None] = (None, None, None)

    def cut(self, view: View) -> View:
        """The view of the seconds of its box; the view itself when nothing is pinned."""
        box = view.box
        if box is None:
            return view
        of, pinned, cut = self._made
        if of is not view.snapshot or pinned != box or cut is None:
            cut = between(view.snapshot, box.from_unix_ns, box.to_unix_ns, when(box))
            self._made = view.snapshot, box, cut
        return replace(view, snapshot=cut, whole=view.snapshot)


def when(box: Box) -> str:
    """``12:00:05 + 2 s``: the seconds of a box."""
    moment = datetime.fromtimestamp(box.from_unix_ns / 1e9).strftime("%H:%M:%S")
    seconds = (box.to_unix_ns - box.from_unix_ns) / 1e9
    return f"{moment} + {units.span(seconds)}" if seconds > 1 else moment


def how_long(box: Box) -> str:
    """``20 ms – 25 ms``: the latencies of a box."""
    return f"{round_duration(box.low_ns)} – {round_duration(box.high_ns)}"


def box_words(box: Box) -> str:
    """``20 ms – 25 ms at 12:00:05``."""
    return f"{how_long(box)} at {when(box)}"


@dataclass(frozen=True, slots=True)
class Part:
    """How much of a piece of the map is a key's: between ``sure`` and ``most``.

    A key's buckets are four times as wide as those of all together. Where one reaches over the edge of the range, those
    of all mostly tell on which side its observations are; only where both sides have some is it not known.
    """

    sure: int = 0
    most: int = 0

    def __str__(self) -> str:
        return units.count(self.most) if self.sure == self.most else f"≤{units.count(self.most)}"


def behind(snapshot: Snapshot, box: Box) -> tuple[list[SlowRequest], list[tuple[str, Part]]]:
    """What is behind a piece of the map: the kept events, slowest first, and the parts by key, largest first."""
    events = [each for each in events_between(snapshot, box.from_unix_ns, box.to_unix_ns) if box.reaches(each)]
    history = slices_between(history_of(snapshot, box.measure), box.from_unix_ns, box.to_unix_ns)
    if history.names is None:
        return events, []
    measure = snapshot.measures[box.measure].measure
    ranked = sorted(in_range(history, box).items(), key=lambda pair: (pair[0] == wire.OTHERS, -pair[1].most))
    return events, [("others" if code == wire.OTHERS else history.names.name(measure, code), n) for code, n in ranked]


def in_range(history: History, box: Box) -> dict[int, Part]:
    """The part of each key in the range of a box, by its code; ``history`` is cut to its seconds."""
    if history.keyed is None or box.measure not in history.measures:
        return {}
    position = history.measures.index(box.measure)
    keys, counts = of_measure(history.keyed, position + 1)
    sure, maybe = _sides(dense(history, position), box)
    index = bucket_of_key(keys)
    codes, where = np.unique(keys >> np.uint64(wire.CLIENT_SHIFT), return_inverse=True)
    sums = np.zeros((2, len(codes)), np.int64)
    np.add.at(sums[0], where, np.where(sure[index], counts, 0))
    np.add.at(sums[1], where, np.where(sure[index] | maybe[index], counts, 0))
    found = zip(codes.tolist(), *sums.tolist(), strict=True)
    return {code: Part(low, high) for code, low, high in found if high}


def _sides(counted: Counts, box: Box) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each key's bucket: whether all, or only some, of what ``counted`` (buckets,) has in it is in the range."""
    middle = np.maximum(buckets.middle(np.arange(buckets.BUCKETS)), 1)
    inside = (box.low_ns <= middle) & (middle < box.high_ns)
    width = 1 << buckets.CLIENT_SHIFT
    there = (counted * inside).reshape(-1, width).sum(axis=1) > 0
    beyond = (counted * ~inside).reshape(-1, width).sum(axis=1) > 0
    return there & ~beyond, there & beyond


def kept_by_key(view: View) -> bool:
    """Whether the pinned seconds are (still) kept by key for the measure of the box; True when nothing is pinned."""
    if view.box is None or view.whole is None:
        return True
    since = keyed_since(history_of(view.whole, view.box.measure))
    return since is not None and since < view.box.to_unix_ns
