"""One row for one request, though two scripts report it: what ``http`` saw of it joins what ``requests`` measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bpftop.model import History, MeasureSnapshot, SlowRequest
from bpftop.stats.events import described
from bpftop.wire import HTTP, REQUEST

NEAR_NS = 1_000_000
"""Two programs on one attach point look at the clock within this."""
JOINED = (REQUEST, HTTP)
"""The streams of which one row can be made."""
_STATUSES = range(100, 600)


def joined(events: Iterable[SlowRequest], together: bool = False) -> list[SlowRequest]:
    """The events, those of ``http`` as requests with ``texts["route"]`` and ``fields["status"]``.

    The two are the same request when moment, client and port are the same: the scripts look at the clock once. An event
    that only ``http`` sent has no read queue, and its latency begins with the read: it is no row where ``requests``
    runs ``together`` with it and sends others.
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
    return out if together else out + list(lines.values())


def joined_beside(
    events: Iterable[SlowRequest], histories: Sequence[History], measures: Mapping[str, MeasureSnapshot]
) -> list[SlowRequest]:
    """The events of programs that run beside each other: a request that ``requests`` sent with what ``http`` saw of it.

    ``http`` does not know which ones the other sends, sends more of them and orders them without their read queue: so
    each request is looked up in all that it sent, and what it sent besides is no row.
    """
    kinds = [{stream.name for stream in history.streams} for history in histories]
    if not any(REQUEST in names and HTTP not in names for names in kinds) or not any(HTTP in names for names in kinds):
        return list(events)
    mine = [each for each in events if not _by_line(each)]
    wanted = [each for each in mine if each.event == REQUEST and "route" not in each.texts]
    lines = [line for history in histories for line in _lines_near(history, wanted, measures)]
    return [each for each in joined_late([*mine, *lines]) if not _by_line(each)]


def _lines_near(
    history: History, wanted: Sequence[SlowRequest], measures: Mapping[str, MeasureSnapshot]
) -> Iterator[SlowRequest]:
    """What ``http`` sent at about these moments."""
    moments = np.array([each.unix_ns for each in wanted], np.int64) - history.unix_offset_ns
    for stream, rows in zip(history.streams, history.events, strict=True):
        if stream.name != HTTP or stream.measure not in measures or history.names is None:
            continue
        order = rows[:, 0].argsort()
        first, last = (rows[order, 0].searchsorted(moments + apart) for apart in (-NEAR_NS, NEAR_NS))
        places = {place for low, high in zip(first, last, strict=True) for place in order[low:high].tolist()}
        for row in rows[sorted(places)].tolist():
            yield _as_request(
                described(stream, measures[stream.measure].measure, row, history.names, history.unix_offset_ns)
            )


def _by_line(each: SlowRequest) -> bool:
    """Whether only ``http`` tells of it."""
    return each.event == REQUEST and "read_queue_ns" not in each.fields and "client_port" in each.fields


def joined_late(events: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The same for scripts in programs of their own, which look at the clock one after the other.

    Two answers on one connection are further apart than the later one took, so what is nearer is the same answer.
    """
    out: list[SlowRequest] = []
    lines: dict[tuple[str, int], list[SlowRequest]] = {}
    for each in events:
        if _by_line(each):
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
