"""Upstreams: known delays behind nginx over TCP and unix sockets, and a client whose every call is known."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bpftop.model import MeasureSnapshot
from bpftop.session import Session
from tests.kernel.watching import (
    assert_between,
    assert_counts,
    counts_by_client,
    final,
    free_port,
    running_nginx,
    settled,
    wait_for,
    watching,
)
from tests.load import delay_server, run_load
from tests.load.ends import End, running_end

SCRIPTS = ("requests", "upstream")
KEEP_ALIVE = 'proxy_http_version 1.1; proxy_set_header Connection "";'


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that nginx's workers may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="bpftop-up-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _proxy(port: int, pooled: int, closed: int, pooled_path: Path, closed_path: Path) -> str:
    return f"""
  upstream pool {{ server 127.0.0.1:{pooled}; keepalive 8; }}
  upstream path {{ server unix:{pooled_path}; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location /pool/ {{ proxy_pass http://pool/; {KEEP_ALIVE} }}
    location /path/ {{ proxy_pass http://path/; {KEEP_ALIVE} }}
    location /pool-close/ {{ proxy_pass http://[::1]:{closed}/; }}
    location /path-close/ {{ proxy_pass http://unix:{closed_path}:/; }}
  }}"""


def _wait_for_count(session: Session, name: str, count: int) -> MeasureSnapshot:
    """The measure when it has at least so many observations."""
    wait_for(lambda: final(session, name).summary.count >= count, f"{name} stays below {count}")
    return final(session, name)


def test_nginx_and_its_upstreams(folder: Path) -> None:
    nginx_and_its_upstreams(folder, 1200)


def nginx_and_its_upstreams(folder: Path, requests: int) -> None:
    """Kept and closed connections, TCP and unix, IPv4 and IPv6: each answer once, with the time that it took."""
    kept_path, closed_path = folder / "kept.sock", folder / ("long-" * 14 + "closed.sock")
    port = free_port()
    with (
        delay_server("bimodal:2000000,20000000,0.2", unix=kept_path, seed=3) as kept,
        delay_server(
            "constant:3000000", host="", host6="::1", unix=closed_path, sends=2, pause_ns=10_000_000
        ) as closed,
        running_nginx(folder, more=_proxy(port, kept.port, closed.port, kept_path, closed_path)) as nginx,
        watching(str(nginx.pid), SCRIPTS) as session,
    ):
        paths = ["/pool/", "/path/", "/pool-close/", "/path-close/"]
        load = run_load(port, requests, connections=12, paths=paths, trace=True)
        assert load.complete
        assert not load.not_2xx, (folder / "error.log").read_text()[-1000:]
        latency = settled(session, events=True).measures["upstream_latency"]
        asked = [kept.truth().requests, closed.truth().requests]
        truth = np.concatenate(asked)
        shown = str(closed_path)[-55:]  # with the NUL behind it these are the last 56 bytes
        wanted = {
            f"127.0.0.1:{kept.port}": int((asked[0]["client"] != 0).sum()),
            f"unix:{kept_path}": int((asked[0]["client"] == 0).sum()),
            f"[::1]:{closed.port}": int((asked[1]["port"] != 0).sum()),
            f"unix:{shown}": int((asked[1]["port"] == 0).sum()),
        }
        assert_counts(latency, wanted)
        # The request has been sent when the call returns; the upstream may have read it a little before.
        low = np.sort(truth["first_send_start_ns"] - truth["read_end_ns"])
        high = np.sort(load.trace["first_byte_ns"] - load.trace["send_start_ns"])
        assert_between(latency.histogram, low, high, soft_share=0.1)
        # Both servers have ended: nginx has closed what it kept, and the last answers are complete.
        assert_counts(response := _wait_for_count(session, "upstream_response_time", requests), wanted)
        low = np.sort(truth["last_send_start_ns"] - truth["read_end_ns"])
        high = np.sort(load.trace["last_byte_ns"] - load.trace["send_start_ns"])
        assert_between(response.histogram, low, high, soft_share=0.1)
        snapshot = session.snapshot(None)
        assert snapshot.measures["request_latency"].summary.count == requests
        slow = [event for event in snapshot.slow if event.event == "upstream"]
        assert slow
        assert {event.texts["peer"] for event in slow} <= {row.client for row in latency.clients}
        books = snapshot.accounting
        assert books.produced == 2 * requests == books.shown + books.suppressed
        assert (books.lost, books.rejected, books.untracked) == (0, 0, 0)


class _Asked:
    """What the target asked of its upstreams, and what that must have taken."""

    def __init__(self) -> None:
        self.latency: list[tuple[int, int]] = []
        self.response: list[tuple[int, int]] = []

    def exchange(self, target: End, upstream: End, at_target: int, at_upstream: int, pauses_s: list[float]) -> None:
        """One request, answered in as many parts as there are pauses."""
        upstream.begin("answer", id=at_upstream, request=10, pauses_s=pauses_s, size=100)
        sent = target.do("send", id=at_target, size=10)
        read = target.do("receive", id=at_target, size=100 * len(pauses_s))["calls"]
        answered = upstream.result()["sends"]
        self.latency.append((answered[0]["before"] - sent["after"], read[0][1] - sent["before"]))
        self.response.append((read[-1][0] - sent["after"], read[-1][1] - sent["before"]))

    def exchange_read_late(self, target: End, upstream: End, at_target: int, at_upstream: int) -> None:
        """An answer that has long arrived when it is read: over a unix socket it arrives within the send."""
        upstream.begin("answer", id=at_upstream, request=10, pauses_s=[0.0], size=100)
        sent = target.do("send", id=at_target, size=10)
        (answered,) = upstream.result()["sends"]
        time.sleep(0.02)
        ((read_start, read_end),) = target.do("receive", id=at_target, size=100)["calls"]
        self.latency.append((answered["before"] - sent["after"], answered["after"] - sent["before"]))
        self.response.append((read_start - sent["after"], read_end - sent["before"]))

    def ask(self, rows: list[tuple[int, int, int, int]], truth: NDArray[np.void]) -> None:
        """What the asyncio client did, beside what its server recorded."""
        of_server = truth[np.lexsort((truth["read_start_ns"], truth["port"]))]
        for (port, before, sent, answered), row in zip(sorted(rows), of_server, strict=True):
            assert port == row["port"]
            bounds = (int(row["first_send_start_ns"]) - sent, answered - before)
            self.latency.append(bounds)
            self.response.append(bounds)


def _bounds(pairs: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    low, high = np.array(pairs, np.int64).T
    return np.sort(np.maximum(low, 0)), np.sort(high)


@contextmanager
def _both() -> Iterator[tuple[End, End]]:
    with running_end() as target, running_end() as upstream:
        yield target, upstream


def _open(client: End, server: End, host: str, own: str = "") -> tuple[int, int]:
    """A connection of the client's to the server: the numbers of its sockets there and here."""
    listener = server.do("listen", host=host)
    return _again(client, server, host, listener, own)


def _again(client: End, server: End, host: str, listener: dict[str, Any], own: str = "") -> tuple[int, int]:
    server.begin("accept", listener=listener["id"])
    made = client.do("connect", host=host, port=listener["port"], own=own)
    return int(made["id"]), int(server.result()["id"])


def test_what_is_an_upstream_and_what_is_not(folder: Path) -> None:
    what_is_an_upstream_and_what_is_not(folder)


def what_is_an_upstream_and_what_is_not(folder: Path) -> None:
    """Connections from before the start, abstract names, late readers, memory used again, asyncio."""
    with _both() as (target, upstream), delay_server("pareto:1000000,1.5", seed=5) as server:
        asked = _Asked()
        old_path, old_tcp = str(folder / "old.sock"), "127.0.0.5"
        old = [_open(target, upstream, host) for host in (old_path, old_tcp)]
        for pair in old:
            _Asked().exchange(target, upstream, *pair, [0.0])  # nobody looks yet
        with watching(str(target.pid), ("upstream",)) as session:
            _no_upstreams(target, upstream, folder)
            for pair in old:
                for _ in range(5):
                    asked.exchange(target, upstream, *pair, [0.002])
            abstract = _open(target, upstream, "\0/abstract")
            asked.exchange(target, upstream, *abstract, [0.01, 0.03])
            asked.exchange_read_late(target, upstream, *abstract)
            mapped = _again(target, upstream, "::ffff:127.0.0.7", mapped_to := upstream.do("listen", host="127.0.0.7"))
            asked.exchange(target, upstream, *mapped, [0.004])
            path = str(folder / "new.sock")
            listener = upstream.do("listen", host=path)
            for _ in range(40):  # the kernel uses the memory of a closed socket again
                pair = _again(target, upstream, path, listener)
                asked.exchange(target, upstream, *pair, [0.0])
                target.do("close", id=pair[0])
            rows = target.do("ask", host="127.0.0.1", port=server.port, connections=8, requests=25)["rows"]
            asked.ask([tuple(row) for row in rows], server.truth().requests)
            for pair in (*old, abstract, mapped):
                target.do("close", id=pair[0])

            measures = settled(session).measures
            latency, response = measures["upstream_latency"], measures["upstream_response_time"]
            tcp_peer = next(name for name in counts_by_client(latency) if name.startswith(f"{old_tcp}:"))
            counts = {f"127.0.0.1:{server.port}": 200, f"unix:{path}": 40, f"unix:{old_path}": 5, tcp_peer: 5}
            counts |= {"unix:@/abstract": 2, f"127.0.0.7:{mapped_to['port']}": 1}
            assert_counts(latency, counts)
            assert_between(latency.histogram, *_bounds(asked.latency))
            assert_counts(response, counts)
            assert_between(response.histogram, *_bounds(asked.response))


def _no_upstreams(target: End, other: End, folder: Path) -> None:
    """Turns on sockets that others opened, or that have nobody behind them who answers."""
    named = str(folder / "named.sock")
    for host, own in ((str(folder / "own.sock"), ""), (named, f"{named}.client"), ("127.0.0.1", ""), ("::1", "")):
        at_other, at_target = _open(other, target, host, own)
        for _ in range(3):
            other.do("send", id=at_other, size=10)
            target.do("answer", id=at_target, request=10, pauses_s=[0.0], size=10)
            other.do("receive", id=at_other, size=10)
    target.do("pair")
    target.do("datagram", path=str(folder / "log"))
    for host in (str(folder / "silent.sock"), "127.0.0.1"):  # closed without an answer: no first byte
        at_target, at_other = _open(target, other, host)
        target.do("send", id=at_target, size=10)
        other.do("receive", id=at_other, size=10)
        other.do("close", id=at_other)
        assert target.do("receive", id=at_target, size=1)["missing"] == 1
        target.do("close", id=at_target)
