"""A request that two scripts report is shown once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bpftop.model import EventStream, History, SlowRequest
from bpftop.stats.joined import joined, joined_beside, joined_late
from tests.snapshots import measure

REQUEST = SlowRequest(1000, "request", 70, "10.0.0.1", {"read_queue_ns": 20, "client_port": 99, "pid": 7})
HTTP = SlowRequest(1000, "http", 50, "10.0.0.1", {"status": 500, "client_port": 99, "pid": 7}, {"route": "GET /a"})


def test_the_line_joins_the_request_with_its_whole_latency() -> None:
    (one,) = joined([HTTP, REQUEST])
    assert (one.event, one.latency_ns, one.texts) == ("request", 70, {"route": "GET /a"})
    assert one.fields == {"read_queue_ns": 20, "client_port": 99, "pid": 7, "status": 500}


def test_other_moments_clients_and_ports_are_other_requests() -> None:
    others = [
        SlowRequest(1001, "request", 70, "10.0.0.1", {"client_port": 99}),
        SlowRequest(1000, "request", 70, "10.0.0.2", {"client_port": 99}),
        SlowRequest(1000, "request", 70, "10.0.0.1", {"client_port": 98}),
        SlowRequest(1000, "connection", 70, "10.0.0.1", {"client_port": 99}),
    ]
    found = joined([*others, HTTP])
    assert found[:4] == others
    assert [(each.event, each.latency_ns, each.texts["route"]) for each in found[4:]] == [("request", 50, "GET /a")]


def test_a_line_alone_is_no_row_where_requests_runs() -> None:
    assert joined([REQUEST, replace(HTTP, unix_ns=5)], together=True) == [REQUEST]


def test_what_was_not_seen_is_not_shown() -> None:
    unknown = SlowRequest(1000, "http", 50, "10.0.0.1", {"status": 0, "client_port": 99}, {"route": ""})
    (one,) = joined([unknown])
    assert one.fields == {"client_port": 99}
    assert one.texts == {}


def test_without_the_script_nothing_changes() -> None:
    assert joined([REQUEST]) == [REQUEST]


def test_lines_of_a_program_of_its_own_join_the_answers_that_are_near() -> None:
    def request(at_ns: int, port: int = 4000, latency_ns: int = 5_000_000) -> SlowRequest:
        return SlowRequest(at_ns, "request", latency_ns, "10.0.0.1", {"read_queue_ns": 10, "client_port": port})

    def line(at_ns: int, port: int = 4000, latency_ns: int = 5_000_000) -> SlowRequest:
        return SlowRequest(
            at_ns, "request", latency_ns, "10.0.0.1", {"client_port": port, "status": 200}, {"route": "GET /"}
        )

    other = SlowRequest(7, "stall", 5, "", {"pid": 1})
    far, elsewhere, quick = line(3_000_000), line(0, 4001), line(10_000_500, latency_ns=400)
    found = joined_late([request(0), line(20_000), far, elsewhere, request(10_000_000, latency_ns=400), quick, other])
    assert len(found) == 6
    assert found[0] == replace(request(0), fields={**line(0).fields, **request(0).fields}, texts={"route": "GET /"})
    assert {id(each) for each in (far, elsewhere, quick, other)} <= {id(each) for each in found}


class Plain:
    """Names that are the numbers themselves."""

    def of_kind(self, kind: str, code: int) -> str:
        return f"GET /{code}" if kind == "route" else f"10.0.0.{code}"

    def name(self, measure: object, code: int) -> str:
        return str(code)


REQUESTS = EventStream(
    "request", "request_latency", ("timestamp_ns", "latency_ns", "read_queue_ns", "client", "client_port_be", "pid")
)
LINES = EventStream(
    "http", "route_latency", ("timestamp_ns", "latency_ns", "client", "client_port_be", "route", "status", "pid")
)
MEASURES = {"request_latency": measure(), "route_latency": measure()}


def history(stream: EventStream, rows: Sequence[tuple[int, ...]]) -> History:
    return History(streams=(stream,), events=(np.array(rows, np.int64),), unix_offset_ns=1_000, names=Plain())


def test_each_request_has_its_line_though_a_program_beside_it_sends_others_and_orders_them_otherwise() -> None:
    """Every third request was sent; the lines of all are kept, in another order."""
    requests = [(i * 30_000_000, 80_000_000 + i, 10 + i, 7, 80, 9) for i in range(0, 400, 3)]
    lines = [(i * 30_000_000 + 2_000, 80_000_000 - i, 7, 80, i, 200, 9) for i in range(400)]
    events = [
        SlowRequest(t + 1_000, "request", latency, "10.0.0.7", {"read_queue_ns": q, "client_port": 20480, "pid": 9})
        for t, latency, q, *_ in requests
    ]
    slowest = [joined([SlowRequest(1, "http", 5, "10.0.0.7", {"client_port": 20480}, {"route": "GET /0"})])[0]]
    other = SlowRequest(5, "stall", 5, "", {"pid": 9})
    found = joined_beside([*events, *slowest, other], [history(REQUESTS, requests), history(LINES, lines)], MEASURES)
    assert [each.texts.get("route") for each in found] == [*(f"GET /{i}" for i in range(0, 400, 3)), None]
    assert [each.fields.get("read_queue_ns") for each in found[:-1]] == [each[2] for each in requests]
    assert {each.fields["status"] for each in found[:-1]} == {200}
    assert found[-1] is other


def test_lines_alone_are_rows() -> None:
    alone = joined([HTTP])
    assert joined_beside(alone, [history(LINES, [(0, 50, 1, 99, 5, 500, 7)])], MEASURES) == alone
