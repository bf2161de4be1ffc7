"""Times are right: every reported value lies between bounds that the server and the generator recorded themselves."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import numpy as np
import pytest

from bpftop.stats.buckets import bucket_of
from tests.kernel.watching import assert_between, final, settled, watching
from tests.load import delay_server, load_in_background, run_load


@pytest.mark.parametrize(
    "delay",
    ["constant:3000000", "bimodal:5000000,50000000,0.3", "pareto:1000000,1.3"],
    ids=["constant", "bimodal", "tail"],
)
def test_request_latency_against_known_delays(delay: str) -> None:
    with delay_server(delay, seed=7) as server, watching(f":{server.port}") as session:
        load = run_load(server.port, 1500, connections=16, trace=True)
        assert load.complete
        measures = settled(session).measures
        request_latency, read_queue = measures["request_latency"], measures["read_queue_latency"]
        truth = server.truth()
        assert_between(request_latency.histogram, *truth.bounds_ns("request_latency", load.trace))
        assert_between(read_queue.histogram, *truth.bounds_ns("read_queue_latency", load.trace), soft_share=0.1)
        # The percentiles are those of the histogram: nearest rank, within a bucket of what the server recorded.
        recorded = truth.request_latency_ns
        low, high = truth.bounds_ns("request_latency", load.trace)
        for quantile, reported in ((0.5, request_latency.summary.p50_ns), (0.99, request_latency.summary.p99_ns)):
            rank = int(np.ceil(quantile * len(recorded))) - 1
            assert reported is not None
            assert bucket_of(low[rank]) <= bucket_of(reported) <= bucket_of(high[rank])


def test_response_time_ends_with_the_last_byte() -> None:
    server = delay_server("constant:2000000", body_bytes=200_000, sends=4, pause_ns=15_000_000)
    with server as running, watching(f":{running.port}") as session:
        load = run_load(running.port, 200, connections=4, trace=True)
        assert load.complete
        truth_low, truth_high = running.truth().bounds_ns("response_time", load.trace)
        measures = settled(session).measures
        response, first = measures["response_time"], measures["request_latency"]
        assert_between(response.histogram, truth_low, truth_high)
        assert response.summary.p50_ns is not None
        assert first.summary.p50_ns is not None
        assert response.summary.p50_ns - first.summary.p50_ns > 14_000_000


def test_a_late_accept_shows_in_the_accept_queue() -> None:
    server = delay_server("constant:0", accept_pause_ns=20_000_000)
    with server as running, watching(f":{running.port}") as session:
        load = run_load(running.port, 60, connections=2, close=True, trace=True)
        assert load.complete
        low, high = running.truth().bounds_ns("accept_queue_latency", load.trace)
        measure = final(session, "accept_queue_latency")
        assert_between(measure.histogram, low, high)
        assert measure.summary.p50_ns is not None
        assert measure.summary.p50_ns > 19_000_000
        duration = final(session, "connection_duration")
        assert_between(duration.histogram, *running.truth().bounds_ns("connection_duration", load.trace))


def test_a_stopped_server_shows_in_the_read_queue() -> None:
    """Tene's test: stop the server under open-loop load; what waited shows as waiting, with the right share."""
    with delay_server("constant:0") as server, watching(f":{server.port}") as session:
        stopper = threading.Timer(0.6, _stop_for, (server.pid, 2.0))
        with load_in_background(server.port, 1200, connections=200, rate_per_s=300, trace=True) as load:
            stopper.start()
            result = load.result()
            stopper.join()
        assert result.complete
        snapshot = settled(session, events=True)
        measure = snapshot.measures["read_queue_latency"]
        low, high = server.truth().bounds_ns("read_queue_latency", result.trace)
        assert_between(measure.histogram, low, high, soft_share=0.1)
        assert measure.summary.max_ns is not None
        assert low[-1] * 0.99 <= measure.summary.max_ns <= high[-1] * 1.01
        waited = int(measure.histogram.counts[measure.histogram.low_ns > 100_000_000].sum())
        assert np.count_nonzero(low > 103_000_000) <= waited <= np.count_nonzero(high > 98_000_000)
        assert waited > 100  # 200 connections ran into two seconds of standstill
        assert any(event.fields.get("read_queue_ns", 0) > 1_000_000_000 for event in snapshot.slow)


def _stop_for(pid: int, seconds: float) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


def test_a_queue_time_begins_with_the_first_data_since_a_read_and_ends_with_the_next() -> None:
    bounds: list[tuple[int, int]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener, watching(f":{listener.getsockname()[1]}") as session:
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def came(data: bytes) -> tuple[int, int]:
                """When the data came, at the earliest and at the latest."""
                begun = time.monotonic_ns()
                client.sendall(data)
                ended = time.monotonic_ns()
                time.sleep(0.01)
                return begun, ended

            def read(size: int, arrival: tuple[int, int]) -> None:
                begun = time.monotonic_ns()
                assert server.recv(size)
                bounds.append((begun - arrival[1], time.monotonic_ns() - arrival[0]))

            first = came(b"a")
            assert server.recv(9, socket.MSG_PEEK) == b"a"  # a look is no read
            came(b"b")  # and this not the first
            read(9, first)
            server.sendall(b"1")
            read(1, came(b"cde"))
            read(9, came(b"f"))  # behind what is left, but the first since a read
            read(1, came(b"gh"))
            assert server.recv(9) == b"h"  # nothing came since the read before
            server.sendall(b"2")
        measures = settled(session).measures
        queue = measures["read_queue_latency"]
        low, high = (np.sort(np.array(side, np.int64)) for side in zip(*bounds, strict=True))
        assert_between(queue.histogram, low, high)
        assert measures["request_latency"].summary.count == 2
