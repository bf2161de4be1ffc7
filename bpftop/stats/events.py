"""The last events of one stream, in a ring of fixed size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bpftop.model import EventStream, Measure, Names, SlowRequest
from bpftop.stats.keys import EVENT_KINDS, KeyNames

SIZE = 16_384
KNOWN_EVENTS = 2048
"""Events kept in words."""
_SIGN = 1 << 63


class EventRing:
    """The newest ``size`` records of one stream; each record is ``width`` numbers, the first its boot time in ns."""

    def __init__(self, width: int, size: int = SIZE) -> None:
        self._rows = np.zeros((size, width), np.int64)
        self._next = 0
        self.taken = 0
        """Records taken since the start."""
        self._kept: tuple[int, NDArray[np.int64]] = (0, self._rows[:0].copy())

    def fits(self, numbers: tuple[int, ...]) -> bool:
        """Whether a record has the right number of numbers, of 64 bits each."""
        return len(numbers) == self._rows.shape[1] and all(-_SIGN <= n < _SIGN for n in numbers)

    def append(self, numbers: tuple[int, ...]) -> bool:
        """Take one record; False when it has not the right number of numbers."""
        if not self.fits(numbers):
            return False
        self._rows[self._next] = numbers
        self._next = (self._next + 1) % len(self._rows)
        self.taken += 1
        return True

    def kept(self) -> NDArray[np.int64]:
        """All records in no order, shape (records, width): a copy that later ones do not change."""
        if self._kept[0] != self.taken:
            self._kept = self.taken, self._rows[: min(self.taken, len(self._rows))].copy()
        return self._kept[1]

    def slowest(self, since_boot_ns: int, most: int, until_boot_ns: int | None = None) -> NDArray[np.int64]:
        """The slowest records of a span; at most ``most`` rows."""
        rows = self._rows[: min(self.taken, len(self._rows))]
        rows = rows[rows[:, 0] >= since_boot_ns]
        return slowest(rows if until_boot_ns is None else rows[rows[:, 0] <= until_boot_ns], most)

    def at(self, boot_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The records of these moments."""
        rows = self._rows[: min(self.taken, len(self._rows))]
        return rows[np.isin(rows[:, 0], boot_ns)]


def slowest(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The records with the largest second number (latency), slowest first; at most ``most`` rows."""
    if len(rows) > most:
        rows = rows[np.argpartition(rows[:, 1], -most)[-most:]]
    return rows[np.argsort(~rows[:, 1], kind="stable")]  # not minus: the least number has none


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
        self._known: dict[tuple[str, int, bytes], SlowRequest] = {}
        self._named = -1
        """How much was known by name when they were made."""

    def rows(
        self, stream: EventStream, measure: Measure, rows: NDArray[np.int64], unix_offset_ns: int
    ) -> list[SlowRequest]:
        """The records of one stream, shape (records, fields), as ``described`` gives them."""
        if self._named != self._names.learned or len(self._known) > KNOWN_EVENTS:
            self._known.clear()
            self._named = self._names.learned
        out = []
        for row in rows:
            key = (stream.name, unix_offset_ns, row.tobytes())
            event = self._known.get(key)
            if event is None:
                event = self._known[key] = described(stream, measure, row.tolist(), self._names, unix_offset_ns)
            out.append(event)
        return out
