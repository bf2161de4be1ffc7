"""What a scenario consists of: frozen values. Shares are from 0 to 1, times are medians of log-normal distributions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

US = 1_000
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server that the watched one asks: ``10.0.0.21:9000`` or ``unix:/run/app.sock``."""

    name: str
    latency_ns: int
    sigma: float = 0.4
    """The standard deviation of the logarithm."""
    last_part_ns: int = 200 * US
    """From the first to the last byte of its answer."""
    connect_ns: int = 250 * US
    reconnects: float = 0.05
    """Share of the requests that open a connection."""
    failed: float = 0.0
    """Share of the connects that fail; the next attempt does not."""


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request."""

    line: str
    """``GET /items/{}``: method and path; ``{}`` stands for an id."""
    own_ns: int
    """The server's own work, in which its event loop does nothing else."""
    sigma: float = 0.3
    upstream: str = ""
    """The name of the upstream that it waits for, when the cache has no answer."""
    hits: float = 0.0
    """Share that the cache answers."""
    later_ns: int = 0
    """A wait that keeps nobody else: a timer, another thread."""
    later_sigma: float = 0.3
    last_part_ns: int = 0
    """Between the first and the last byte of the response."""
    is_file: bool = False
    """It is opened and sent from the disk; a few are not in the page cache."""
    statuses: Mapping[int, float] = field(default_factory=dict)
    """Shares of the statuses other than 200."""
    unanswered: float = 0.0
    """Share whose client gives up before the response begins."""
    spell_factor: float = 1.0
    """How many times longer ``later_ns`` is in the scenario's slow spell."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Clients of the same habits, at ``count`` addresses one after the other."""

    first: str
    count: int
    rate_per_s: float
    """Of all of them together."""
    routes: Mapping[str, float]
    """Share of their requests by line; the shares sum to 1."""
    keep_alive: bool = True
    rtt_ns: int = 2 * MS
    retransmits: float = 0.0
    """Share of their responses of which a packet is sent again."""
    resets: float = 0.0
    """Share of their connections that they reset."""
    active_s: tuple[float, float] | None = None
    """The part of each cycle in which they send; None: always."""


@dataclass(frozen=True, slots=True)
class Stalls:
    """When one worker's event loop stands still, in a system call that waits for the disk."""

    spans_s: tuple[tuple[float, float], ...]
    """Beginning and length of each, within a cycle; ascending, not overlapping."""
    jitter_s: float = 0.0
    worker: int = 0
    """Its position among the workers."""
    syscall: str = ""
    """What it waits in; empty: the program itself is busy."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One situation, the same for ever but for what comes back in every cycle."""

    name: str
    summary: str
    """One line for the list."""
    look: tuple[str, ...]
    """Where to look and what there is to see, step by step."""
    clients: tuple[Clients, ...]
    routes: tuple[Route, ...]
    upstreams: tuple[Upstream, ...] = ()
    stalls: Stalls | None = None
    spell_s: tuple[float, float] | None = None
    """Begin and end of the slow spell in each cycle; it comes and goes over a second."""
    cycle_s: float = 30.0
    server: str = "nginx"
    port: int = 80
    pids: tuple[int, ...] = (4242, 4243, 4244, 4245, 4246)
    """The processes; all but the first are workers, unless there is only one. Each has one thread."""
    run_queue_ns: int = 6 * US
    send_call: str = "writev"
    logs: bool = True
    """Each response is written to a log."""

    @property
    def workers(self) -> tuple[int, ...]:
        """The threads that run event loops."""
        return self.pids[1:] or self.pids

    @property
    def rate_per_s(self) -> float:
        """Requests a second while all clients are active."""
        return sum(group.rate_per_s for group in self.clients)

    def spell(self, at_s: float) -> float:
        """How deep the slow spell is at that moment, from 0 (none) to 1."""
        if self.spell_s is None:
            return 0.0
        now = at_s % self.cycle_s
        return max(0.0, min(1.0, now - self.spell_s[0], self.spell_s[1] - now))

    def active(self, group: Clients, at_s: float) -> bool:
        """Whether the clients of a group send at that moment."""
        return group.active_s is None or group.active_s[0] <= at_s % self.cycle_s < group.active_s[1]
