"""The truth the kernel tests rest on must itself be true: exact counts, and times that are at least what was asked."""

from __future__ import annotations

import http.server
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes import wait_for
from tests.load import (
    compiler,
    delay_server,
    load_in_background,
    loopback_addresses,
    program,
    run_load,
    socket_loop,
)

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs a C compiler: apt-get install gcc libc6-dev")

MS = 1_000_000


@pytest.fixture
def seen_by_python() -> Iterator[tuple[int, Counter[str]]]:
    """A server written by others, which counts the requests of each address."""
    seen: Counter[str] = Counter()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen[self.client_address[0]] += 1
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port, seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("close", [False, True])
def test_a_foreign_server_sees_each_request_once(seen_by_python: tuple[int, Counter[str]], close: bool) -> None:
    port, seen = seen_by_python
    sources = loopback_addresses(20)
    result = run_load(port, 333, connections=20, sources=sources, close=close)
    assert result.complete
    assert result.requests == result.responses == 333
    assert {address: s.responses for address, s in result.sources.items()} == seen
    assert result.connections == (333 if close else 20)


@pytest.mark.parametrize("close", [False, True])
def test_every_client_of_both_families_is_counted(close: bool) -> None:
    sources = [*loopback_addresses(20), "::1"]
    with delay_server(host6="::1", close=close) as server:
        result = run_load(server.port, 2_003, connections=21, sources=sources)
        truth = server.truth()
    assert result.complete
    assert len(truth.requests) == 2_003
    assert len(truth.connections) == result.connections == (2_003 if close else 21)
    counts = Counter(truth.requests["client"].tolist())
    assert counts[0] == result.sources["::1"].responses
    assert counts[127 << 24 | 1 << 8 | 20] == result.sources["127.0.1.20"].responses
    assert len(counts) == 21


def test_the_open_loop_keeps_its_schedule() -> None:
    with delay_server() as server:
        result = run_load(server.port, 200, connections=4, rate_per_s=1_000, trace=True)
    due = np.sort(result.trace["due_ns"])
    assert np.all(np.abs(np.diff(due) - MS) <= 1)
    assert np.all(result.trace["send_start_ns"] >= result.trace["due_ns"])
    assert result.elapsed_ns >= 199 * MS


def test_times_of_one_request_are_in_order_on_both_sides() -> None:
    with delay_server("constant:2000000", sends=3, pause_ns=3 * MS, body_bytes=30_000) as server:
        result = run_load(server.port, 50, connections=5, trace=True)
        truth = server.truth()
    columns = ("connect_start_ns", "connect_end_ns", "send_start_ns", "send_end_ns", "first_byte_ns", "last_byte_ns")
    for before, after in itertools.pairwise(columns):
        assert np.all(result.trace[before] <= result.trace[after])
    assert truth.request_latency_ns[0] >= 2 * MS
    assert truth.response_time_ns[0] >= 5 * MS
    assert np.all(truth.response_time_ns >= truth.request_latency_ns + 3 * MS)
    assert result.p50_ns >= 5 * MS


@pytest.mark.parametrize(
    ("delay", "least_ns"),
    [("constant:3000000", 3 * MS), ("bimodal:1000000,9000000,0.25", MS), ("pareto:1000000,1.5", MS)],
)
def test_no_recorded_latency_is_shorter_than_its_delay(delay: str, least_ns: int) -> None:
    with delay_server(delay) as server:
        run_load(server.port, 400, connections=40)
        truth = server.truth()
    rows = truth.requests
    assert np.all(rows["delay_ns"] >= least_ns)
    assert np.all(rows["first_send_end_ns"] - rows["read_end_ns"] >= rows["delay_ns"])


def test_bimodal_and_lognormal_delays_have_the_asked_shape() -> None:
    with delay_server("bimodal:1000,2000000,0.25") as server:
        run_load(server.port, 2_000, connections=50)
        slow = int(np.count_nonzero(server.truth().requests["delay_ns"] == 2 * MS))
    assert 400 < slow < 600
    with delay_server("lognormal:1000000,0.5", seed=7) as server:
        run_load(server.port, 2_000, connections=50)
        p16, p50, p84 = np.quantile(server.truth().requests["delay_ns"], [0.16, 0.5, 0.84])
    assert 0.9e6 < p50 < 1.1e6
    assert 1.45 < p84 / p50 < 1.85
    assert 1.45 < p50 / p16 < 1.85


def test_a_path_asks_for_its_own_delay() -> None:
    with delay_server("constant:1000") as server:
        run_load(server.port, 20, connections=2, paths=["/d/2000000", "/d/0"])
        delays = Counter(server.truth().requests["delay_ns"].tolist())
    assert delays == {2 * MS: 10, 0: 10}


def test_read_and_accept_queue_truth_joins_both_sides() -> None:
    with delay_server(read_pause_ns=2 * MS, accept_pause_ns=4 * MS) as server:
        result = run_load(server.port, 60, connections=6, close=True, trace=True)
        truth = server.truth()
    assert len(truth.read_queue_ns(result.trace)) == len(truth.accept_queue_ns(result.trace)) == 60
    assert np.median(truth.read_queue_ns(result.trace)) >= MS
    assert np.max(truth.accept_queue_ns(result.trace)) >= 3 * MS
    assert np.all(truth.connections["accepted_ns"] - truth.connections["readable_ns"] >= 0)


@pytest.mark.parametrize("close", [False, True])
def test_bounds_hold_what_the_server_saw(close: bool) -> None:
    with delay_server("bimodal:1000000,4000000,0.3", sends=2, pause_ns=MS) as server:
        result = run_load(server.port, 300, connections=6, close=close, trace=True)
        truth = server.truth()
    between = {
        "request_latency": truth.request_latency_ns,
        "response_time": truth.response_time_ns,
        "read_queue_latency": np.maximum(truth.read_queue_ns(result.trace), 0),
        "accept_queue_latency": np.maximum(truth.accept_queue_ns(result.trace), 0),
    }
    for measure, values in between.items():
        low, high = truth.bounds_ns(measure, result.trace)
        assert len(low) == len(high) == len(values) == (result.connections if "accept" in measure else 300)
        assert np.all(low <= values)
        assert np.all(values <= high)
    low, high = truth.bounds_ns("connection_duration", result.trace)
    assert len(low) == (300 if close else 6)
    assert np.all((low >= 2 * MS) & (low <= high))


def test_a_blocking_server_makes_the_others_wait_to_be_read() -> None:
    with delay_server("constant:2000000", blocking=True) as server:
        result = run_load(server.port, 40, connections=4, trace=True)
        truth = server.truth()
    assert np.median(truth.read_queue_ns(result.trace)) >= 4 * MS


def _thread_names(pid: int) -> list[str]:
    return sorted((task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir())


@pytest.mark.parametrize("handoff", [False, True])
def test_threads_are_named_unlike_their_process(handoff: bool) -> None:
    with delay_server(threads=3, thread_comm="pool", comm="java", handoff=handoff) as server:
        result = run_load(server.port, 300, connections=9)
        wait_for(lambda: _thread_names(server.pid) == ["java", "pool-1", "pool-2", "pool-3"], "a thread without a name")
        truth = server.truth()
    assert result.complete
    assert len(truth.requests) == 300
    assert len(truth.connections) == 9


def test_several_processes_share_the_port() -> None:
    with delay_server(processes=3, host6="::1") as server:
        result = run_load(server.port, 600, connections=60, sources=[*loopback_addresses(5), "::1"], close=True)
        assert len(server.pids) == 3
        truth = server.truth()
    assert result.complete
    assert len(truth.requests) == len(truth.connections) == 600
    assert not any(Path(f"/proc/{pid}").exists() for pid in server.pids)


def test_the_socket_loop_makes_exactly_n_turns() -> None:
    with socket_loop(12_345, connections=7) as loop:
        exchanges, elapsed_ns = loop.run()
    assert exchanges == 12_345
    assert elapsed_ns > 0


def test_a_load_that_is_left_early_ends() -> None:
    with delay_server("constant:1000000") as server, load_in_background(server.port, 1_000_000, rate_per_s=100) as load:
        assert Path(f"/proc/{load.pid}").exists()
    assert not Path(f"/proc/{load.pid}").exists()


def test_only_loopback_is_loaded() -> None:
    with pytest.raises(RuntimeError, match="not a loopback address"):
        run_load(80, 1, host="192.0.2.1")
    assert program("http_load").exists()
