"""bpftrace stood still, then all its ticks come at once: the pause is one slice, not a second full of everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bpftop.clock import boot_ns
from bpftop.model import Process, State, Target, TargetKind
from bpftop.session import Session
from bpftop.session.late import Lateness
from bpftop.stats.tick import TickData
from bpftop.tracer.supervisor import BpftraceSource
from tests.fakes import FakeBpftrace, wait_for
from tests.recordings import program

SECOND = 10**9
TARGET = Target("nginx", TargetKind.NAME, "nginx", "nginx", (Process(11, 1, "nginx"),), (80,))
PAUSE = """
attached()
on_signals(lambda number: os._exit(0))
for second in range(3):
    counted(10 + second)
    time.sleep(0.3)
begun = now()
time.sleep(3)
for second in range(5):
    counted(500, 0, begun + second * 6 * 10**8)
for second in range(2):
    time.sleep(0.6)
    counted(510)
note(ready=1)
forever()
"""


def test_a_bpftrace_that_stood_still_leaves_one_long_slice(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, PAUSE)
    session = Session(BpftraceSource(program(), str(fake.path)), program(), TARGET)
    session.start()
    try:
        wait_for(lambda: any("ready" in note for note in fake.notes), "not told", 60)
        wait_for(lambda: session.snapshot(None).measures["request_latency"].summary.count == 510, "not counted", 60)
        wait_for(lambda: session.snapshot(None).tracer.state is State.LIVE, "not live", 60)
        shown = session.snapshot(None)
    finally:
        session.stop()
    spans = shown.histories[0].spans_s
    counts = [int(counts.sum()) for _, counts in shown.histories[0].pieces]
    assert max(spans) > 2.5
    assert counts[spans.index(max(spans))] == 488
    assert abs(sum(spans) - shown.window.span_s) < 0.1
    assert all(span > 0 for span in spans)


def test_a_reader_that_stood_still_finds_its_ticks_in_time() -> None:
    lateness, now = Lateness(), boot_ns()
    lateness.nothing_waits()
    for second in range(1, 60):
        tick = TickData(now - 60 * SECOND + second * SECOND)
        if second == 1:  # it was stopped before the first of them was written
            lateness._read_ns = tick.boot_ns
        assert lateness.take(tick, 0) is tick


def test_nothing_of_the_ticks_that_come_at_once_is_left_out() -> None:
    lateness, now = Lateness(), boot_ns()
    first = TickData(now - 9 * SECOND)
    assert lateness.take(first, 0) is first
    lateness.nothing_waits()
    burst = [
        TickData(
            now - (8 - n) * SECOND, np.array([1], np.uint64), np.array([70]), np.array([n], np.uint64), np.array([n]),
            {n: (0, n)}, {n: (n,)}, {1: n}, n, records=((1, (n,)),), rejected=1, lost=2,
        )
        for n in range(1, 7)
    ]  # fmt: skip
    assert lateness.take(burst[0], 0) == burst[0].at(lateness._read_ns)
    assert [lateness.take(each, 0) for each in burst[1:]] == [None] * 5
    whole = lateness.take(TickData(now + SECOND, target_pids=(7,)), 0)
    assert whole is not None
    assert (whole.boot_ns, whole.counts.tolist(), whole.sent, whole.untracked) == (now + SECOND, [70], {1: 6}, 6)
    assert (whole.client_counts.tolist(), whole.target_pids) == ([2, 3, 4, 5, 6], (7,))
    assert (len(whole.records), whole.rejected, whole.lost, sorted(whole.names)) == (5, 5, 10, [2, 3, 4, 5, 6])
    other = TickData(now - 3600 * SECOND)
    assert lateness.take(other, now - 60 * SECOND) is other, "of another clock"
