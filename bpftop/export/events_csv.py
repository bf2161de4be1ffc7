"""Single events as CSV, one row each: ``timestamp_ns,latency_ns,event`` first, then the fields of all streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bpftop.export.table import Cell
from bpftop.model import EventStream, Measure, Names
from bpftop.stats.events import described

Record = tuple[int, tuple[int, ...]]
"""The number of a stream, from 1, and the numbers of one event."""
_SHOWN_AS = {"client_port_be": "client_port"}


class EventTable:
    """The rows of one program's events. ``timestamp_ns`` is Unix time."""

    def __init__(self, measures: Sequence[Measure], streams: Sequence[EventStream], names: Names) -> None:
        by_name = {measure.name: measure for measure in measures}
        self._streams = [(stream, by_name[stream.measure]) for stream in streams]
        self._names = names
        fields = [_SHOWN_AS.get(field, field) for stream in streams for field in stream.fields[2:]]
        self.further = tuple(dict.fromkeys(sorted(fields, key=lambda name: not name.startswith("client"))))

    def header(self) -> Sequence[Cell]:
        """The names of the columns."""
        return "timestamp_ns", "latency_ns", "event", *self.further

    def rows(self, records: Iterable[Record], unix_offset_ns: int) -> Iterator[Sequence[Cell]]:
        """The events in the order of time. ``unix_offset_ns``: unix - boot time."""
        for number, numbers in sorted(records, key=lambda record: record[1][0]):
            stream, measure = self._streams[number - 1]
            found = described(stream, measure, list(numbers), self._names, unix_offset_ns)
            cells: dict[str, Cell] = {"client": found.client, **found.fields, **found.texts}
            yield found.unix_ns, found.latency_ns, found.event, *(cells.get(name) for name in self.further)
