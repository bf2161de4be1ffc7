"""One row for one request, though two scripts report it: what ``http`` saw of it joins what ``requests`` measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from bpftop.model import SlowRequest

REQUEST, HTTP = "request", "http"
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


def _identity(event: SlowRequest) -> tuple[int, str, int]:
    return event.unix_ns, event.client, event.fields.get("client_port", 0)


def _as_request(event: SlowRequest) -> SlowRequest:
    """A status that is none was not seen."""
    status = event.fields.get("status", 0)
    known = {"status": status} if status in _STATUSES else {}
    known |= {name: n for name, n in event.fields.items() if name != "status"}
    texts = {name: text for name, text in event.texts.items() if text}
    return replace(event, event=REQUEST, fields=known, texts=texts)
