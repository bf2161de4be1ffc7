"""Who is behind slow observations, or behind more of them than before: clients, networks, routes."""

from __future__ import annotations

from collections.abc import Sequence

from bpftop import units
from bpftop.model import ClientRow, Recent
from bpftop.stats.case import Case
from bpftop.stats.clause import Clause, Place, Words, clause
from bpftop.stats.guilt import OTHERS, Part, beyond_chance, guilty, part_of, share
from bpftop.stats.levels import BUSY_PER_S, BUSY_TIMES, NOW_S
from bpftop.stats.scarce import contrasts, perhaps_short, short
from bpftop.stats.stages import REQUEST, RESPONSE

ROUTE = "route_latency"
WIDER, STILL_WIDER = 1.5, 1.2
"""A network is said instead of its clients when it has so many times their slow ones; once said, it needs less."""
NEW_EXCESS, STILL_NEW_EXCESS = 0.35, 0.2
"""A client brings a rise in traffic when its share of what is new is so much above its share before."""

HEAVY, STILL_HEAVY = 0.5, 0.3
"""A worker that makes the answers to one client and nothing else is busy for so much of the time at least."""
OTHERS_LEAST, MOST_TIMES = 5, 10
"""Among so many others at least, a client that asks so many times as often as the next is worth a word."""


def who(case: Case, name: str) -> list[Clause]:
    """The clients, or the network, and the routes behind the slow observations of a measure."""
    found = []
    recent = case.recent.get(name)
    if recent is not None and name in case.snapshot.measures and case.measure(name).key == "client":
        found += _clients(case, name, recent)
    routes = case.recent.get(ROUTE)
    if routes is not None and name == REQUEST and not perhaps_short(case):  # those of most steps suffer most from that
        found += [
            _slow_ones("route", part, routes, "are", Place("script", ROUTE, part.row.client, "http"), i > 0)
            for i, part in enumerate(guilty(routes.rows, routes, case.said("route")))
        ]
    return found


def _clients(case: Case, name: str, recent: Recent) -> list[Clause]:
    clients = guilty(recent.rows, recent, case.said("client"))
    networks = guilty(recent.networks, recent, case.said("network"))[:1]
    if short(case):
        clients, networks = ([each for each in found if contrasts(each.row, recent)] for found in (clients, networks))
    together = sum(each.of_slow for each in clients)
    wider = STILL_WIDER if networks and networks[0].row.client in case.said("network") else WIDER
    if networks and networks[0].of_slow >= wider * together:
        place = Place("clients", name, networks[0].row.client)
        return [_slow_ones("network", networks[0], recent, "from", place)]
    return [
        _slow_ones("client", each, recent, "from", Place("clients", name, case.network(each.row.client)), i > 0)
        for i, each in enumerate(clients)
    ]


def _slow_ones(kind: str, part: Part, recent: Recent, verb: str, place: Place, also: bool = False) -> Clause:
    """``92 % of the slow ones from 10.0.3.7``; short when it comes after another."""
    link = f" {verb} " if also else f" of the slow ones {verb} "
    words: list[Words] = [(units.percent(part.of_slow), True), (link, False), (part.row.client, True)]
    evidence = (
        f"{min(part.row.slow or 0, recent.slow):,} of {recent.slow:,} over {units.duration(recent.limit_ns)} in the "
        f"last 10 s; it has {units.percent(part.of_all)} of all {recent.now.count:,}; its p99 "
        f"{units.duration(part.row.p99_ns)}"
    )
    return clause(kind, part.row.client, words, evidence, place)


def busiest(case: Case) -> list[Clause]:
    """The client that most requests are from, when it asks far more than any of several others."""
    recent = case.recent.get(REQUEST)
    named = [each for each in (recent.rows if recent is not None else ()) if each.client != OTHERS]
    named.sort(key=lambda each: -each.count)
    if recent is None or len(named) <= OTHERS_LEAST or named[0].rate_per_s < BUSY_PER_S:
        return []
    first, second = named[:2]
    part = share(first.count, recent.now.count)
    if part < case.most("most", first.client) or first.count < MOST_TIMES * second.count:
        return []
    said: list[Words] = [(units.percent(part), True), (" of all requests from ", False), (first.client, True)]
    evidence = f"{first.count:,} of {recent.now.count:,} in the last 10 s; the next, {second.client}: {second.count:,}"
    return [clause("most", first.client, said, evidence, Place("clients", REQUEST, case.network(first.client)))]


def heaviest(case: Case, said: Sequence[Clause]) -> list[Clause]:
    """While a worker is busy, or CPUs are scarce: the client whose answers take far longer than those to others.

    Who waits behind them is slow, too, but nobody more than others.
    """
    recent = case.recent.get(RESPONSE)
    if recent is None or not any(" busy" in each.text or each.key == "cpu " for each in said):
        return []
    named = [each for each in recent.rows if each.client != OTHERS]
    row = max(named, key=lambda each: each.total_ns or 0, default=None)
    if row is None or not contrasts(row, recent):
        return []
    known = f"heavy {row.client}" in case.named
    much = (row.total_ns or 0) >= (STILL_HEAVY if known else HEAVY) * NOW_S * 1e9
    return [_heavy(case, row, recent)] if much and beyond_chance(part_of(row, recent), recent.slow, known) else []


def _heavy(case: Case, row: ClientRow, recent: Recent) -> Clause:
    mine, rest = (row.total_ns or 0) / row.count, recent.now.count - row.count
    others = max((recent.now.total_ns or 0) - (row.total_ns or 0), 0) / max(rest, 1)
    words: list[Words] = [("answers to ", False), (row.client, True)]
    words.append((f" take {units.duration(mine)}, to others {units.duration(others)}", False))
    evidence = (
        f"on average in the last 10 s, from the read to the last byte: {row.count:,} of {recent.now.count:,}, "
        f"{units.duration(row.total_ns)} together; while a worker makes one itself, all others on it wait"
    )
    return clause("heavy", row.client, words, evidence, Place("clients", RESPONSE, case.network(row.client)))


def newcomers(case: Case, recent: Recent) -> list[Clause]:
    """The client that most of the new requests are from, when traffic is a multiple of what it was."""
    if not recent.earlier_per_s:
        return []
    now, before = recent.now.rate_per_s, recent.before.rate_per_s
    more = [(row, row.rate_per_s - recent.earlier_per_s.get(row.client, 0.0)) for row in recent.rows]
    if len(more) < 2:
        return []
    row, new = max(more, key=lambda each: each[1])
    was = recent.earlier_per_s.get(row.client, 0.0)
    of_new = min(new / max(now - before, 1e-9), 1.0)
    enough = STILL_NEW_EXCESS if row.client in case.said("client") else NEW_EXCESS
    if of_new - share(round(was), round(before)) < enough or row.rate_per_s < BUSY_TIMES * was:
        return []
    return [_newcomer(case, row, of_new, was)]


def _newcomer(case: Case, row: ClientRow, of_new: float, was: float) -> Clause:
    said: Sequence[Words] = [(units.percent(of_new), True), (" of the new ones from ", False), (row.client, True)]
    evidence = f"{units.rate(row.rate_per_s)} instead of {units.rate(was)}, n {row.count:,} in 10 s"
    return clause("client", row.client, said, evidence, Place("clients", REQUEST, case.network(row.client)))
