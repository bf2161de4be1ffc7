"""What a bpftrace run says, one value for each line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Attached:
    """bpftrace says how many probes it attaches (before 0.24: before it does so)."""

    probes: int


@dataclass(frozen=True, slots=True)
class Tick:
    """The interval probe fired: map prints up to the next tick belong to this moment."""

    boot_ns: int


@dataclass(frozen=True, slots=True)
class TickEnd:
    """All map prints of the last tick have arrived."""

    boot_ns: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A CPU is alive and its event buffer is being read."""

    cpu: int


@dataclass(frozen=True, slots=True)
class MapPrint:
    """A printed map. A scalar map has the one key ``""``; tuple values stay lists."""

    name: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Record:
    """One event of the events lane: numbers in the order of its stream's fields."""

    stream: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """bpftrace says that events did not fit its buffer."""

    events: int


@dataclass(frozen=True, slots=True)
class Text:
    """Anything else on stdout: a foreign printf, a warning."""

    line: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that should have been a record or JSON and is not."""

    line: str
    cut: bool = False
    """The stream ended within it."""


Message: TypeAlias = Attached | Tick | TickEnd | Heartbeat | MapPrint | Record | Lost | Text | Rejected
