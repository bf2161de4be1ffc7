"""Counts are exact: what a generator of known count did is what bpftop reports, per client, on real nginx."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import replace

import pytest

from bpftop import wire
from bpftop.model import Snapshot
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.stats.past import between
from bpftop.target import resolve
from bpftop.ui.subject import NETWORK, Subject
from tests.kernel.watching import Nginx, counts_by_client, final, settled, source_for, watching
from tests.load import delay_server, loopback_addresses, run_load, socket_loop

SCRIPTS = ("requests", "connections")
SOURCES = [*loopback_addresses(24), "::1"]


def _assert_books(snapshot: Snapshot) -> None:
    """produced = shown + suppressed + lost + rejected, with nothing lost."""
    books = snapshot.accounting
    assert books.produced == books.shown + books.suppressed + books.lost + books.rejected
    assert (books.lost, books.rejected, books.untracked) == (0, 0, 0)


def _assert_parts(snapshot: Snapshot, per_client: dict[str, int]) -> None:
    """One client alone, one network and the kept seconds together have the counts of the generator."""
    row = next(row for row in snapshot.measures["request_latency"].clients if row.client == "::1")
    assert row.code == wire.client_code("::1"), "Python and the kernel have one rule"
    for subject, expected in (
        (Subject("client", row.client, row.code, "request_latency"), per_client["::1"]),
        (Subject(NETWORK, "127.0.1.0/24", wire.client_code("127.0.1.0"), "request_latency"),
         sum(count for client, count in per_client.items() if client.startswith("127.0.1."))),
    ):  # fmt: skip
        alone = subject.alone(snapshot)
        assert alone.measures["request_latency"].summary.count == expected
        assert alone.measures["response_time"].histogram.counts.sum() == expected
        assert all(subject.owns(event) for event in alone.slow)
    ends = snapshot.histories[0].unix_ns
    middle = ends[len(ends) // 2] - 500_000_000
    before, after = (between(snapshot, *span, "") for span in ((0, middle), (middle, ends[-1])))
    for client, count in per_client.items():
        parts = (row.count for each in (before, after) for row in each.measures["request_latency"].clients
                 if row.client == client)  # fmt: skip
        assert sum(parts) == count


@pytest.mark.parametrize(("requests", "rate_per_s"), [(500, 400.0), (60_000, 0.0)], ids=["low rate", "saturated"])
@pytest.mark.parametrize("close", [False, True], ids=["keep-alive", "close"])
def test_every_request_is_counted_once_for_its_client(
    nginx: Nginx, requests: int, rate_per_s: float, close: bool
) -> None:
    requests = min(requests, 8_000) if close else requests
    with watching(f":{nginx.port}") as session:
        load = run_load(
            nginx.port,
            requests,
            connections=50,
            close=close,
            sources=SOURCES,
            rate_per_s=rate_per_s,
            paths=["/fixed", "/index.html"],
        )
        assert load.complete
        assert load.responses == requests
        per_client = {address: count.responses for address, count in load.sources.items()}
        snapshot = settled(session, events=True)
        for name in ("request_latency", "response_time"):
            measure = snapshot.measures[name]
            assert measure.summary.count == requests
            assert counts_by_client(measure) == per_client
            assert measure.histogram.counts.sum() == requests
        connections = snapshot.measures["connection_duration"]
        assert connections.summary.count == load.connections
        assert counts_by_client(connections) == {a: c.connections for a, c in load.sources.items()}
        assert snapshot.measures["accept_queue_latency"].summary.count == load.connections
        assert snapshot.measures["read_queue_latency"].summary.count == requests
    _assert_books(snapshot)
    _assert_parts(snapshot, per_client)
    assert snapshot.accounting.produced == requests + load.connections
    session_end = session.snapshot(None)
    assert session_end.measures["request_latency"].summary.count == requests
    _assert_books(session_end)


def test_connections_from_before_the_start_are_counted_from_their_first_read(nginx: Nginx) -> None:
    clients = ["127.0.0.9", "127.0.0.9", "::1"]
    with ExitStack() as stack:
        open_before = [stack.enter_context(_connected(address, nginx.port)) for address in clients]
        for connection in open_before:
            _ask(connection)
        with watching(f":{nginx.port}") as session:
            for connection in open_before * 40:
                _ask(connection)
            measure = final(session, "request_latency")
            assert counts_by_client(measure) == {"127.0.0.9": 80, "::1": 40}
            # None of them was opened while attached: durations of unknown length are not invented.
            for connection in open_before:
                connection.close()
            assert final(session, "connection_duration").summary.count == 0


def _connected(address: str, port: int) -> socket.socket:
    return socket.create_connection(("::1" if ":" in address else "127.0.0.1", port), 10, source_address=(address, 0))


def _ask(connection: socket.socket) -> None:
    connection.sendall(b"GET /fixed HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(b"ok\n"):
        answer += connection.recv(4096) or pytest.fail("nginx closed the connection")


def test_a_million_exchanges_are_exact() -> None:
    with socket_loop(500_000) as loop, watching(f":{loop.port}", ("requests",)) as session:
        exchanges, _ = loop.run()
        assert exchanges == 500_000  # each is two kernel events for the target: a read and a write
        measure = final(session, "request_latency")
        assert measure.summary.count == exchanges
        assert sum(counts_by_client(measure).values()) == exchanges
        _assert_books(session.snapshot(None))


def test_threads_with_names_of_their_own_and_accept_in_one_thread_close_in_another() -> None:
    server = delay_server(threads=3, thread_comm="http-nio-exec", handoff=True, comm="java-like")
    with server as running, watching("java-like") as session:
        load = run_load(running.port, 3000, connections=20, close=True, sources=loopback_addresses(20))
        assert load.complete
        measure = final(session, "request_latency")
        assert measure.summary.count == 3000
        assert final(session, "connection_duration").summary.count == 3000
        assert counts_by_client(measure) == {a: c.responses for a, c in load.sources.items()}


def test_several_processes_on_one_port() -> None:
    with delay_server(processes=3, comm="multi-server") as running, watching(f":{running.port}") as session:
        assert set(running.pids) <= set(session.snapshot(None).target.pids)
        load = run_load(running.port, 4000, connections=30, close=True)
        assert load.complete
        assert final(session, "request_latency").summary.count == 4000
        assert final(session, "connection_duration").summary.count == 4000


def test_a_worker_that_was_forked_before_the_probes_were_attached_is_known_once_it_accepts() -> None:
    with delay_server(processes=3, comm="late-workers") as running:
        target = resolve(f":{running.port}")
        early = replace(target, processes=tuple(p for p in target.processes if p.pid not in running.pids))
        assert early.pids != target.pids
        session = Session(source_for(early), compose([catalog()[name] for name in SCRIPTS], early), early)
        session.start()
        try:
            assert session.wait_live(30)
            load = run_load(running.port, 1500, connections=30, close=True)
            assert load.complete
            assert final(session, "accept_queue_latency").summary.count == 1500
            assert set(session.snapshot(None).target.pids) > set(early.pids)
        finally:
            session.stop()
