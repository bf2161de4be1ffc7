"""Functions that call themselves, run in threads or are left by longjmp; markers of a program that others have made."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bpftop.userspace import Place, functions, usdt
from tests.kernel.watching import attached, counts_by_client, final, settled
from tests.load.build import program
from tests.load.told import ask, talking

PYTHON = Path("/usr/bin/python3")
"""Debian's own, which has markers; the one that runs the tests may have none."""
COLLECTOR = """
import gc, sys
gc.disable()
for line in sys.stdin:
    for _ in range(int(line)): gc.collect()
    print("done", flush=True)
"""


def test_every_call_of_a_recursion_and_of_each_thread_counts_and_a_leap_out_is_no_return() -> None:
    path = program("calls")
    with talking(path) as child:
        script = functions([f"{path}:{name}" for name in ("climb", "leap", "turn")], Place((child.pid,))).script
        with attached(child.pid, script) as session:
            truth = json.loads(ask(child, "20"))
            snapshot = settled(session, events=True)
            called, begun = snapshot.measures["function_latency"], snapshot.counters["function_calls"]
            slow = snapshot.slow
        assert child.poll() is None
    assert (truth["climb"], truth["leap"], truth["leap_returned"], truth["turn"]) == (200, 200, 100, 8000)
    returned = {"climb": truth["climb"], "leap": truth["leap_returned"], "turn": truth["turn"]}
    assert counts_by_client(called) == returned
    assert slow
    assert {call.texts["label"] for call in slow} <= set(returned)
    assert {row.client: row.count for row in begun.rows} == returned | {"leap": truth["leap"]}


def test_markers_of_a_real_program_that_are_off_until_somebody_looks() -> None:
    """They have semaphores, which the kernel counts up without -p; the arguments differ, so the thread is the key."""
    with talking(PYTHON, "-I", "-S", "-c", COLLECTOR) as child:
        script = usdt("gc__start,gc__done", Place((child.pid,)), "tid").script
        assert script.requires[0] == f"usdt:{os.path.realpath(PYTHON)}:python:gc__done"
        with attached(child.pid, script) as session:
            assert ask(child, "50") == "done\n"
            marked = final(session, "usdt_latency")
            counters = session.snapshot(None).counters
    assert marked.summary.count == counters["usdt_starts"].count == 50
    assert counters["usdt_unmatched_ends"].count == 0
