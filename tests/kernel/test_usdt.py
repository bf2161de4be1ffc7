"""Markers and functions of a program, counted and timed as the program itself did."""

from __future__ import annotations

import subprocess

import numpy as np
from numpy.typing import NDArray

from bpftop.userspace import Place, functions, usdt
from tests.kernel.watching import assert_between, attached, counts_by_client, settled
from tests.load.build import program
from tests.load.told import talking

REQUESTS = 300


def serve(child: subprocess.Popen[str], requests: int) -> NDArray[np.int64]:
    """Let it serve; the times inside the markers and around them, ns, shape (requests, 2)."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(f"{requests}\n")
    child.stdin.flush()
    rows = []
    while not (line := child.stdout.readline()).startswith("done"):
        rows.append([int(number) for number in line.split()])
    return np.array(rows, np.int64)


def test_markers_and_functions_are_counted_and_timed_as_the_program_did() -> None:
    path = str(program("markers"))
    with talking(path) as watched, talking(path) as other:
        place = Place((watched.pid,), False)
        scripts = (
            usdt(f"{path}:request_start,request_end", place, "").script,
            functions([f"{path}:serve"], place, False).script,
        )
        with attached(watched.pid, *scripts) as session:
            serve(other, 20)  # the same file in another process is not the target
            truth = serve(watched, REQUESTS)
            snapshot = settled(session)
            marked, called = snapshot.measures["usdt_latency"], snapshot.measures["function_latency"]
            counters = snapshot.counters
    assert marked.summary.count == called.summary.count == REQUESTS == len(truth)
    assert counts_by_client(called) == {"serve": REQUESTS}
    assert counters["usdt_starts"].count == counters["function_calls"].count == REQUESTS
    assert counters["usdt_unmatched_ends"].count == 0
    inside, around = np.sort(truth[:, 0]), np.sort(truth[:, 1])
    assert_between(marked.histogram, inside, around)
    assert_between(called.histogram, inside, around)
