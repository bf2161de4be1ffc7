"""The scheduler's three waits against the kernel's own books: /proc/PID/task/TID/schedstat and the context switches."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bpftop.model import MeasureSnapshot
from tests.kernel.missed import missed_runs, tracers
from tests.kernel.watching import TICK_S, settled, watching
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


@dataclass(frozen=True)
class Seen:
    """The same moments in the kernel's books and in ours."""

    span_ns: int
    books: tuple[dict[int, Books], dict[int, Books]]
    """By thread, before and after."""
    measured: tuple[dict[str, MeasureSnapshot], dict[str, MeasureSnapshot]]
    missed: int
    """How often the kernel left a program out between them."""

    def grown(self, name: str) -> tuple[int, int]:
        """By how much count and total of a measure grew."""
        before, after = (part[name].summary for part in self.measured)
        return after.count - before.count, (after.total_ns or 0) - (before.total_ns or 0)

    def of_thread(self, name: str, tid: int) -> tuple[int, int]:
        """The same of one thread."""
        before, after = (_of(part[name], tid) for part in self.measured)
        return after[0] - before[0], after[1] - before[1]

    def longest_ns(self, names: Sequence[str]) -> int:
        """The longest of these waits."""
        return max(self.measured[1][name].summary.max_ns or 0 for name in names)


def _see() -> Seen:
    """Four threads on one CPU. bpftrace stays off it, so that the kernel has no reason to leave our programs out."""
    cpus = sorted(os.sched_getaffinity(0))
    with told("cpu_work", 3) as work, told("cpu_work", 1) as rival:
        tids = work.ready["tids"]
        for tid in (*tids, *rival.ready["tids"]):
            os.sched_setaffinity(tid, {cpus[-1]})
        with watching(str(work.pid), ("scheduler",)) as live:
            own = tracers()
            assert own
            for tracer in own:
                for thread in Path(f"/proc/{tracer}/task").iterdir():
                    os.sched_setaffinity(int(thread.name), {cpus[0]})
            assert work.tell("0") == {"done": 0}  # from here on no thread is in a wait from before the start
            begin_ns = time.monotonic_ns()
            before = _quiet(work.pid, tids)
            first = dict(settled(live).measures)
            missed = -missed_runs(own)
            rival.start(str(TURNS))
            assert work.tell(str(TURNS)) == {"done": TURNS}
            done_ns = time.monotonic_ns()
            after = _quiet(work.pid, tids)
            measured = dict(settled(live).measures)
            missed += missed_runs(own)
            at_least = missed_runs(own)
            assert live.wait_tick(TICK_S)
            assert at_least <= live.snapshot(None).overhead.missed <= missed_runs(own)
    return Seen(done_ns - begin_ns, (before, after), (first, measured), missed)


def test_waits_for_a_cpu_are_those_of_the_kernels_books() -> None:
    seen = _see()
    others = sum(row.count for name in WAITS for row in seen.measured[1][name].clients if row.client == "others")
    unseen = seen.missed + others
    truths = {tid: after - seen.books[0][tid] for tid, after in seen.books[1].items()}
    lived_ns = []
    for tid, truth in truths.items():
        waits = {name: seen.of_thread(name, tid) for name in WAITS}
        assert abs(sum(waits[name][0] for name in READY) - truth.slices) <= unseen, (tid, truth, waits)
        assert abs(waits["preempted_time"][0] - truth.preempted) <= unseen, (tid, truth, waits)
        assert abs(waits["blocked_time"][0] - truth.voluntary) <= unseen, (tid, truth, waits)
        ready_ns = sum(waits[name][1] for name in READY)
        allowed_ns = 0.032 * truth.delayed_ns + SWITCH_NS * truth.slices + unseen * seen.longest_ns(READY)
        assert abs(ready_ns - truth.delayed_ns) <= allowed_ns, (tid, truth, waits)
        lived_ns.append(truth.ran_ns + sum(total_ns for _, total_ns in waits.values()))
    # The three waits and the time it ran are all of a thread's time, up to the wait that is still open.
    assert abs(max(lived_ns) - seen.span_ns) <= 0.03 * seen.span_ns + unseen * seen.longest_ns(WAITS)
    # In all: one switch is the end of a wait and the begin of another one; a program left out there misses two.
    unseen = 2 * seen.missed
    slices, delayed_ns = (sum(getattr(each, of) for each in truths.values()) for of in ("slices", "delayed_ns"))
    count, ready_ns = (sum(seen.grown(name)[part] for name in READY) for part in (0, 1))
    assert abs(count - slices) <= unseen, (truths, seen.missed)
    assert delayed_ns > 100_000_000  # the rivals did get in each other's way
    allowed_ns = 0.01 * delayed_ns + SWITCH_NS * slices + unseen * seen.longest_ns(READY)
    assert abs(ready_ns - delayed_ns) <= allowed_ns, (truths, seen.missed)
    assert seen.missed < slices / 2  # else nothing was compared: only other tracers at work can cause that many
