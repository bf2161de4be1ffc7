"""A scenario as arrays: every client, line, route and upstream by number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bpftop.scenarios import Clients, Route, Scenario, Upstream
from bpftop.tracer.simulate.keys import Codes, Words, client_codes, ipv6_halves, line_key, peer_client, peer_key

IDS = 40
"""How many ids stand in for ``{}``."""
FIRST_ID = 10_000
Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


class Site:
    """The same for the whole run. A pair is one group of clients and one of its routes."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._clients(scenario.clients)
        self._routes(scenario.routes)
        self._upstreams()
        route_at = {route.line: at for at, route in enumerate(scenario.routes)}
        pairs = [
            (g, route_at[line], share) for g, each in enumerate(scenario.clients) for line, share in each.routes.items()
        ]
        self.pair_group = np.array([group for group, _, _ in pairs], np.int64)
        self.pair_route = np.array([route for _, route, _ in pairs], np.int64)
        self.pair_share = np.array([share for _, _, share in pairs])

    def _clients(self, groups: tuple[Clients, ...]) -> None:
        self.client_codes: Codes = np.concatenate([client_codes(each.first, each.count) for each in groups])
        self.ipv6: dict[int, tuple[int, int]] = {}
        """The halves of every IPv6 address by client code."""
        for each in groups:
            if ":" in each.first:
                codes = client_codes(each.first, each.count).tolist()
                halves = (half.tolist() for half in ipv6_halves(each.first, each.count))
                self.ipv6.update(zip(codes, zip(*halves, strict=True), strict=True))
        counts = np.array([each.count for each in groups], np.int64)
        self.group_count = counts
        self.group_first = np.cumsum(counts) - counts
        self.group_keeps_alive = np.array([each.keep_alive for each in groups])
        self.group_retransmits = np.array([each.retransmits for each in groups])
        self.group_resets = np.array([each.resets for each in groups])
        near = 0.6 + 0.8 * ((np.arange(len(self.client_codes)) * 0.618) % 1.0)  # no two at the same distance
        self.client_rtt_s: Floats = np.repeat([each.rtt_ns / 1e9 for each in groups], counts) * near

    def _routes(self, routes: tuple[Route, ...]) -> None:
        lines: list[str] = []
        self.route_lines = np.array([IDS if "{}" in route.line else 1 for route in routes], np.int64)
        for route, many in zip(routes, self.route_lines.tolist(), strict=True):
            lines += [route.line.format(FIRST_ID + i) for i in range(many)]
        self.route_first_line = np.cumsum(self.route_lines) - self.route_lines
        keys = [line_key(line) for line in lines]
        self.line_codes: Codes = np.array([code for code, _ in keys], np.uint64)
        self.words: dict[int, Words] = dict(keys)
        """What the names of lines and peers are made from, by key."""
        self.own_s = np.array([route.own_ns / 1e9 for route in routes])
        self.own_sigma = np.array([route.sigma for route in routes])
        self.hits = np.array([route.hits for route in routes])
        self.last_part_s = np.array([route.last_part_ns / 1e9 for route in routes])
        self.is_file = np.array([route.is_file for route in routes])
        self.unanswered = np.array([route.unanswered for route in routes])
        self.spell_factor = np.array([route.spell_factor for route in routes])

    def _upstreams(self) -> None:
        routes, upstreams = self.scenario.routes, self.scenario.upstreams
        keys = [peer_key(each.name) for each in upstreams]
        self.words.update(keys)
        self.peer_codes: Codes = np.array([code for code, _ in keys], np.uint64)
        self.peer_clients: Codes = np.array([peer_client(each.name) for each in upstreams], np.uint64)
        self.peer_last_part_s = np.array([each.last_part_ns / 1e9 for each in upstreams])
        self.peer_connect_s = np.array([each.connect_ns / 1e9 for each in upstreams])
        self.peer_reconnects = np.array([each.reconnects for each in upstreams])
        self.peer_failed = np.array([each.failed for each in upstreams])
        at = {each.name: position for position, each in enumerate(upstreams)}
        self.route_peer = np.array([at.get(route.upstream, -1) for route in routes], np.int64)
        asked = {each.name: each for each in upstreams}
        waits = [_wait(route, asked.get(route.upstream)) for route in routes]
        self.later_s = np.array([latency_ns / 1e9 for latency_ns, _ in waits])
        self.later_sigma = np.array([sigma for _, sigma in waits])

    def status(self, route: Numbers, chance: Floats) -> Numbers:
        """The status of each response. ``chance`` has uniform numbers from 0 to 1, one for each."""
        out = np.full(len(route), 200, np.int64)
        for at, each in enumerate(self.scenario.routes):
            mine, floor = route == at, 0.0
            for status, share in each.statuses.items():
                out[mine & (chance >= floor) & (chance < floor + share)] = status
                floor += share
        return out


def _wait(route: Route, asked: Upstream | None) -> tuple[int, float]:
    """Median (ns) and spread of the wait between a route's two turns: its own, or that of whom it asks."""
    if asked is None or route.later_ns:
        return route.later_ns, route.later_sigma
    return asked.latency_ns, asked.sigma
