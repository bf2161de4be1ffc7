"""What happens at a site: requests arrive, workers read and answer them one after the other. Pure but for its chance.

Every worker is one event loop. It takes what is ready in the order in which it became ready, each in a turn of its own;
so a stall, or too much work, shows as read queue latency of those who came meanwhile, and as request latency of those
whose answer was due, as it does in life. A request that waits for somebody else takes two turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bpftop.scenarios import Scenario
from bpftop.tracer.simulate.site import Floats, Numbers, Site

REQUEST = np.dtype(
    [
        *((name, np.int64) for name in ("client", "group", "route", "line", "peer", "port", "worker", "status")),
        *((name, np.bool_) for name in ("opens", "given_up", "connects")),
        # moments in story time; answer_s: when the wait for somebody else is over
        *((name, np.float64) for name in ("arrived_s", "read_s", "sent_s", "answer_s", "first_s", "last_s")),
        # lengths: first and second turn, the wait between them, of the first turn the wait for the disk
        *((name, np.float64) for name in ("own_1_s", "own_2_s", "later_s", "disk_s")),
    ]
)
STALL, READ, ANSWER = range(3)
TURN = np.dtype(
    [
        *((name, np.int64) for name in ("worker", "kind", "request")),  # request: position in Step.requests; -1: none
        *((name, np.float64) for name in ("ready_s", "length_s", "start_s", "end_s", "wait_s", "run_queue_s")),
    ]
)
Table = NDArray[np.void]

WAKE_UP_S = 18e-6
LEAST_WAIT_S = 0.7e-6
"""Of a wait for events that are there already."""
FIRST_TURN = 0.6
"""Share of the own work of a request that comes before the wait for somebody else."""
KEEP_ALIVE_SHARE = 1 / 150
"""Share of the requests of keep-alive clients that open a connection."""
GIVES_UP = 0.3
"""A client that gives up does so when this share of the wait is left."""
PAGE_CACHE_MISSES = 0.03
DISK_READ_S = 140e-6


@dataclass(frozen=True, slots=True)
class Step:
    """What happened in one step. ``requests`` are REQUEST rows; the other three tell which of them did what."""

    requests: Table
    read: Numbers
    """Positions of those that arrived and were read."""
    answered: Numbers
    """Positions of those whose response was sent."""
    given_up: Numbers
    """Positions of those that never get one: their client closes at ``answer_s``, before the answer."""
    turns: Table
    """TURN rows, those of each worker in order."""


class Traffic:
    """All clients and workers of a scenario; ``advance`` from moment to moment."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.site = Site(scenario)
        self._scenario = scenario
        self._seed = seed
        self._chance = np.random.default_rng([seed, 0])
        self._waiting = np.zeros(0, REQUEST)
        self._free_s = np.zeros(len(scenario.workers))
        """When each worker has done what it has been given so far."""

    def advance(self, start_s: float, end_s: float) -> Step:
        """What the requests of ``start_s <= t < end_s`` bring, and the answers that are due in it."""
        new = self._arrivals(start_s, end_s)
        requests = np.concatenate([self._waiting, new])
        read = np.arange(len(self._waiting), len(requests))
        waits = requests["later_s"] > 0
        due = np.flatnonzero(waits & ~requests["given_up"] & (requests["answer_s"] < end_s))
        turns = self._serve(
            np.concatenate(
                [
                    self._turns(
                        READ, read, requests["worker"][read], requests["arrived_s"][read], requests["own_1_s"][read]
                    ),
                    self._turns(
                        ANSWER, due, requests["worker"][due], requests["answer_s"][due], requests["own_2_s"][due]
                    ),
                    self._stalls(start_s, end_s),
                ]
            ),
            requests,
        )
        at_once = read[~waits[read]]
        requests["first_s"][at_once] = requests["sent_s"][at_once]
        given_up = read[requests["given_up"][read]]
        requests["answer_s"][read] = requests["sent_s"][read] + requests["later_s"][read]
        requests["answer_s"][given_up] -= requests["later_s"][given_up] * GIVES_UP
        answered = np.concatenate([at_once, due])
        tail_s = self.site.last_part_s[requests["route"][answered]] * self._chance.lognormal(0, 0.3, len(answered))
        requests["last_s"][answered] = (
            requests["first_s"][answered] + tail_s + self._chance.exponential(4e-6, len(answered))
        )
        left = np.ones(len(requests), np.bool_)
        left[answered] = left[given_up] = False
        self._waiting = requests[left]
        return Step(requests, read, answered, given_up, turns)

    def _arrivals(self, start_s: float, end_s: float) -> Table:
        chance, site, scenario = self._chance, self.site, self._scenario
        rates = np.array([each.rate_per_s * scenario.active(each, start_s) for each in scenario.clients])
        counts = chance.poisson(rates[site.pair_group] * site.pair_share * (end_s - start_s))
        pair = chance.permutation(np.repeat(np.arange(len(counts)), counts))
        size = len(pair)
        out = np.zeros(size, REQUEST)
        group, route = site.pair_group[pair], site.pair_route[pair]
        out["group"], out["route"] = group, route
        out["arrived_s"] = np.sort(chance.uniform(start_s, end_s, size))
        out["client"] = site.group_first[group] + (chance.random(size) * site.group_count[group]).astype(np.int64)
        out["line"] = site.route_first_line[route] + (chance.random(size) * site.route_lines[route]).astype(np.int64)
        out["port"] = chance.integers(32768, 61000, size)
        out["worker"] = out["port"] % len(scenario.workers)
        out["opens"] = ~site.group_keeps_alive[group] | (chance.random(size) < KEEP_ALIVE_SHARE)
        out["status"] = site.status(route, chance.random(size))
        self._work(out, scenario.spell(start_s))
        return out

    def _work(self, out: Table, spell: float) -> None:
        """How long the server and those it asks take for each request."""
        chance, site, route, size = self._chance, self.site, out["route"], len(out)
        own_s = site.own_s[route] * chance.lognormal(0, site.own_sigma[route])
        later_s = site.later_s[route] * (1 + (site.spell_factor[route] - 1) * spell)
        later_s *= chance.lognormal(0, site.later_sigma[route])
        later_s[chance.random(size) < site.hits[route]] = 0.0
        disk_s = DISK_READ_S * chance.lognormal(0, 0.4, size)
        out["disk_s"] = np.where(site.is_file[route] & (chance.random(size) < PAGE_CACHE_MISSES), disk_s, 0.0)
        first = np.where(later_s > 0, FIRST_TURN, 1.0)
        out["own_1_s"], out["own_2_s"] = own_s * first + out["disk_s"], own_s * (1 - first)
        out["later_s"] = later_s
        out["answer_s"] = out["arrived_s"] + out["own_1_s"] + later_s
        out["peer"] = np.where(later_s > 0, site.route_peer[route], -1)
        out["given_up"] = (chance.random(size) < site.unanswered[route]) & (later_s > 0)
        asks = out["peer"] >= 0
        reconnects = chance.random(size)
        out["connects"][asks] = reconnects[asks] < site.peer_reconnects[out["peer"][asks]]

    def _turns(self, kind: int, of: Numbers, worker: Numbers, ready_s: Floats, length_s: Floats) -> Table:
        out = np.zeros(len(of), TURN)
        run_queue_s = self._scenario.run_queue_ns / 1e9 * self._chance.lognormal(0, 0.5, len(of))
        out["kind"], out["request"], out["worker"], out["length_s"] = kind, of, worker, length_s
        out["run_queue_s"] = run_queue_s
        out["ready_s"] = ready_s + run_queue_s + WAKE_UP_S * self._chance.lognormal(0, 0.5, len(of))
        return out

    def _stalls(self, start_s: float, end_s: float) -> Table:
        spans = stalls(self._scenario, self._seed, start_s, end_s)
        begins = np.array([begin for begin, _ in spans])
        lengths = np.array([length for _, length in spans])
        worker = self._scenario.stalls.worker if self._scenario.stalls else 0
        none = np.full(len(spans), -1)
        return self._turns(STALL, none, np.full(len(spans), worker), begins, lengths)

    def _serve(self, turns: Table, requests: Table) -> Table:
        """Give every turn its start, its end and the wait before it; tell the requests."""
        turns = turns[np.lexsort((turns["ready_s"], turns["worker"]))]
        edges = np.searchsorted(turns["worker"], np.arange(len(self._free_s) + 1))
        for worker, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
            if low < high:
                self._free_s[worker] = one_after_the_other(turns[low:high], requests, self._free_s[worker])
        return turns


def one_after_the_other(turns: Table, requests: Table, free_s: float) -> float:
    """Place the turns of one worker, which is free from ``free_s`` on; returns when it is free again.

    Lindley's recursion: each begins when it is ready and the one before it has ended.
    """
    length_s, ready_s = turns["length_s"], turns["ready_s"].copy()
    before_s = np.cumsum(length_s) - length_s
    ready_s[0] = max(ready_s[0], free_s + LEAST_WAIT_S)
    turns["start_s"] = np.maximum.accumulate(ready_s - before_s) + before_s
    first = turns["kind"] == READ
    of = turns["request"][first]
    requests["read_s"][of] = turns["start_s"][first]
    requests["sent_s"][of] = turns["start_s"][first] + length_s[first]
    second = turns["kind"] == ANSWER
    of = turns["request"][second]
    # The first turn may have come later than foreseen: the answer is not there before it was asked for.
    turns["start_s"][second] = np.maximum(turns["start_s"][second], requests["sent_s"][of] + requests["later_s"][of])
    requests["first_s"][of] = turns["start_s"][second] + length_s[second]
    turns["end_s"] = turns["start_s"] + length_s
    ended_s = np.maximum.accumulate(np.append(free_s, turns["end_s"]))
    turns["wait_s"] = np.maximum(turns["start_s"] - ended_s[:-1], LEAST_WAIT_S)
    return float(ended_s[-1])


def stalls(scenario: Scenario, seed: int, start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Beginning and length of the stalls that begin in ``start_s <= t < end_s``, in order."""
    if scenario.stalls is None:
        return []
    found, cycle_s = [], scenario.cycle_s
    for cycle in range(max(0, int(start_s // cycle_s)), int(end_s // cycle_s) + 1):
        chance = np.random.default_rng([seed, 1, cycle])
        for begin_s, length_s in scenario.stalls.spans_s:
            begin_s += cycle * cycle_s + chance.uniform(-1, 1) * scenario.stalls.jitter_s
            length_s *= chance.uniform(0.9, 1.1)
            if start_s <= begin_s < end_s:
                found.append((begin_s, length_s))
    return found
