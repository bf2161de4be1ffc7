"""Snapshots with routes: a hostile one, one that fails, one without any answer."""

from __future__ import annotations

from dataclasses import replace

from bpftop.model import ClientRow, CounterSnapshot, Measure, ScriptStatus, SlowRequest, Snapshot
from tests.ui import builders

LATENCY = Measure(
    "route_latency",
    "Route latency",
    "the server read the request",
    "it sent the first byte",
    "slow routes",
    key="route",
)
COUNTERS = ("route_errors_4xx", "route_errors_5xx", "route_unanswered", "http_unseen")
HOSTILE = 'GET /\x1b[31m"=cmd|\u202e'


def row(name: str, count: int, p99_ns: int) -> ClientRow:
    return ClientRow(name, count, count / 60, p99_ns // 4, p99_ns, p99_ns * 2, count * p99_ns // 4, code=count)


def counter(name: str, **counts: int) -> CounterSnapshot:
    rows = tuple(ClientRow(key, n, n / 60, None, None, None) for key, n in counts.items())
    measure = Measure(name, name, "", "", key="route" if name.startswith("route") else "none", unit="count")
    total = sum(counts.values())
    return CounterSnapshot(measure, total, total / 60, () if name == "http_unseen" else rows)


def with_routes(of: Snapshot, unseen: int = 0, empty: bool = False) -> Snapshot:
    """Four routes, one of them hostile and one without any answer; some slow requests with a line."""
    status = ScriptStatus(
        "http", "HTTP routes", of.tracer.state, 3, "HTTP/1 requests by route.", "Routes", (LATENCY.name, *COUNTERS)
    )
    rows = (
        row("GET /users/:id", 9000, 4_000_000),
        row("POST /orders", 500, 900_000_000),
        row(HOSTILE, 20, 100_000),
        row("others", 70, 1_000_000),
    )
    shown = replace(builders.measured(LATENCY, 0 if empty else 9590), clients=() if empty else rows)
    counters = {
        "route_errors_4xx": counter("route_errors_4xx", **({} if empty else {"GET /users/:id": 321})),
        "route_errors_5xx": counter("route_errors_5xx", **({} if empty else {"POST /orders": 45})),
        "route_unanswered": counter("route_unanswered", **({} if empty else {"GET /hang": 7})),
        "http_unseen": counter("http_unseen", all=unseen),
        "client_errors_4xx": counter("client_errors_4xx", **({} if empty else {"127.0.0.2": 300, "10.9.9.9": 21})),
        "client_errors_5xx": counter("client_errors_5xx", **({} if empty else {"127.0.0.2": 45})),
    }
    lines = [("GET /users/42", 404), ("POST /orders", 500), (HOSTILE, 200), ("GET /a" + "b" * 58 + "…", 503), ("", 0)]
    slow = tuple(with_line(each, *line) for each, line in zip(of.slow, lines, strict=False))
    slow += tuple(of.slow[len(lines) :])
    measures = {**of.measures, LATENCY.name: shown}
    return replace(of, scripts=(*of.scripts, status), measures=measures, counters=counters, slow=slow)


def with_line(of: SlowRequest, route: str, status: int) -> SlowRequest:
    fields = {**of.fields, "status": status} if status else of.fields
    return replace(of, fields=fields, texts={"route": route} if route else {})
