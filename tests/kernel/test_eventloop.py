"""Event loops: turns of known work, in a loop of epoll and a loop of poll, and real nginx."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bpftop.model import MeasureSnapshot, Snapshot
from tests.kernel.watching import TICK_S, Nginx, assert_between, counts_by_client, settled, watching
from tests.load import load_in_background
from tests.load.told import told

THREAD, WORK, BEGIN, FIRED, BACK = range(5)
SLOWEST = {2: "nanosleep", 3: "fsync", 4: "ppoll", 5: "nanosleep"}
"""Work by its number in event_loop.c, and the longest call in it."""
SPIN, SPUN_NS = 1, 5_000_000
LONGEST_NS = {2: 7_000_000, 4: 9_000_000, 5: 3_000_000}


def test_every_turn_and_the_longest_call_in_it(tmp_path: Path) -> None:
    truth_file = tmp_path / "truth"
    with (
        told("event_loop", truth_file, tmp_path / "scratch") as loop,
        watching(str(loop.pid), ("eventloop",)) as live,
    ):
        assert loop.tell() == {"done": 1}
        snapshot = settled(live, events=True)
        stall, wait = snapshot.measures["loop_stall"], snapshot.measures["loop_wait"]
        assert loop.tell() == {"written": 1}
    truth = np.fromfile(truth_file, np.int64).reshape(-1, 5)
    of_epoll, of_poll = threads = [truth[truth[:, THREAD] == thread] for thread in dict.fromkeys(truth[:, THREAD])]
    assert_between(
        stall.histogram,
        np.sort(np.concatenate([rows[1:, BEGIN] - rows[:-1, BACK] for rows in threads])),
        np.sort(np.concatenate([rows[1:, BEGIN] - rows[:-1, FIRED] for rows in threads])),
    )
    assert_between(
        wait.histogram,
        np.sort(np.concatenate([rows[:, FIRED] - rows[:, BEGIN] for rows in threads])),
        np.sort(np.concatenate([rows[:, BACK] - rows[:, BEGIN] for rows in threads])),
    )
    assert _by_thread(wait) == {int(rows[0, THREAD]): len(rows) for rows in threads}
    assert _by_thread(stall) == {int(rows[0, THREAD]): len(rows) - 1 for rows in threads}
    assert stall.summary.total_ns is not None
    assert wait.summary.total_ns is not None
    lived = sum(int(rows[-1, BACK] - rows[0, BEGIN]) for rows in threads)
    assert abs(stall.summary.total_ns + wait.summary.total_ns - lived) < 0.01 * lived
    slowest_of_poll = {work: name for work, name in SLOWEST.items() if name != "ppoll"}  # there it is a wait
    named = [*_check_events(snapshot, of_epoll, SLOWEST), *_check_events(snapshot, of_poll, slowest_of_poll)]
    assert len(named) >= 10
    assert sum(named) >= 0.7 * len(named)  # in the others the thread lost its CPU inside another call


def _by_thread(measure: MeasureSnapshot) -> dict[int, int]:
    """Counts by thread id; rows are named ``event_loop 1234``."""
    return {int(name.rpartition(" ")[2]): count for name, count in counts_by_client(measure).items()}


def _check_events(snapshot: Snapshot, rows: NDArray[np.int64], slowest: dict[int, str]) -> list[bool]:
    """Every single stall of this thread has its true length; whether its longest call is the one that we made long."""
    ahead_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    named = []
    for event in (event for event in snapshot.slow if event.fields["tid"] == rows[0, THREAD]):
        assert event.event == "stall"
        turn = int(np.argmin(np.abs(rows[1:, BEGIN] - (event.unix_ns - ahead_ns))))
        assert rows[turn + 1, BEGIN] - rows[turn, BACK] <= event.latency_ns <= rows[turn + 1, BACK] - rows[turn, FIRED]
        work, in_syscall_ns = int(rows[turn, WORK]), event.fields["in_syscall_ns"]
        if work in slowest and event.latency_ns > 2_000_000:
            assert LONGEST_NS.get(work, 0) <= in_syscall_ns <= event.latency_ns
            named.append(event.texts["syscall"] == slowest[work])
        elif work == SPIN:
            assert event.latency_ns - in_syscall_ns >= 0.99 * SPUN_NS  # the program itself
    return named


def test_stalls_and_waits_are_all_the_time_of_an_nginx_worker(nginx: Nginx) -> None:
    """From one tick to a later one, under load at both, so that no long wait reaches over an end."""
    with (
        watching(f":{nginx.port}", ("eventloop",)) as live,
        load_in_background(nginx.port, 6500, connections=20, rate_per_s=1000, paths=["/fixed", "/index.html"]) as load,
    ):
        assert live.wait_tick(TICK_S)
        before = live.snapshot(None)
        assert live.wait_tick(TICK_S)
        after = live.snapshot(None)
        assert load.result().complete
    span_ns = (after.window.span_s - before.window.span_s) * 1e9
    turns = {name: count - _turns(before).get(name, 0) for name, count in _turns(after).items()}
    busy = [name for name, count in turns.items() if count > span_ns / 1e8]
    assert busy
    assert all(name.startswith("nginx ") for name in busy)
    for name in busy:
        spent = _spent_ns(after, name) - _spent_ns(before, name)
        assert abs(spent / span_ns - 1) < 0.032 + 0.03, (name, spent, span_ns)


def _turns(snapshot: Snapshot) -> dict[str, int]:
    return counts_by_client(snapshot.measures["loop_stall"])


def _spent_ns(snapshot: Snapshot, name: str) -> int:
    measures = (snapshot.measures["loop_stall"], snapshot.measures["loop_wait"])
    return sum(row.total_ns or 0 for measure in measures for row in measure.clients if row.client == name)
