"""HTTP/1 by route: every request is counted under its method and path, its status is seen, and nothing else of it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bpftop.ensemble import merged
from bpftop.export.report_json import to_json
from bpftop.export.snapshot_csv import slow_requests
from bpftop.export.table import to_csv
from bpftop.model import Snapshot
from bpftop.session import Session
from tests.kernel.watching import free_port, running_nginx, settled, watching
from tests.load import delay_server, loopback_addresses, run_load
from tests.load.routes_server import SLOW_S

MODES = ("recv", "read", "msg", "vec")
SCRIPTS = ("requests", "http")
FLOOD = 1500


@contextmanager
def routes_server() -> Iterator[tuple[int, dict[str, int]]]:
    """Process id and port by mode."""
    command = [sys.executable, "-m", "tests.load.routes_server", *MODES]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, json.loads(process.stdout.readline())
        process.stdin.close()


@dataclass
class Truth:
    """What a client asked for and what the server's rule says about it."""

    routes: Counter[str] = field(default_factory=Counter)
    errors_4xx: Counter[str] = field(default_factory=Counter)
    errors_5xx: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    unseen: int = 0

    def add(self, route: str, status: int = 200) -> None:
        """One answered request."""
        self.routes[route] += 1
        self.errors_4xx[route] += status // 100 == 4
        self.errors_5xx[route] += status // 100 == 5


class Client:
    """One connection; every request is waited for."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.sock = socket.create_connection((address, port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request: bytes, *further: bytes) -> int:
        """The status; what is ``further`` comes in reads of its own."""
        self.sock.sendall(request)
        for part in further:
            time.sleep(0.02)
            self.sock.sendall(part)
        return self.status(b" 304 " if b"/same" in request else b"")

    def status(self, bodiless: bytes = b"") -> int:
        """Read one response."""
        data = b""
        while b"\r\n\r\n" not in data or (b" 100 " in data[:20] and data.count(b"\r\n\r\n") < 2):
            got = self.sock.recv(65536)
            if not got:
                return 0
            data += got
        return int(data.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").split(b" ")[1])

    def close(self) -> None:
        self.sock.close()


def request(line: str, headers: str = "", version: str = "HTTP/1.1") -> bytes:
    """A whole request with a cookie."""
    return f"{line} {version}\r\nHost: h\r\nCookie: secret-cookie\r\n{headers}\r\n".encode("latin-1")


def everyday_requests(port: int, truth: Truth) -> None:
    """What any server gets: keep-alive, errors, HEAD, POST with a body in a segment of its own, Expect."""
    with closing(Client(port)) as client:
        for number in range(20):
            assert client.ask(request(f"GET /users/{number}?token=secret-query")) == 200
            truth.add("GET /users/:id")
        for word, status in (("missing", 404), ("denied", 403), ("broken", 500), ("away", 503), ("same", 304)):
            assert client.ask(request(f"GET /answer/{word}")) == status
            truth.add(f"GET /answer/{word}", status)
        assert client.ask(request("HEAD /users/7;jsessionid=secret-session")) == 200
        truth.add("HEAD /users/:id")
        body = b"GET /secret-body HTTP/1.1\r\n\r\n"
        assert client.ask(request("POST /orders", f"Content-Length: {len(body)}\r\n"), body) == 200
        truth.add("POST /orders")
        expecting = request("PUT /files/a.txt", "Content-Length: 3\r\nExpect: 100-continue\r\n")
        assert client.ask(expecting, b"abc") == 200
        truth.add("PUT /files/a.txt")
    for version, headers in (("HTTP/1.0", ""), ("HTTP/1.1", "Connection: close\r\n")):
        with closing(Client(port, "::1")) as client:
            assert client.ask(request("GET /answer/moved", headers, version)) == 301
            truth.add("GET /answer/moved", 301)


def every_length(port: int, truth: Truth) -> None:
    """The end of the path in every byte of every word, and beyond the last one."""
    with closing(Client(port)) as client:
        for length in range(1, 90):
            path = "/" + "q" * (length - 1)
            assert client.ask(request(f"GET {path}")) == 200
            truth.add(f"GET {path}" if length < 60 else f"GET {path[:60]}…")
            assert client.ask(request(f"PATCH {path}?secret-query")) == 200
            truth.add(f"PATCH {path}" if length < 58 else f"PATCH {path[:58]}…")


def odd_requests(port: int, truth: Truth) -> None:
    """Other methods, hostile bytes, a first line in two reads, and requests that get no answer."""
    with closing(Client(port)) as client:
        for line in ("PROPFIND /dav", "PROPPATCH /dav", "OPTIONS *", "DELETE /x", "VERSION-CONTROL /dav"):
            assert client.ask(request(line)) == 200
            if line.startswith("VERSION"):
                truth.unseen += 1  # no method of letters only
            else:
                truth.add(line)
        hostile = {"/\x1b[31mred": "/", "/nul\0byte": "/nul", '/"=cmd|,': '/"=cmd|,', "/\x7f\xff": "/??"}
        for path, shown in hostile.items():
            assert client.ask(request(f"GET {path}")) == 200
            truth.add(f"GET {shown}")
        assert client.ask(b"GET /in-two-re", b"ads HTTP/1.1\r\n\r\n") == 200
        truth.unseen += 2  # the first read is too short, the second begins no request
        assert client.ask(b"GET /in-two-reads", b"-as-well HTTP/1.1\r\n\r\n") == 200
        truth.add("GET …")
        assert client.ask(request("GET /both") * 2) == 200
        truth.add("GET /both")  # pipelined: one
    with closing(Client(port)) as client:
        client.sock.sendall(b"\x16\x03\x01\x02\x00\x01" + bytes(60))  # how TLS begins
        truth.unseen += 1
    for path, known in (("/hangup", truth.unanswered), ("/plain", None)):
        with closing(Client(port)) as client:
            client.sock.sendall(request(f"GET {path}"))
            client.sock.recv(100)
        truth.unseen += known is None
        if known is not None:
            known[f"GET {path}"] += 1


def rows(session: Session, counter: str) -> dict[str, int]:
    return {row.client: row.count for row in session.snapshot(None).counters[counter].rows}


def test_every_request_is_counted_under_its_route_whatever_the_system_call() -> None:
    truth = Truth()
    with routes_server() as (pid, ports), watching(str(pid), SCRIPTS) as session:
        for port in ports.values():
            everyday_requests(port, truth)
        every_length(ports["recv"], truth)
        odd_requests(ports["vec"], truth)
        with closing(Client(ports["msg"])) as client:
            assert client.ask(request("GET /slow")) == 200
            truth.add("GET /slow")
        snapshot = settled(session, events=True)
        measure = snapshot.measures["route_latency"]
        assert {row.client: row.count for row in measure.clients} == truth.routes
        assert measure.summary.count == truth.routes.total()
        assert rows(session, "route_errors_4xx") == +truth.errors_4xx
        assert rows(session, "route_errors_5xx") == +truth.errors_5xx
        assert rows(session, "client_errors_4xx") == {"127.0.0.1": truth.errors_4xx.total()}
        assert rows(session, "route_unanswered") == truth.unanswered
        assert snapshot.counters["http_unseen"].count == truth.unseen
    (slow,) = (row for row in measure.clients if row.client == "GET /slow")
    assert slow.max_ns is not None
    assert slow.max_ns >= SLOW_S * 1e9 * 0.97  # within the bucket's 3 %
    _assert_only_lines(snapshot)


def _assert_only_lines(snapshot: Snapshot) -> None:
    """Slow requests have their line and status, one row each; no other byte of a request is anywhere."""
    first = snapshot.slow[0]
    assert (first.event, first.texts["route"], first.fields["status"]) == ("request", "GET /slow", 200)
    assert first.latency_ns >= SLOW_S * 1e9
    moments = [(each.unix_ns, each.client, each.fields["client_port"]) for each in snapshot.slow]
    assert len(set(moments)) == len(moments)
    for text in (json.dumps(to_json(snapshot)), to_csv(slow_requests(snapshot)), repr(snapshot)):
        assert "GET /slow" in text
        assert "secret" not in text


def flood(port: int) -> None:
    """More different routes than are kept for a second; they are no ids."""
    with closing(Client(port)) as client:
        for number in range(FLOOD):
            name = "".join("abcdefghijklmno"[number // power % 15] for power in (1, 15, 225, 3375))
            client.ask(request(f"GET /fixed/{name}"))


def test_nginx_routes_are_exact_at_full_speed_and_times_are_those_of_the_requests(tmp_path: Path) -> None:
    port = free_port()
    more = f"""
      upstream back {{ server 127.0.0.1:{port}; keepalive 8; }}
      server {{
        listen 127.0.0.1:{port} backlog=4096;
        location /proxied/ {{ proxy_pass http://back/; proxy_http_version 1.1; proxy_set_header Connection ""; }}
        location /fixed {{ return 200 "ok"; }}
        location /denied {{ return 403 "no"; }}
        location /page {{ sendfile on; alias /etc/passwd; }}
        location /broken {{ return 500 "sorry"; }}
      }}"""
    paths = ["/fixed", "/page", "/missing", "/users/17?q=1", "/users/18", "/broken", "/proxied/fixed", "/denied"]
    each = 3000
    sources = loopback_addresses(6)
    with running_nginx(tmp_path, more=more), watching(f":{port}", SCRIPTS) as session:
        load = run_load(port, each * len(paths), connections=16, paths=paths, sources=sources)
        assert load.complete
        flood(port)
        snapshot = settled(session, events=True)
        measure = snapshot.measures["route_latency"]
        errors = {code: rows(session, f"route_errors_{code}xx") for code in (4, 5)}
    assert sum(row.count for row in measure.clients) == measure.summary.count
    counts = {row.client: row.count for row in measure.clients if row.client != "others" and row.count > 2}
    # connection c sends its i-th request to path (c + i) mod 8: not all paths are asked equally often
    assert sum(counts.values()) == load.responses + counts["GET /proxied/fixed"]
    assert measure.summary.count == sum(counts.values()) + FLOOD
    assert counts.keys() == {*(f"GET {path}" for path in paths if "users" not in path), "GET /users/:id"}
    wrong = ("GET /missing", "GET /users/:id", "GET /denied")
    assert errors == {4: {route: counts[route] for route in wrong}, 5: {"GET /broken": counts["GET /broken"]}}
    assert sum(sum(found.values()) for found in errors.values()) == load.not_2xx
    request_latency = snapshot.measures["request_latency"].histogram
    assert np.array_equal(measure.histogram.low_ns, request_latency.low_ns)
    assert np.array_equal(measure.histogram.counts, request_latency.counts)
    assert snapshot.counters["http_unseen"].count == 0
    assert snapshot.accounting.untracked == 0
    slow = [each for each in snapshot.slow if each.event == "request"]
    assert all("status" in each.fields for each in slow)  # also what only requests.bt found slow
    assert all("read_queue_ns" in each.fields for each in slow), "in one program http sends what requests sends"
    assert all(each.texts["route"].startswith("GET /") for each in slow)


def test_slow_requests_have_their_route_though_http_runs_in_a_program_of_its_own() -> None:
    """Each program chooses by itself which requests it sends."""
    with delay_server("lognormal:20000000,0.5") as server:
        target = str(server.pid)
        with watching(target, SCRIPTS[:1]) as main, watching(target, SCRIPTS[1:]) as beside:
            load = run_load(server.port, 4000, connections=64, rate_per_s=400, paths=["/a", "/b?c=1"])
            assert load.complete
            whole = merged(settled(main, events=True), [settled(beside, events=True)], ())
    slow = [each for each in whole.slow if each.event == "request"]
    assert len(slow) > 100
    known = [each for each in slow if each.texts.get("route") in ("GET /a", "GET /b")]
    waited = [each for each in slow if each.fields["read_queue_ns"] > each.latency_ns / 4]
    assert len(known) >= 0.9 * (len(slow) - len(waited)), f"{len(known)} of {len(slow)}, {len(waited)} slow to be read"
    assert all("read_queue_ns" in each.fields for each in slow)
    assert len(slow) == len({(each.unix_ns, each.client, each.fields["client_port"]) for each in slow})
