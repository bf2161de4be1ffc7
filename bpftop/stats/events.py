"""The last events of one stream, in a ring of fixed size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bpftop.model import EventStream, Measure, Names, SlowRequest
from bpftop.stats.keys import EVENT_KINDS, KeyNames

SIZE = 16_384
KNOWN_EVENTS = 2048
"""Events kept in words."""
_SIGN = 1 << 63


class Picked(NamedTuple):
    """Some records of a ring."""

    numbers: NDArray[np.int64]
    """Which ones, counted from the first that was taken; shape (records,)."""
    rows: NDArray[np.int64]
    """Shape (records, width)."""


class EventRing:
    """The newest ``size`` records of one stream; each record is ``width`` numbers, the first its boot time in ns."""

    def __init__(self, width: int, size: int = SIZE) -> None:
        self._width, self._size = width, size
        self._rows, self._end = self._room(), 0
        self.taken = 0
        """Records taken since the start."""

    def _room(self) -> NDArray[np.int64]:
        """For a quarter more, so that the kept ones are moved seldom; column by column: times are looked at alone."""
        return np.zeros((self._size + self._size // 4 + 1, self._width), np.int64, order="F")

    def fits(self, numbers: tuple[int, ...]) -> bool:
        """Whether a record has the right number of numbers, of 64 bits each."""
        return len(numbers) == self._width and min(numbers) >= -_SIGN and max(numbers) < _SIGN

    def extend(self, records: Sequence[tuple[int, ...]]) -> None:
        """Take records that fit."""
        self.taken += len(records)
        records = records[-self._size :]
        if self._end + len(records) > len(self._rows):
            kept = self.kept()
            kept = kept[max(0, len(kept) + len(records) - self._size) :]
            self._rows, self._end = self._room(), len(kept)  # who has the old ones keeps them
            self._rows[: len(kept)] = kept
        if records:
            self._rows[self._end : self._end + len(records)] = records
            self._end += len(records)

    def kept(self) -> NDArray[np.int64]:
        """All records as they came, shape (records, width); later ones do not change what was handed out."""
        return self._rows[max(0, self._end - self._size) : self._end]

    def slowest(self, since_boot_ns: int, most: int, until_boot_ns: int | None = None) -> Picked:
        """The slowest records of a span; at most ``most``."""
        rows = self.kept()
        inside = rows[:, 0] >= since_boot_ns
        if until_boot_ns is not None:
            inside &= rows[:, 0] <= until_boot_ns
        (places,) = inside.nonzero()
        return self._picked(places[_slowest(rows[places, 1], most)])

    def at(self, boot_ns: NDArray[np.int64]) -> Picked:
        """The records of these moments."""
        return self._picked(np.isin(self.kept()[:, 0], boot_ns).nonzero()[0])

    def _picked(self, places: NDArray[np.intp]) -> Picked:
        rows = self.kept()
        return Picked(places + (self.taken - len(rows)), rows[places])


def slowest(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The records with the largest second number (latency), slowest first; at most ``most`` rows."""
    return rows[_slowest(rows[:, 1], most)]


def _slowest(latencies: NDArray[np.int64], most: int) -> NDArray[np.intp]:
    """The places of the largest, largest first."""
    if len(latencies) <= most:
        return (~latencies).argsort(kind="stable")  # not minus: the least number has none
    places = latencies.argpartition(-most)[-most:]
    return places[(~latencies[places]).argsort(kind="stable")]


def described(stream: EventStream, measure: Measure, row: list[int], names: Names, unix_offset_ns: int) -> SlowRequest:
    """One record in words. ``measure``: that of the stream; ``unix_offset_ns``: unix - boot time."""
    fields = dict(zip(stream.fields[2:], row[2:], strict=True))
    client = names.of_kind("client", fields.pop("client")) if "client" in fields else ""
    texts = {field: names.of_kind(field, fields.pop(field)) for field in EVENT_KINDS if field in fields}
    if "label" in fields:
        texts["label"] = names.name(measure, fields.pop("label"))
    if "client_port_be" in fields:
        port = fields.pop("client_port_be") & 0xFFFF
        fields["client_port"] = port >> 8 | (port & 0xFF) << 8
    return SlowRequest(row[0] + unix_offset_ns, stream.name, row[1], client, fields, texts)


class Described:
    """Records in words, each of them made once: most of the slowest are still the slowest a second later."""

    def __init__(self, names: KeyNames) -> None:
        self._names = names
        self._known: dict[str, dict[int, SlowRequest]] = {}
        self._state = (-1, 0)
        """How much was known by name when they were made, and what the clock said."""

    def rows(self, stream: EventStream, measure: Measure, picked: Picked, unix_offset_ns: int) -> list[SlowRequest]:
        """The records of one stream as ``described`` gives them."""
        if self._state != (self._names.learned, unix_offset_ns):
            self._known.clear()
            self._state = self._names.learned, unix_offset_ns
        known = self._known.setdefault(stream.name, {})
        if len(known) > KNOWN_EVENTS:
            known.clear()
        found = [known.get(number) for number in picked.numbers.tolist()]
        out = []
        for place, event in enumerate(found):
            if event is None:
                row = picked.rows[place].tolist()
                event = described(stream, measure, row, self._names, unix_offset_ns)
                known[int(picked.numbers[place])] = event
            out.append(event)
        return out
