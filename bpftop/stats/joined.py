"""One row for one request, though two scripts report it: what ``http`` saw of it joins what ``requests`` measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bpftop.model import SlowRequest

REQUEST, HTTP = "request", "http"
NEAR_NS = 1_000_000
"""Two programs on one attach point look at the clock within this."""
JOINED = (REQUEST, HTTP)
"""The streams of which one row can be made."""
_STATUSES = range(100, 600)


def joined(events: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The events, those of ``http`` as requests with ``texts["route"]`` and ``fields["status"]``.

    The two are the same request when moment, client and port are the same: the scripts look at the clock once. An event
    that only ``http`` sent has no read queue, and its latency begins with the read.
    """
    out, lines = [], {}
    for each in events:
        if each.event == HTTP:
            lines[_identity(each)] = _as_request(each)
        else:
            out.append(each)
    for place, each in enumerate(out):
        line = lines.pop(_identity(each), None) if each.event == REQUEST else None
        if line is not None:
            out[place] = replace(each, fields={**line.fields, **each.fields}, texts={**each.texts, **line.texts})
    return out + list(lines.values())


def joined_late(events: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The same for scripts in programs of their own, which look at the clock one after the other.

    Two answers on one connection are further apart than the later one took, so what is nearer is the same answer.
    """
    out: list[SlowRequest] = []
    lines: dict[tuple[str, int], list[SlowRequest]] = {}
    for each in events:
        by_line = each.event == REQUEST and "read_queue_ns" not in each.fields and "client_port" in each.fields
        if by_line:
            lines.setdefault((each.client, each.fields["client_port"]), []).append(each)
        else:
            out.append(each)
    for place, each in enumerate(out):
        if each.event != REQUEST or "route" in each.texts:
            continue
        known = lines.get((each.client, each.fields.get("client_port", 0)), [])
        line = next((one for one in known if _same_answer(one, each)), None)
        if line is not None:
            known.remove(line)
            out[place] = replace(each, fields={**line.fields, **each.fields}, texts={**each.texts, **line.texts})
    return out + [each for rest in lines.values() for each in rest]


def _same_answer(one: SlowRequest, other: SlowRequest) -> bool:
    apart = abs(one.unix_ns - other.unix_ns)
    return apart < min(NEAR_NS, one.latency_ns, other.latency_ns)


def _identity(event: SlowRequest) -> tuple[int, str, int]:
    return event.unix_ns, event.client, event.fields.get("client_port", 0)


def _as_request(event: SlowRequest) -> SlowRequest:
    """A status that is none was not seen."""
    status = event.fields.get("status", 0)
    known = {"status": status} if status in _STATUSES else {}
    known |= {name: n for name, n in event.fields.items() if name != "status"}
    texts = {name: text for name, text in event.texts.items() if text}
    return replace(event, event=REQUEST, fields=known, texts=texts)
