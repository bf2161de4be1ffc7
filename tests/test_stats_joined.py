"""A request that two scripts report is shown once."""

from __future__ import annotations

from dataclasses import replace

from bpftop.model import SlowRequest
from bpftop.stats.joined import joined, joined_late

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
