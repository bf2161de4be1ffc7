"""Whether the network loses packets, and on the way to whom: from the kernel's counts of what it sent again."""

from __future__ import annotations

from bpftop import units
from bpftop.model import ClientRow, Resender, Resent
from bpftop.stats.case import Case
from bpftop.stats.clause import Clause, Place, Words, clause
from bpftop.stats.guilt import Part, proven, share
from bpftop.stats.stages import ACCEPT, REQUEST

STILL = 0.5
"""Once said, so much of these is enough."""


def network(case: Case) -> list[Clause]:
    """What is sent again, and to whom."""
    now = case.snapshot.standstill.resent
    still = "resent " in case.named and not case.said("since")
    if _accepts_late(case) or not now.unusual(STILL if still else 1.0):
        return []
    return [_again(case, now), *_to_whom(case, now)]


def network_as_ever(case: Case) -> list[Clause]:
    """Somebody to whom much is sent again, and far more than to the others: said whatever is usual."""
    now = case.snapshot.standstill.resent
    said = case.said("lossy")
    much = [f"lossy {each.name}" for each in now.clients if each.cut_off(STILL if each.name in said else 1.0)]
    if not much or _accepts_late(case):
        return []
    whom = [each for each in _to_whom(case, now) if each.key in much]
    return [_again(case, now), *whom] if whom else []


def _again(case: Case, now: Resent) -> Clause:
    again = units.percent(now.segments / now.sent)
    said: list[Words] = [(f"{again} of packets", True), (" to clients are sent again: ", False)]
    said += [("the network", True), (" loses some", False)]
    evidence = f"{now.segments:,} of {now.sent:,} segments in {units.span(now.span_s)}, by the kernel's counts of each "
    evidence += "connection" + ("" if now.usual is None else f"; usual here: {units.percent(now.usual)}")
    place = Place("script", "smoothed_rtt", "", "tcp") if case.runs("tcp") else Place("start", "", "", "tcp")
    return clause("resent", "", said, evidence, place)


def _accepts_late(case: Case) -> bool:
    """Whether the accept queue is or was full: then the kernel sends handshakes again, and loses nothing."""
    queue = case.recent.get(ACCEPT)
    return bool(case.snapshot.standstill.backlogs) or (
        queue is not None and (queue.risen_s is not None or queue.late_s is not None)
    )


def _to_whom(case: Case, now: Resent) -> list[Clause]:
    """The clients that more is sent to again than their part of the traffic explains."""
    parts = [_part(each, now) for each in now.clients]
    if len(parts) == 1 and parts[0].of_all < 1.0:  # the others, to whom nothing is sent again
        rest = ClientRow("", now.sent - now.clients[0].sent, 0.0, 0, 0, 0, 0, 0)
        parts.append(Part(rest, 0.0, 1.0 - parts[0].of_all))
    return [_client(case, part, now) for part in proven(parts, now.segments, case.said("lossy"))]


def _part(each: Resender, now: Resent) -> Part:
    row = ClientRow(each.name, each.sent, each.sent / max(now.span_s, 1.0), 0, 0, 0, 0, each.segments)
    return Part(row, share(each.segments, now.segments), share(each.sent, now.sent))


def _client(case: Case, part: Part, now: Resent) -> Clause:
    name, again = part.row.client, part.row.slow or 0
    said: list[Words] = [(units.percent(part.of_slow), True), (" of these to ", False), (name, True)]
    evidence = f"{again:,} of {now.segments:,} segments sent again; it gets {part.row.count:,} of all {now.sent:,}"
    return clause("lossy", name, said, evidence, Place("clients", REQUEST, case.network(name)))
