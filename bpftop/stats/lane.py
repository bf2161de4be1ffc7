"""The events lane of a store: single events in a ring for each stream, and the slowest of a window in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bpftop.model import EventStream, Measure, SlowRequest
from bpftop.stats.events import Described, EventRing, Picked
from bpftop.stats.exclude import Excluded
from bpftop.stats.joined import JOINED, joined
from bpftop.stats.keys import KeyNames
from bpftop.stats.made import Made
from bpftop.wire import HTTP

Records: TypeAlias = tuple[tuple[int, tuple[int, ...]], ...]
"""(stream, numbers) of events."""


class EventsLane:
    """The newest events of each stream, in constant memory."""

    def __init__(self, streams: tuple[EventStream, ...], measures: Mapping[str, Measure], names: KeyNames) -> None:
        """``measures``: by name, at least those of the streams."""
        self.streams = streams
        self._measures = measures
        self._names = names
        self._route_at = [s.fields.index("route") if "route" in s.fields else None for s in streams]
        self._by_line = any(stream.name == HTTP for stream in streams)
        self._together = {stream.name for stream in streams}.issuperset(JOINED)
        self.forget()

    def forget(self) -> None:
        """All events go."""
        self._described = Described(self._names)
        self.rings = [EventRing(len(stream.fields)) for stream in self.streams]

    def declared(self, records: Records) -> Records:
        """Those that are as their streams declare."""
        last = len(self.rings)
        return tuple(each for each in records if 1 <= each[0] <= last and self.rings[each[0] - 1].fits(each[1]))

    def take(self, records: Records, excluded: Excluded) -> Records:
        """Put declared records into their rings, but those of excluded clients; returns them."""
        if excluded:
            records = tuple(each for each in records if not excluded.drops(self.streams[each[0] - 1], each[1]))
        for number, ring in enumerate(self.rings, 1):
            ring.extend([numbers for stream, numbers in records if stream == number])
        return records

    def lines(self, records: Records) -> dict[int, str]:
        """The first lines of the requests among these events."""
        found: dict[int, str] = {}
        for stream, numbers in records:
            place = self._route_at[stream - 1]
            if place is not None and (line := self._names.routes.line(numbers[place])):
                found[numbers[place]] = line
        return found

    def kept(self, until_ns: int | None) -> tuple[NDArray[np.int64], ...]:
        """The events of each stream until a moment (boot time; None: all), shape (events, fields)."""
        events = tuple(ring.kept() for ring in self.rings)
        return tuple(rows[rows[:, 0] <= until_ns] for rows in events) if until_ns is not None else events

    def slow(self, since_ns: int, until_ns: int | None, most: int, unix_offset_ns: int) -> Sequence[SlowRequest]:
        """The slowest events of each stream between two moments, slowest first, in Unix time."""
        picked = [ring.slowest(since_ns, most, until_ns) for ring in self.rings]
        twice = [place for place, stream in enumerate(self.streams) if stream.name in JOINED]
        if len(twice) > 1:  # one script's slowest need not be the other's: both halves of each row
            moments = np.concatenate([picked[place].rows[:, 0] for place in twice])
            picked = [self.rings[at].at(moments) if at in twice else each for at, each in enumerate(picked)]
        return Made(partial(self._in_words, self._described, picked, unix_offset_ns))

    def _in_words(self, described: Described, picked: Sequence[Picked], unix_offset_ns: int) -> tuple[SlowRequest, ...]:
        found = [
            event
            for stream, each in zip(self.streams, picked, strict=True)
            for event in described.rows(stream, self._measures[stream.measure], each, unix_offset_ns)
        ]
        found = joined(found, self._together) if self._by_line else found
        return tuple(sorted(found, key=attrgetter("latency_ns"), reverse=True))
