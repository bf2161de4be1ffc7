"""System calls: counted as a program of known calls and strace counted them, timed as the program timed them."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bpftop.model import MeasureSnapshot
from bpftop.syscalls import syscall_name
from tests.kernel.watching import Nginx, assert_between, counts_by_client, final, settled, wait_for, watching
from tests.load import run_load
from tests.load.told import told

WAITS = {"nanosleep", "epoll_pwait", "ppoll", "futex"}
SERVING = ("accept4", "recvfrom", "writev", "sendfile", "close", "openat", "epoll_ctl", "setsockopt", "fstat")


def test_every_call_is_counted_and_timed(tmp_path: Path) -> None:
    truth_file = tmp_path / "truth"
    with (
        told("known_calls", truth_file, tmp_path / "scratch") as calls,
        watching(str(calls.pid), ("syscalls",)) as live,
    ):
        assert calls.tell() == {"done": 1}
        snapshot = settled(live)
        measured, span_ns = snapshot.measures, snapshot.window.span_s * 1e9
        assert calls.tell() == {"written": 1}
    truth = np.fromfile(truth_file, np.int64).reshape(-1, 4)
    # Besides: every signal returns by a call of its own, and the answer "done" is one write.
    expected = Counter(syscall_name(int(number)) for number in truth[:, 0]) + Counter(rt_sigreturn=50, write=1)
    assert expected["syscall 9999"] == 7  # a number without a name is counted too
    assert counts_by_client(measured["waiting_latency"]) == {n: c for n, c in expected.items() if n in WAITS}
    assert counts_by_client(measured["syscall_latency"]) == {n: c for n, c in expected.items() if n not in WAITS}
    waited = np.isin([syscall_name(int(number)) for number in truth[:, 0]], list(WAITS))
    assert_between(measured["waiting_latency"].histogram, *_bounds(truth[waited]))
    _assert_rows(measured["waiting_latency"], truth[waited], span_ns)
    _assert_rows(measured["syscall_latency"], truth[~waited], span_ns)


def _bounds(truth: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The least time that each call must have taken, and the time around it; sorted."""
    return np.sort(truth[:, 3]), np.sort(truth[:, 2] - truth[:, 1])


def _assert_rows(measure: MeasureSnapshot, truth: NDArray[np.int64], span_ns: float) -> None:
    """Each row's total and max are between what the calls must have taken and what the program saw, within 3.2 %."""
    for row in measure.clients:
        own = truth[[syscall_name(int(number)) == row.client for number in truth[:, 0]]]
        if len(own) != row.count:
            continue  # rt_sigreturn and write: not timed by the program
        low, high = _bounds(own)
        assert row.total_ns is not None
        assert row.max_ns is not None
        assert low.sum() * 0.968 <= row.total_ns <= high.sum() * 1.032, row
        assert low[-1] * 0.968 <= row.max_ns <= high[-1] * 1.032, row
        assert row.total_ns < span_ns


def test_nginx_as_strace_counts_it(nginx: Nginx, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: apt-get install strace")
    out = tmp_path / "strace"
    workers = subprocess.run(["pgrep", "-P", str(nginx.pid)], capture_output=True, text=True, check=True).stdout.split()
    pids = [word for pid in [str(nginx.pid), *workers] for word in ("-p", pid)]
    with watching(f":{nginx.port}", ("syscalls",)) as live:
        with subprocess.Popen([strace, "-f", "-c", "-o", str(out), *pids], stderr=subprocess.PIPE, text=True) as tracer:
            try:
                wait_for(lambda: all(_is_traced(int(pid)) for pid in workers), "strace does not attach")
                assert run_load(nginx.port, 300, connections=6, close=True, paths=["/fixed", "/index.html"]).complete
                time.sleep(0.5)  # a worker that came too late for the last connection is back from accept4
            finally:
                tracer.terminate()
                tracer.communicate(timeout=20)
        counted = counts_by_client(final(live, "syscall_latency"))
    table = re.findall(r"(?m)^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)$", out.read_text())
    expected = {name: int(count) for count, name in table}
    assert expected["accept4"] >= 300
    assert {n: counted.get(n, 0) for n in SERVING} == {n: expected.get(n, 0) for n in SERVING}


def _is_traced(pid: int) -> bool:
    return not re.search(r"(?m)^TracerPid:\s+0$", Path(f"/proc/{pid}/status").read_text())


def test_state_is_by_thread() -> None:
    """Two threads in the same call at the same time: each exit belongs to the entry of its own thread."""
    with told("syscall_loop", 2, 200_000) as loop, watching(str(loop.pid), ("syscalls",)) as live:
        done = loop.tell()
        counted = counts_by_client(final(live, "syscall_latency"))
    assert counted["getppid"] == done["calls"] == 400_000
