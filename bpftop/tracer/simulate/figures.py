"""From what happened at a site to what each script would count of it. Every script tells the same requests and turns.

Chance is drawn for each script apart, and for all of them whether they run or not: a seed gives the same figures
whichever scripts are chosen.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from bpftop.tracer.simulate import kernel
from bpftop.tracer.simulate.rows import POSITIONS, Rows, none, rows
from bpftop.tracer.simulate.site import Site
from bpftop.tracer.simulate.traffic import Step, Table

ACCEPT_S = 45e-6
THINK_S = 0.05
"""Until the next request on the connection, which is when the last byte of the response before is known."""
KEEP_ALIVE_MEDIAN_S = 8.0
UPSTREAM_READ_S = 20e-6

_ORDER = np.array([socket.htons(port) for port in range(1 << 16)], np.int64)
"""Every port in network byte order."""


class Observer:
    """All probes of a site; figures that no script of the run declares are left out."""

    def __init__(self, site: Site, figures: frozenset[str], seed: int) -> None:
        self._site = site
        self._wanted = np.zeros(len(POSITIONS), np.bool_)
        self._wanted[[at for name, at in POSITIONS.items() if name in figures]] = True
        self._probes: Mapping[int, tuple[Callable[..., Iterator[Rows]], frozenset[str]]] = {
            2: (_requests, frozenset(("read_queue_latency", "request_latency", "response_time"))),
            3: (_connections, frozenset(("accept_queue_latency", "connection_duration"))),
            4: (_routes, frozenset(name for name in POSITIONS if name.startswith(("route_", "client_errors_")))),
            5: (_upstreams, frozenset(("upstream_latency", "upstream_response_time"))),
            6: (
                _network,
                frozenset(("connect_latency", "smoothed_rtt", "retransmits", "resets_received", "failed_connects")),
            ),
            7: (kernel.calls, kernel.CALLS),
            8: (kernel.scheduler, kernel.SCHEDULER),
            9: (kernel.disk, kernel.DISK),
        }
        self._figures = figures
        self._chances = {number: np.random.default_rng([seed, number]) for number in self._probes}
        self._pending = none()

    def observe(self, step: Step, end_s: float) -> Rows:
        """The OBSERVATION rows that are counted before ``end_s``, in order."""
        parts = [self._pending]
        for number, (probe, figures) in self._probes.items():
            if figures & self._figures:
                parts += [part[self._wanted[part["figure"]]] for part in probe(self._site, step, self._chances[number])]
        everything = np.concatenate(parts)
        done = everything["at_s"] < end_s
        self._pending = everything[~done]
        counted: NDArray[np.void] = everything[done]
        return counted[np.argsort(counted["at_s"], kind="stable")]


def _client(site: Site, requests: Table) -> dict[str, NDArray[np.int64]]:
    """Who asked, from which port, and which process takes care of it."""
    pids = np.array(site.scenario.workers, np.int64)
    return {
        "client": site.client_codes[requests["client"]].astype(np.int64),
        "client_port_be": _ORDER[requests["port"]],
        "pid": pids[requests["worker"]],
    }


def _requests(site: Site, step: Step, chance: np.random.Generator) -> Iterator[Rows]:
    read, done = step.requests[step.read], step.requests[step.answered]
    who = _client(site, read)
    waited_s = read["read_s"] - read["arrived_s"]
    yield rows("read_queue_latency", read["read_s"], who["client"], waited_s, **who)
    who = _client(site, done)
    queued_ns = np.rint((done["read_s"] - done["arrived_s"]) * 1e9)
    latency_s = done["first_s"] - done["read_s"]
    yield rows("request_latency", done["first_s"], who["client"], latency_s, read_queue_ns=queued_ns, **who)
    thinks_s = np.where(site.group_keeps_alive[done["group"]], chance.exponential(THINK_S, len(done)), ACCEPT_S)
    yield rows("response_time", done["last_s"] + thinks_s, who["client"], done["last_s"] - done["read_s"], **who)


def _connections(site: Site, step: Step, chance: np.random.Generator) -> Iterator[Rows]:
    """A connection is accepted in the turn that reads its first request."""
    opening = step.requests[step.read]
    opening = opening[opening["opens"]]
    who, size = _client(site, opening), len(opening)
    established_s = opening["arrived_s"] - ACCEPT_S * chance.lognormal(0, 0.5, size)
    accepted_s = np.maximum(opening["read_s"] - 8e-6, established_s + 2e-6)
    yield rows("accept_queue_latency", accepted_s, who["client"], accepted_s - established_s, **who)
    serves_s = opening["answer_s"] - established_s + 2 * ACCEPT_S
    keeps_s = KEEP_ALIVE_MEDIAN_S * chance.lognormal(0, 0.8, size)
    lives_s = np.where(site.group_keeps_alive[opening["group"]], serves_s + keeps_s, serves_s)
    yield rows("connection_duration", established_s + lives_s, who["client"], lives_s, **who)


def _routes(site: Site, step: Step, _: np.random.Generator) -> Iterator[Rows]:
    done, gone = step.requests[step.answered], step.requests[step.given_up]
    who, line = _client(site, done), site.line_codes[done["line"]]
    route = line.astype(np.int64)
    yield rows(
        "route_latency",
        done["first_s"],
        line,
        done["first_s"] - done["read_s"],
        route=route,
        status=done["status"],
        **who,
    )
    for name, mine in (("4xx", done["status"] // 100 == 4), ("5xx", done["status"] // 100 == 5)):
        yield rows(f"route_errors_{name}", done["first_s"][mine], line[mine])
        yield rows(f"client_errors_{name}", done["first_s"][mine], who["client"][mine])
    yield rows("route_unanswered", gone["answer_s"], site.line_codes[gone["line"]])


def _upstreams(site: Site, step: Step, chance: np.random.Generator) -> Iterator[Rows]:
    """The clock stops when the answer arrives, not when it is read."""
    done = step.requests[step.answered]
    done = done[done["peer"] >= 0]
    peer, size = done["peer"], len(done)
    key, pid = site.peer_codes[peer], np.array(site.scenario.workers, np.int64)[done["worker"]]
    came_s = done["sent_s"] + done["later_s"]
    who = {"peer": key.astype(np.int64), "pid": pid}
    yield rows("upstream_latency", came_s, key, done["later_s"], **who)
    whole_s = done["later_s"] + UPSTREAM_READ_S + site.peer_last_part_s[peer] * chance.lognormal(0, 0.3, size)
    ends_s = done["sent_s"] + whole_s + np.where(done["connects"], 5e-6, chance.exponential(THINK_S, size))
    yield rows("upstream_response_time", ends_s, key, whole_s, **who)


def _network(site: Site, step: Step, chance: np.random.Generator) -> Iterator[Rows]:
    done, gone = step.requests[step.answered], step.requests[step.given_up]
    code = site.client_codes[done["client"]]
    rtt_s = site.client_rtt_s[done["client"]] * chance.lognormal(0, 0.12, len(done))
    yield rows("smoothed_rtt", done["first_s"], code, rtt_s)
    again = chance.random(len(done)) < site.group_retransmits[done["group"]]
    yield rows("retransmits", done["last_s"][again] + 0.2, code[again])
    broken = done["opens"] & (chance.random(len(done)) < site.group_resets[done["group"]])
    yield rows("resets_received", done["last_s"][broken], code[broken])
    yield rows("resets_received", gone["answer_s"], site.client_codes[gone["client"]])
    asking = step.requests[step.read]
    asking = asking[asking["connects"] & (asking["peer"] >= 0)]
    asking = asking[site.peer_clients[asking["peer"]] > 0]  # not over unix sockets
    peer, begins_s = asking["peer"], asking["read_s"] + asking["disk_s"]
    connect_s = site.peer_connect_s[peer] * chance.lognormal(0, 0.3, len(asking))
    yield rows("connect_latency", begins_s + connect_s, site.peer_codes[peer], connect_s)
    fails = chance.random(len(asking)) < site.peer_failed[peer]
    yield rows("failed_connects", begins_s[fails], site.peer_codes[peer[fails]])
