"""The stages in the life of a request, and in which of them its time is, from totals of counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bpftop.model import Recent, Summary

ACCEPT, READ, REQUEST, RESPONSE = "accept_queue_latency", "read_queue_latency", "request_latency", "response_time"
UPSTREAM = "upstream_latency"
WORDS: Mapping[str, str] = {
    ACCEPT: "the accept queue",
    READ: "the read queue",
    REQUEST: "the server, after the read",
    RESPONSE: "sending",
}
SENDING_LEAST = 0.02
"""Sending is the difference of two totals that are within 0.8 % each: below this share it may be nothing."""

SLOW_NS, SLOW_LEAST = 100_000_000, 20
"""A stage whose p99 is so long, of at least so many observations, is slow whatever its level is."""


@dataclass(frozen=True, slots=True)
class Excess:
    """A stage that takes far more time than it did, or than any server that keeps up."""

    measure: str
    words: str
    excess_ns: float
    """What all requests of the last ten seconds lost in it, beside its level."""
    total_ns: float
    whole_ns: float
    """Of all stages together."""
    count: int

    @property
    def share(self) -> float:
        """Of the time of all requests."""
        return self.total_ns / self.whole_ns if self.whole_ns else 0.0


def stages(summaries: Mapping[str, Summary]) -> dict[str, float]:
    """The time (ns) of all requests together in each stage, in the order of their life; only stages that were seen.

    Data that arrives with a connection waits for the accept, too: the wait in the accept queue is part of the read
    queue latency of that request and is counted once, as accept queue. Sending is what the response time has beyond the
    request latency.
    """
    totals = {name: float(each.total_ns or 0) for name, each in summaries.items() if each.count}
    out = {name: totals[name] for name in (ACCEPT, READ, REQUEST) if name in totals}
    if ACCEPT in out and READ in out:
        out[READ] = max(out[READ] - out[ACCEPT], 0.0)
    if RESPONSE in totals and REQUEST in out:
        sending = totals[RESPONSE] - out[REQUEST]
        if sending > SENDING_LEAST * out[REQUEST]:
            out[RESPONSE] = sending
    return out


def excesses(recent: Mapping[str, Recent]) -> list[Excess]:
    """The stages in trouble, the worst first."""
    spent = stages({name: each.now for name, each in recent.items()})
    whole = sum(spent.values())
    troubled = {name for name in spent if name in WORDS and _trouble(recent[name])}
    lost = {name: _lost(recent[name]) for name in WORDS if name in recent}
    if ACCEPT in troubled and READ in lost:
        lost[READ] -= lost[ACCEPT]
    if RESPONSE in lost and REQUEST in lost:
        lost[RESPONSE] -= lost[REQUEST]
    found = [
        Excess(name, WORDS[name], lost[name], spent.get(name, 0.0), whole, recent[name].now.count) for name in troubled
    ]
    return sorted(found, key=lambda each: -each.excess_ns)


def slow_as_ever(recent: Mapping[str, Recent]) -> list[Excess]:
    """The stages that are slow by themselves, whatever they were: those with most of the time first."""
    spent = stages({name: each.now for name, each in recent.items()})
    whole = sum(spent.values())
    found = [
        Excess(name, WORDS[name], total, total, whole, recent[name].now.count)
        for name, total in spent.items()
        if _slow(recent[name])
    ]
    return sorted(found, key=lambda each: -each.total_ns)


def _slow(recent: Recent) -> bool:
    return recent.now.count >= SLOW_LEAST and (recent.now.p99_ns or 0) >= SLOW_NS


def _trouble(recent: Recent) -> bool:
    return recent.risen_s is not None or recent.late_s is not None


def _lost(recent: Recent) -> float:
    """The time beyond what so many observations would have taken at their level; all of it where none is known."""
    now, before = recent.now, recent.before
    mean = (before.total_ns or 0) / before.count if before.count else 0.0
    return (now.total_ns or 0) - mean * now.count
