"""The demo's story as a scenario: the same clients, routes, spells and stalls, at a server with one event loop."""

from __future__ import annotations

from bpftop import scenarios
from bpftop.demo.story import (
    CYCLE_S,
    SPELL_END_S,
    SPELL_START_S,
    STALL_JITTER_S,
    STALL_MOMENTS_S,
    STALL_S,
    Route,
    Story,
)
from bpftop.scenarios import Clients, Scenario, Stalls, Upstream

SERVER = "demo-server"
DATABASE = "127.0.0.1:5432"
TURN_NS = 70_000
"""What a request costs the event loop."""
ANSWERED_AT_ONCE_NS = 500_000
"""Medians below are the server's own time, as in ``bpftop.demo.server``; above, it waits for its database."""


def from_story(story: Story) -> Scenario:
    """The scenario of a story; the times of its stalls are the simulation's own."""
    return Scenario(
        scenarios.DEFAULT,
        scenarios.SUMMARIES[scenarios.DEFAULT],
        scenarios.LOOK[scenarios.DEFAULT],
        tuple(
            Clients(
                client.address,
                1,
                client.rate_per_s * story.scale,
                {f"GET {path}": share for path, share in client.routes.items()},
                keep_alive=client.keep_alive,
                rtt_ns=400_000,
                active_s=client.active_s if client.active_s != (0.0, CYCLE_S) else None,
            )
            for client in story.clients
        ),
        tuple(_route(route) for route in story.routes),
        (Upstream(DATABASE, 3_000_000, reconnects=0.02),),
        stalls=Stalls(tuple((moment, STALL_S) for moment in STALL_MOMENTS_S), STALL_JITTER_S),
        spell_s=(SPELL_START_S, SPELL_END_S),
        cycle_s=CYCLE_S,
        server=SERVER,
        port=8080,
        pids=(4242,),
        send_call="sendto",
        logs=False,
    )


def _route(route: Route) -> scenarios.Route:
    at_once = route.median_ns < ANSWERED_AT_ONCE_NS
    return scenarios.Route(
        f"GET {route.path}",
        route.median_ns if at_once else TURN_NS,
        route.sigma if at_once else 0.3,
        upstream="" if at_once else DATABASE,
        later_ns=0 if at_once else route.median_ns,
        later_sigma=route.sigma,
        last_part_ns=route.last_part_ns,
        is_file=route.path.startswith("/static/"),
        spell_factor=route.spell_factor,
    )
