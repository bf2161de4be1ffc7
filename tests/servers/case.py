"""What a server is, what a client did, and what bpftop must say about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

REQUESTS = ("request_latency", "response_time", "read_queue_latency")
CONNECTIONS = ("accept_queue_latency", "connection_duration")
UPSTREAM = "upstream_latency"


class Missing(Exception):
    """A program that this server needs is not installed: the message is the package."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one client address did, by the client's own count."""

    requests: int = 0
    connections: int = 0
    bursts: int = 0
    """Requests sent together count as one; as many as requests where none are."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.requests + other.requests, self.connections + other.connections, self.bursts + other.bursts)


Work = Mapping[str, Tally]
"""By client address."""


@dataclass(frozen=True, slots=True)
class Expect:
    """How many observations a measure must have for what a client did: at least ``low``, at most ``high``."""

    text: str
    """The cell of the table."""
    low: Callable[[Tally], int]
    high: Callable[[Tally], int]
    why: str = ""
    """A foot note: why it is not the client's own count."""


def exactly(text: str, count: Callable[[Tally], int], why: str = "") -> Expect:
    """A rule with one answer."""
    return Expect(text, count, count, why)


OF_REQUESTS = exactly("exact", lambda did: did.requests)
OF_CONNECTIONS = exactly("exact", lambda did: did.connections)


def more_per_connection(extra: int, why: str) -> Expect:
    """Every request, and so many exchanges of the protocol's own for each connection."""
    return exactly(f"exact + {extra} a connection", lambda did: did.requests + extra * did.connections, why)


def unseen(why: str) -> Expect:
    """Nothing of it is counted."""
    return exactly("not seen", lambda did: 0, why)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    port: int
    version: str
    watch: str = ""
    """What bpftop is told to watch; ``:PORT`` when empty."""
    pid: int = 0
    tell: Callable[[], None] = lambda: None
    """The server's own reload, where it has one."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One workload, and what differs from the client's own count."""

    title: str
    drive: Callable[[Server], Work]
    expect: Mapping[str, Expect] = field(default_factory=dict)

    def expected(self, measure: str) -> Expect | None:
        """The rule for a measure; none for a measure that is not asked here."""
        if measure in self.expect:
            return self.expect[measure]
        if measure in REQUESTS:
            return OF_REQUESTS
        return OF_CONNECTIONS if measure in CONNECTIONS else None


@dataclass(frozen=True, slots=True)
class Case:
    """One server in one shape."""

    name: str
    title: str
    start: Callable[[Path], AbstractContextManager[Server]]
    phases: tuple[Phase, ...]
    quick: bool = False
    """Starts within a second or two: part of every test run."""
