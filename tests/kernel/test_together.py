"""Several watches of one server at once: each counts exactly, and ending one leaves the others alone."""

from __future__ import annotations

from contextlib import ExitStack

from tests.kernel.watching import Nginx, final, watching
from tests.load import run_load


def test_four_at_once_count_the_same_and_do_not_disturb_each_other(nginx: Nginx) -> None:
    with ExitStack() as stack:
        sessions = [stack.enter_context(watching(f":{nginx.port}", ("requests",))) for _ in range(4)]
        assert run_load(nginx.port, 300, connections=4).complete
        assert [final(each, "request_latency").summary.count for each in sessions] == [300] * 4
        sessions[1].stop()
        assert run_load(nginx.port, 200, connections=2).complete
        left = [sessions[0], *sessions[2:]]
        assert [final(each, "request_latency").summary.count for each in left] == [500] * 3
        assert all(each.snapshot(None).tracer.restarts == 0 for each in left)
    assert [each.snapshot(None).measures["request_latency"].summary.count for each in sessions] == [500, 300, 500, 500]
