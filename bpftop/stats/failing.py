"""Whether many answers are errors of the server (5xx), on which route and for whom: as far as the script http runs."""

from __future__ import annotations

from bpftop import units
from bpftop.model import ClientRow, Recent
from bpftop.stats.case import LEAST, Case
from bpftop.stats.clause import Clause, Place, Words, clause
from bpftop.stats.guilt import OTHERS, Part, proven, share
from bpftop.stats.stages import REQUEST

ROUTE, BY_ROUTE, BY_CLIENT = "route_latency", "route_errors_5xx", "client_errors_5xx"
SHARE, STILL_SHARE = 0.05, 0.025
"""So many of the answers; once said, fewer are enough."""


def failing(case: Case) -> list[Clause]:
    """How many answers are errors, whatever they were before: that is fast, and no server is meant to be so."""
    failed, answers = case.recent.get(BY_ROUTE), case.recent.get(ROUTE)
    if failed is None or answers is None or failed.now.count < LEAST:
        return []
    part = share(failed.now.count, answers.now.count)
    if part < (STILL_SHARE if "failed " in case.named else SHARE):
        return []
    said: list[Words] = [(f"{units.percent(part)} of the answers are 5xx", True)]
    evidence = (
        f"{failed.now.count:,} of {answers.now.count:,} requests that the script http saw in the last 10 s were "
        "answered with a status from 500 to 599"
    )
    found = [clause("failed", "", said, evidence, Place("script", ROUTE, "", "http"))]
    for name in (BY_ROUTE, BY_CLIENT):
        found += _whose(case, name, case.recent.get(name), case.recent.get(ROUTE if name == BY_ROUTE else REQUEST))
    return found


def _whose(case: Case, name: str, failed: Recent | None, answers: Recent | None) -> list[Clause]:
    """Who has more of them than their part of all requests explains."""
    if failed is None or answers is None:
        return []
    asked = {row.client: row.count for row in answers.rows}
    whole = failed.now.count
    parts = [
        Part(row, share(row.count, whole), share(asked[row.client], answers.now.count))
        for row in failed.rows
        if row.client in asked and row.client != OTHERS
    ]
    parts += [Part(_none(row), 0.0, share(row.count, answers.now.count)) for row in _without(answers, failed)]
    kind = "failing" if name == BY_ROUTE else "failed-for"
    return [_whose_part(case, kind, part, whole) for part in proven(parts, whole, case.said(kind))]


def _without(answers: Recent, failed: Recent) -> list[ClientRow]:
    """The keys that have none."""
    have = {row.client for row in failed.rows}
    return [row for row in answers.rows if row.client not in have]


def _none(row: ClientRow) -> ClientRow:
    return ClientRow(row.client, row.count, row.rate_per_s, None, None, None, slow=0)


def _whose_part(case: Case, kind: str, part: Part, whole: int) -> Clause:
    name = part.row.client
    link = " of these are " if kind == "failing" else " of these for "
    said: list[Words] = [(units.percent(part.of_slow), True), (link, False), (name, True)]
    evidence = f"{part.row.count:,} of {whole:,}; it has {units.percent(part.of_all)} of all requests"
    place = Place("clients", REQUEST, case.network(name)) if kind != "failing" else Place("script", ROUTE, name, "http")
    return clause(kind, name, said, evidence, place)
