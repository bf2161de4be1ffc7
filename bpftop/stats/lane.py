"""The events lane of a store: single events in a ring for each stream, and the slowest of a window in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bpftop.model import EventStream, Measure, SlowRequest
from bpftop.stats.events import Described, EventRing
from bpftop.stats.exclude import Excluded
from bpftop.stats.joined import HTTP, JOINED, joined
from bpftop.stats.keys import KeyNames

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
        self._described = Described(names)
        self._by_line = any(stream.name == HTTP for stream in streams)
        self.forget()

    def forget(self) -> None:
        """All events go."""
        self.rings = [EventRing(len(stream.fields)) for stream in self.streams]

    def declared(self, records: Records) -> Records:
        """Those that are as their streams declare."""
        return tuple(
            (stream, numbers)
            for stream, numbers in records
            if 1 <= stream <= len(self.rings) and self.rings[stream - 1].fits(numbers)
        )

    def take(self, records: Records, excluded: Excluded) -> Records:
        """Put declared records into their rings, but those of excluded clients; returns them."""
        return tuple(
            (stream, numbers)
            for stream, numbers in records
            if not excluded.drops(self.streams[stream - 1], numbers) and self.rings[stream - 1].append(numbers)
        )

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

    def slow(self, since_ns: int, until_ns: int | None, most: int, unix_offset_ns: int) -> tuple[SlowRequest, ...]:
        """The slowest events of each stream between two moments, slowest first, in Unix time."""
        picked = [ring.slowest(since_ns, most, until_ns) for ring in self.rings]
        twice = [place for place, stream in enumerate(self.streams) if stream.name in JOINED]
        if len(twice) > 1:  # one script's slowest need not be the other's: both halves of each row
            moments = np.concatenate([picked[place][:, 0] for place in twice])
            picked = [self.rings[at].at(moments) if at in twice else rows for at, rows in enumerate(picked)]
        found = [
            event
            for stream, rows in zip(self.streams, picked, strict=True)
            for event in self._described.rows(stream, self._measures[stream.measure], rows, unix_offset_ns)
        ]
        return tuple(sorted(joined(found) if self._by_line else found, key=lambda event: -event.latency_ns))
