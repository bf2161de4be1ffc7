"""Real output of bpftrace under ``tests/data``: captures of six versions, and one whole run with its truth.

A capture is one small script for each feature of the output. The run is ``requests`` and ``connections`` on a threaded
server that slept so long for each request of each client, recorded with 0.17.0 on kernel 6.18.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bpftop.model import EventStream, Measure, Program, Script

DATA = Path(__file__).parent / "data"
CAPTURES = sorted((DATA / "captures").glob("*/*.stdout"))
VERSIONS = ("0.17.0", "0.20.2", "0.23.2", "0.24.2", "0.27.0", "0.27.1")
RUN = (DATA / "recordings" / "requests-connections-0.17.0.stdout").read_bytes()
TRUTH: dict[str, dict[str, int]] = json.loads(
    (DATA / "recordings" / "requests-connections-0.17.0.truth.json").read_text()
)

_NAMES = "read_queue_latency request_latency response_time accept_queue_latency connection_duration"
MEASURES = tuple(Measure(name, name.replace("_", " ").capitalize(), "start", "end") for name in _NAMES.split())
STREAMS = (
    EventStream(
        "request",
        "request_latency",
        ("timestamp_ns", "latency_ns", "read_queue_ns", "client", "client_port_be", "pid"),
    ),
    EventStream("connection", "connection_duration", ("timestamp_ns", "latency_ns", "client", "client_port_be")),
)


def program(text: str = "BEGIN { }\n", argv: tuple[str, ...] = ()) -> Program:
    """The program of the recorded run, with any text."""
    body = "tracepoint:a:b { }\n"
    script = Script("requests", "bt/requests.bt", "Requests", "about requests", MEASURES, STREAMS, (), body)
    return Program(text, (script,), MEASURES, STREAMS, argv)


def capture(version: str, name: str) -> bytes:
    """What bpftrace wrote on stdout."""
    return (DATA / "captures" / version / f"sample-{name}.stdout").read_bytes()


def line(kind: str, data: Any) -> bytes:
    """One line as bpftrace writes it."""
    return json.dumps({"type": kind, "data": data}).encode() + b"\n"
