"""What has been so since the start: nothing better is known to compare it with, so it is told and nobody is accused.

That is how an incident looks to whoever starts in the middle of it: which stage the time is in and who has the slow
ones can be told by comparing clients, upstreams and routes with each other instead of with a calm time before. A server
that is slow by its nature (long polls, big files) looks the same, so no word says that anything is wrong; what has
lasted for ten minutes is how it is, and is not told any more.
"""

from __future__ import annotations

from dataclasses import replace

from bpftop import units
from bpftop.stats.case import MOST, Case
from bpftop.stats.causes import behind, offered, where
from bpftop.stats.clause import Clause, Place, Words, clause
from bpftop.stats.levels import FIRE, NEW_LEVEL_SLICES, RISEN_TIMES
from bpftop.stats.network import network_as_ever
from bpftop.stats.scarce import scarce
from bpftop.stats.stages import REQUEST, Excess, slow_as_ever
from bpftop.stats.stuck import LATE_S, LEAST_OPEN, opened, stuck
from bpftop.stats.who import busiest, who

OPEN_SHARE = 0.1
"""So much of the connections wait."""
MORE = 1.5
"""At so many times their rate before, requests have become more."""


def since_start(case: Case, beside: Excess | None = None) -> list[Clause]:
    """What there is to tell; ``beside``: only a stage that has most of the time while this one has become worse."""
    if case.age_s > NEW_LEVEL_SLICES:
        return []
    case = replace(case, as_is=True)
    worst = next((each for each in slow_as_ever(case.recent) if _from_the_start(case, each)), None)
    if beside is not None:
        told = worst is not None and worst.measure != beside.measure and worst.share >= MOST > beside.share
        return [_lead(case, worst.measure), *_slow(case, worst)] if worst is not None and told else []
    found = _slow(case, worst) if worst is not None else scarce(case)
    found = [*found, *_open(case), *network_as_ever(case), *_busiest(case)]
    if not found:
        return []
    offers = offered(case, worst) if worst is not None else []
    return [_lead(case, worst.measure if worst is not None else REQUEST), *found, *offers]


def _from_the_start(case: Case, found: Excess) -> bool:
    """Whether it was no better as far as is known: what has become slower is no matter of this page."""
    recent = case.recent[found.measure]
    return recent.before.p99_ns is None or (recent.now.p99_ns or 0) <= RISEN_TIMES * recent.before.p99_ns


def _busiest(case: Case) -> list[Clause]:
    """Not of requests that have just become more: that is not since the start, and will be said as such."""
    request = case.recent.get(REQUEST)
    more = request is not None and request.before.count and request.now.rate_per_s > MORE * request.before.rate_per_s
    return [] if more else busiest(case)


def _lead(case: Case, name: str) -> Clause:
    """How slow it is, and that this is no news."""
    recent = case.recent.get(name)
    said: list[Words] = [(f"since the start {units.span(case.age_s)} ago: ", False)]
    if recent is None or not recent.now.count:
        none = "no request was answered" if case.snapshot.ticks >= FIRE else "nothing is counted yet"
        said.append((none, True))
        return clause("since", name, said, "what it was before is not known", Place("latency", name))
    said += [(f"{case.title(name)} p99 ", False), (units.duration(recent.now.p99_ns), True)]
    evidence = (
        f"what it was before is not known; p50 {units.duration(recent.now.p50_ns)}, n {recent.now.count:,} in the last "
        "10 s. What follows compares clients, routes and upstreams with each other"
    )
    return clause("since", name, said, evidence, Place("latency", name))


def _slow(case: Case, worst: Excess) -> list[Clause]:
    """Where the time is and who has it."""
    causes = [*stuck(case, True), *scarce(case, worst.measure), *behind(case, worst)]
    return [where(worst), *causes, *who(case, worst.measure)]


def _open(case: Case) -> list[Clause]:
    """Connections that wait, where answers do not take so long anyway."""
    now, request = case.snapshot.standstill, case.recent.get(REQUEST)
    slowest = (request.now.max_ns or 0) if request is not None else 0
    few = now.open < max(LEAST_OPEN, OPEN_SHARE * now.connections)
    return [] if few or slowest >= LATE_S * 1e9 else opened(case)
