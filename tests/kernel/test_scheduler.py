"""The scheduler's three waits against the kernel's own books: /proc/PID/task/TID/schedstat and the context switches."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from bpftop.model import MeasureSnapshot
from tests.kernel.missed import missed_runs, tracers
from tests.kernel.watching import final, watching
from tests.load.told import told

SWITCH_NS = 5_000
"""The kernel's books and the tracepoint look at the clock some instructions apart, at both ends of a wait."""
TURNS = 120
READY = ("run_queue_latency", "preempted_time")
WAITS = (*READY, "blocked_time")


@dataclass(frozen=True)
class Books:
    """What the kernel says of one thread."""

    ran_ns: int
    delayed_ns: int
    """Ready to run and not running."""
    slices: int
    """How often it was given a CPU."""
    voluntary: int
    """Switched out to wait."""
    preempted: int

    def __sub__(self, other: Books) -> Books:
        return Books(*(getattr(self, name) - getattr(other, name) for name in self.__dataclass_fields__))


def _books(pid: int, tids: list[int]) -> dict[int, Books]:
    found = {}
    for tid in tids:
        task = Path(f"/proc/{pid}/task/{tid}")
        numbers = map(int, (task / "schedstat").read_text().split())
        switches = map(int, re.findall(r"voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text()))
        found[tid] = Books(*numbers, *switches)
    return found


def _quiet(pid: int, tids: list[int]) -> dict[int, Books]:
    """The books when all threads are off the CPU: the same twice."""
    before = _books(pid, tids)
    for _ in range(100):
        time.sleep(0.05)
        now = _books(pid, tids)
        if now == before:
            return now
        before = now
    raise AssertionError("the threads do not come to rest")


def _of(measure: MeasureSnapshot, tid: int) -> tuple[int, int]:
    """Count and total of one thread."""
    rows = [row for row in measure.clients if row.client.endswith(f" {tid}")]
    return sum(row.count for row in rows), sum(row.total_ns or 0 for row in rows)


def test_waits_for_a_cpu_are_those_of_the_kernels_books() -> None:
    """Four threads on one CPU. bpftrace stays off it, so that the kernel has no reason to leave our programs out."""
    cpus = sorted(os.sched_getaffinity(0))
    first_cpu, last_cpu = cpus[0], cpus[-1]
    with told("cpu_work", 3) as work, told("cpu_work", 1) as rival:
        tids = work.ready["tids"]
        for tid in (*tids, *rival.ready["tids"]):
            os.sched_setaffinity(tid, {last_cpu})
        with watching(str(work.pid), ("scheduler",)) as live:
            own = tracers()
            for tracer in own:
                for thread in Path(f"/proc/{tracer}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), {first_cpu})
            assert work.tell("0") == {"done": 0}  # from here on no thread is in a wait from before the start
            begin_ns = time.monotonic_ns()
            before = _quiet(work.pid, tids)
            first = {name: final(live, name) for name in WAITS}
            missed = -missed_runs(own)
            rival.start(str(TURNS))
            assert work.tell(str(TURNS)) == {"done": TURNS}
            done_ns = time.monotonic_ns()
            after = _quiet(work.pid, tids)
            measured = {name: final(live, name) for name in WAITS}
            missed += missed_runs(own)
            at_least = missed_runs(own)
            assert live.wait_tick()
            assert at_least <= live.snapshot(None).overhead.missed <= missed_runs(own)
    longest_ns = max(measured[name].summary.max_ns or 0 for name in READY)
    others = sum(row.count for name in WAITS for row in measured[name].clients if row.client == "others")
    excuse_ns = (missed + others) * longest_ns
    lived_ns = []
    for tid in tids:
        truth = after[tid] - before[tid]
        counts, times_ns = (
            {name: _of(measured[name], tid)[part] - _of(first[name], tid)[part] for name in WAITS} for part in (0, 1)
        )
        assert abs(counts["run_queue_latency"] + counts["preempted_time"] - truth.slices) <= missed + others, truth
        assert abs(counts["preempted_time"] - truth.preempted) <= missed + others, (tid, truth)
        assert abs(counts["blocked_time"] - truth.voluntary) <= missed + others, (tid, truth)
        ready_ns = sum(times_ns[name] for name in READY)
        clocks_ns = SWITCH_NS * truth.slices
        assert abs(ready_ns - truth.delayed_ns) <= 0.032 * truth.delayed_ns + clocks_ns + excuse_ns, (tid, truth)
        lived_ns.append(truth.ran_ns + sum(times_ns.values()))
    # The three waits and the time it ran are all of a thread's time, up to the wait that is still open.
    assert abs(max(lived_ns) - (done_ns - begin_ns)) <= 0.03 * (done_ns - begin_ns) + excuse_ns
    ready_ns = sum((measured[name].summary.total_ns or 0) - (first[name].summary.total_ns or 0) for name in READY)
    delayed_ns = sum(after[tid].delayed_ns - before[tid].delayed_ns for tid in tids)
    slices = sum(after[tid].slices - before[tid].slices for tid in tids)
    assert abs(sum(measured[name].summary.count - first[name].summary.count for name in READY) - slices) <= missed
    assert delayed_ns > 100_000_000  # the rivals did get in each other's way
    assert abs(ready_ns - delayed_ns) <= 0.01 * delayed_ns + SWITCH_NS * slices + excuse_ns
    assert missed < slices / 2  # else nothing was compared: only other tracers at work can cause that many
