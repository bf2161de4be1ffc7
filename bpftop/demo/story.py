"""The script that the demo acts out, for real (``server``, ``load``) or in numbers (``bpftop.tracer.simulate``).

Pure: everything follows from the seed and the story time. The story repeats: an ordinary shop, a slow spell in which
its database answers late, a client that asks for expensive reports, and now and then an event loop that stands still.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

CYCLE_S = 30.0
SPELL_START_S = 10.0
SPELL_END_S = 16.0
SPELL_RAMP_S = 1.0
STALL_S = 0.3
STALL_MOMENTS_S = (4.0, 21.0, 27.0)
"""About where in a cycle the event loop stands still."""
STALL_JITTER_S = 1.0

US = 1_000
MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Route:
    """One kind of request and how long it usually takes: log-normal around a median."""

    path: str
    median_ns: int
    sigma: float
    """Spread: the logarithm's standard deviation."""
    spell_factor: float = 1.0
    """How many times longer it takes in the slow spell."""
    body_bytes: int = 200
    last_part_ns: int = 0
    """Time between the first and the last byte of a response sent in two parts."""


@dataclass(frozen=True, slots=True)
class Client:
    """One address and its habits."""

    address: str
    rate_per_s: float
    routes: Mapping[str, float]
    """Share of its requests by path; the shares sum to 1."""
    keep_alive: bool = True
    connections: int = 4
    """At most so many at the same time."""
    active_s: tuple[float, float] = (0.0, CYCLE_S)
    """The part of each cycle in which it sends."""


@dataclass(frozen=True, slots=True)
class Stall:
    """A span of story time in which the event loop does nothing."""

    start_s: float
    end_s: float


ROUTES = (
    Route("/", 90 * US, 0.35),
    Route("/health", 60 * US, 0.2, body_bytes=2),
    Route("/static/app.css", 70 * US, 0.3, body_bytes=20_000),
    Route("/api/items", 3 * MS, 0.45, spell_factor=4),
    Route("/api/search", 14 * MS, 0.5, spell_factor=6, body_bytes=4_000),
    Route("/reports", 70 * MS, 0.4, spell_factor=5, body_bytes=60_000, last_part_ns=25 * MS),
)

_SHOP = {"/": 0.5, "/static/app.css": 0.25, "/api/items": 0.2, "/api/search": 0.05}
_OFFICE = {"/": 0.35, "/api/items": 0.45, "/api/search": 0.2}

CLIENTS = (
    Client("127.0.1.10", 40, _SHOP, connections=6),
    Client("127.0.1.11", 30, _SHOP, connections=6),
    Client("127.0.1.12", 24, {"/api/items": 0.8, "/api/search": 0.2}, connections=6),
    Client("127.0.2.20", 20, _OFFICE),
    Client("127.0.2.21", 16, _OFFICE),
    Client("127.0.2.22", 12, _OFFICE),
    Client("127.0.2.23", 8, _OFFICE),
    Client("127.0.3.40", 12, {"/api/items": 0.6, "/": 0.4}, keep_alive=False),  # mobile: a connection each time
    Client("127.0.3.66", 26, {"/reports": 0.6, "/api/search": 0.4}, connections=16),  # the noisy one
    Client("127.0.3.80", 8, {r.path: 1 / len(ROUTES) for r in ROUTES}, keep_alive=False),  # a crawler
    Client("127.0.4.1", 2, {"/health": 1.0}, keep_alive=False),
    Client("127.0.4.9", 60, {"/api/items": 1.0}, connections=8, active_s=(20.0, 25.0)),  # a batch job
    Client("::1", 6, {"/": 0.5, "/health": 0.5}, connections=1),
)


@dataclass(frozen=True, slots=True)
class Story:
    """What happens at which story time. ``scale`` multiplies every rate."""

    seed: int = 1
    scale: float = 1.0
    routes: tuple[Route, ...] = ROUTES
    clients: tuple[Client, ...] = CLIENTS
    by_path: Mapping[str, Route] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_path", {route.path: route for route in self.routes})

    def rate_per_s(self, client: Client, story_s: float) -> float:
        """How many requests a second the client sends at that moment."""
        start, end = client.active_s
        return client.rate_per_s * self.scale if start <= story_s % CYCLE_S < end else 0.0

    def spell(self, story_s: float) -> float:
        """How deep the slow spell is, from 0 (ordinary) to 1; it comes and goes over a second."""
        now = story_s % CYCLE_S
        return max(0.0, min(1.0, (now - SPELL_START_S) / SPELL_RAMP_S, (SPELL_END_S - now) / SPELL_RAMP_S))

    def median_ns(self, route: Route, story_s: float) -> float:
        """The median delay of a route at that moment."""
        return route.median_ns * (1 + (route.spell_factor - 1) * self.spell(story_s))

    def delay_ns(self, route: Route, story_s: float, chance: random.Random) -> int:
        """One delay of a route at that moment."""
        return int(self.median_ns(route, story_s) * chance.lognormvariate(0, route.sigma))

    def stalls(self, start_s: float, end_s: float) -> tuple[Stall, ...]:
        """The stalls that begin in ``start_s <= t < end_s``, in order: the same for every caller."""
        found = []
        for cycle in range(max(0, int(start_s // CYCLE_S)), int(end_s // CYCLE_S) + 1):
            chance = random.Random(f"{self.seed} stalls {cycle}")
            for moment in STALL_MOMENTS_S:
                begin = cycle * CYCLE_S + moment + chance.uniform(-STALL_JITTER_S, STALL_JITTER_S)
                length = STALL_S * chance.uniform(0.8, 1.2)
                if start_s <= begin < end_s:
                    found.append(Stall(begin, begin + length))
        return tuple(found)
