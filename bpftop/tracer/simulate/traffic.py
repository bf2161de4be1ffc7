"""The story in numbers: which observations a server that acts it would give, and when. Pure but for its random state.

Each request gets its moments - arrived, read, first byte, last byte - from the story's rates and delays. A moment that
falls in a stall moves to the stall's end, in the order of arrival: so a standing event loop shows as read queue
latency of those who came, and as request latency of those whose answer was due, as it does in life.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bpftop.demo.story import Story

MEASURES = ("read_queue_latency", "request_latency", "response_time", "accept_queue_latency", "connection_duration")
"""What the simulation can tell; ``Batch`` rows carry positions in this tuple."""
READ_QUEUE, REQUEST, RESPONSE, ACCEPT_QUEUE, DURATION = range(5)

OBSERVATION = np.dtype(
    [
        ("at_s", np.float64),  # story time at which the kernel would count it
        ("measure", np.int64),  # position in MEASURES
        ("client", np.int64),  # position in the story's clients
        ("value_ns", np.int64),
        ("read_queue_ns", np.int64),  # of the same request; 0 where that means nothing
        ("client_port", np.int64),
    ]
)

WAKE_UP_S = 25e-6
TURN_S = 70e-6
"""What one request costs the event loop: those who waited for a stall to end are read one after the other."""
ACCEPT_S = 60e-6
THINK_S = 0.05
"""Until the next request on the connection, which is when the last byte of the response before is known."""
KEEP_ALIVE_SHARE = 1 / 150
"""Share of the requests of keep-alive clients that open a connection."""
KEEP_ALIVE_MEDIAN_S = 8.0
LOOK_AHEAD_S = 10.0


class Traffic:
    """All clients of a story; ``advance`` from moment to moment."""

    def __init__(self, story: Story, seed: int) -> None:
        self._story = story
        self._chance = np.random.default_rng(seed)
        pairs = [(c, story.by_path[p], share) for c in story.clients for p, share in c.routes.items()]
        position = {client.address: i for i, client in enumerate(story.clients)}
        routes = {route.path: i for i, route in enumerate(story.routes)}
        self._client = np.array([position[c.address] for c, _, _ in pairs], dtype=np.int64)
        self._route = np.array([routes[r.path] for _, r, _ in pairs], dtype=np.int64)
        self._share = np.array([share for _, _, share in pairs])
        self._sigma = np.array([r.sigma for r in story.routes])
        self._last_part_s = np.array([r.last_part_ns / 1e9 for r in story.routes])
        self._opens = np.array([KEEP_ALIVE_SHARE if c.keep_alive else 1.0 for c in story.clients])
        self._short = np.array([not c.keep_alive for c in story.clients])
        self._pending = np.empty(0, OBSERVATION)

    def advance(self, start_s: float, end_s: float) -> NDArray[np.void]:
        """The observations that complete before ``end_s``, in order; requests arrive in ``start_s <= t < end_s``."""
        story = self._story
        rates = np.array([story.rate_per_s(client, start_s) for client in story.clients])
        counts = self._chance.poisson(rates[self._client] * self._share * (end_s - start_s))
        pair = np.repeat(np.arange(len(counts)), counts)
        order = self._chance.permutation(len(pair))
        arrived = np.sort(self._chance.uniform(start_s, end_s, len(pair)))
        stalls = story.stalls(max(0.0, start_s - 1), end_s + LOOK_AHEAD_S)
        new = self._requests(pair[order], arrived, np.array([(s.start_s, s.end_s) for s in stalls]).reshape(-1, 2))
        merged = np.concatenate([self._pending, new])
        done = merged["at_s"] < end_s
        self._pending = merged[~done]
        counted = merged[done]
        return counted[np.argsort(counted["at_s"])]

    def _requests(
        self, pair: NDArray[np.int64], arrived: NDArray[np.float64], stalls: NDArray[np.float64]
    ) -> NDArray[np.void]:
        chance, size = self._chance, len(pair)
        client, route = self._client[pair], self._route[pair]
        ready = arrived + chance.lognormal(np.log(WAKE_UP_S), 0.5, size)
        read = awake(ready, stalls)
        held = read > ready
        read = read + TURN_S * np.cumsum(held) * held
        median_s = np.array(
            [self._story.median_ns(r, float(arrived[0]) if size else 0.0) / 1e9 for r in self._story.routes]
        )
        first = awake(read + median_s[route] * chance.lognormal(0, self._sigma[route]), stalls)
        last = awake(first + self._last_part_s[route] + chance.exponential(4e-6, size), stalls)
        queue_ns = _ns(read - arrived)
        port = chance.integers(32768, 61000, size)
        opens = chance.random(size) < self._opens[client]
        accepted = awake(arrived + chance.lognormal(np.log(ACCEPT_S), 0.5, size), stalls)
        lives_s = np.where(
            self._short[client], last - arrived + 2 * ACCEPT_S, chance.lognormal(np.log(KEEP_ALIVE_MEDIAN_S), 0.8, size)
        )
        thinks = np.where(self._short[client], ACCEPT_S, chance.exponential(THINK_S, size))
        return np.concatenate(
            [
                _rows(read, READ_QUEUE, client, read - arrived, port),
                _rows(first, REQUEST, client, first - read, port, queue_ns),
                _rows(last + thinks, RESPONSE, client, last - read, port),
                _rows(accepted, ACCEPT_QUEUE, client, accepted - arrived, port)[opens],
                _rows(arrived + lives_s, DURATION, client, lives_s, port)[opens],
            ]
        )


def awake(moments: NDArray[np.float64], stalls: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each moment, or the end of the stall (rows of start, end; ascending) that it falls in."""
    if not len(stalls):
        return moments
    at = np.searchsorted(stalls[:, 0], moments, side="right") - 1
    ends = np.where(at >= 0, stalls[at, 1], moments)
    return np.maximum(moments, ends)


def _ns(seconds: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.maximum(np.rint(seconds * 1e9), 0).astype(np.int64)


def _rows(
    at_s: NDArray[np.float64],
    measure: int,
    client: NDArray[np.int64],
    value_s: NDArray[np.float64],
    port: NDArray[np.int64],
    read_queue_ns: NDArray[np.int64] | None = None,
) -> NDArray[np.void]:
    rows = np.zeros(len(at_s), OBSERVATION)
    rows["at_s"], rows["measure"], rows["client"], rows["client_port"] = at_s, measure, client, port
    rows["value_ns"] = _ns(value_s)
    if read_queue_ns is not None:
        rows["read_queue_ns"] = read_queue_ns
    return rows
