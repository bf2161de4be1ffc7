"""The cost of our own probes, from the kernel's BPF statistics.

The kernel counts run time and runs of each program while some process holds the file descriptor of
bpf(BPF_ENABLE_STATS), since Linux 5.8. Counting reads the clock twice a run, so it is on for one tick in ten only. The
figures are of the probes' bodies; the entry to a tracepoint costs about as much again.

The kernel also counts, always, how often it left a program out (``recursion_misses``; of programs on tracepoints and
kprobes since 6.7), which is read at every tick: it runs none in an interrupt that hits a running one, and none on a CPU
whose current or preempted process is inside a bpf() call on a map. What happened then is in no figure; other tracers on
the same host make it more.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from bpftop.model import Overhead
from bpftop.tracer.programs import ProgramCosts, enable_statistics

EVERY_TICKS = 10
KEPT = 5
"""Measurements that are averaged."""
_SHORTEST_S = 0.5
"""After a pause many ticks come at once: what took less is no measurement of a second."""
Costs: TypeAlias = Callable[[int], tuple[int, int, int] | None]
"""From a process id to run time (ns), runs and missed runs; None: nobody answers, a measurement goes on."""


class OverheadMeter:
    """Call ``tick`` once a tick; ``overhead`` is the mean of the last measurements.

    Every other tick is measured in the first ten, so that a short run says what it really cost; then one in ten.
    """

    def __init__(self, costs: Costs | None = None, enable: Callable[[], int] | None = None) -> None:
        """``costs`` and ``enable``: as ``ProgramCosts`` and ``enable_statistics``, where another process must ask."""
        self._own = ProgramCosts()
        self._costs = costs or self._own
        self._enable = enable or enable_statistics
        self.overhead = Overhead()
        self._ticks = 0
        self._measured: deque[tuple[int, int, float]] = deque(maxlen=KEPT)
        """Run time (ns), runs and seconds of each."""
        self._stats_fd = -1
        self._closing = threading.Lock()
        self._start = (0, 0, 0.0)
        self.measured: float | None = None
        """Percent of one CPU in the second that ended with the last tick; None when it was not measured."""
        self.measures = True
        """Whether the kernel could be asked so far."""
        self._load = self._pid = 0

    def hurry(self, load: int, anyway: bool) -> None:
        """Measure from this tick on: when the load (counts a tick) is half as much again as at the last measurement,
        or ``anyway``."""
        if self._stats_fd >= 0:
            self._load = load
        elif anyway or load > 1.5 * self._load + 10:
            self._begin()

    def tick(self, pid: int | None) -> None:
        """Begin or finish a measurement of the process ``pid``."""
        if pid is None:
            return
        due = self._ticks < EVERY_TICKS or self._ticks % EVERY_TICKS == 0
        self._ticks += 1
        self._pid, self.measured = pid, None
        found = self._costs(pid)
        if found is None:
            return
        run_ns, runs, missed = found
        if self._stats_fd >= 0:
            self._finish(run_ns, runs)
        elif due:
            self._start_at(run_ns, runs)
        self.overhead = replace(self.overhead, missed=missed)

    def _begin(self) -> None:
        """Measure from now on."""
        found = self._costs(self._pid)
        if found is not None:
            self._start_at(*found[:2])
            self.overhead = replace(self.overhead, missed=found[2])

    def _start_at(self, run_ns: int, runs: int) -> None:
        self._stats_fd = self._enable()
        self.measures = self._stats_fd >= 0
        self._start = (run_ns, runs, time.monotonic())

    def _finish(self, run_ns: int, runs: int) -> None:
        begun_ns, begun_runs, begun = self._start
        elapsed = time.monotonic() - begun
        if 0 < elapsed < _SHORTEST_S:
            return
        hits = runs - begun_runs
        if hits >= 0 and elapsed > 0:
            self._measured.append((run_ns - begun_ns, hits, elapsed))
            self.measured = (run_ns - begun_ns) / elapsed / 1e7
            spent = sum(each[0] for each in self._measured)
            hits = sum(each[1] for each in self._measured)
            elapsed = sum(each[2] for each in self._measured)
            self.overhead = Overhead(spent / hits if hits else None, hits / elapsed, spent / elapsed / 1e7)
        self._stop_counting()

    def close(self) -> None:
        """Let the kernel stop counting, and hold nothing of it open."""
        self._own.close()
        self._stop_counting()

    def _stop_counting(self) -> None:
        """Any thread may call it: a descriptor closed twice could be another file's."""
        with self._closing:
            descriptor, self._stats_fd = self._stats_fd, -1
            if descriptor >= 0:
                os.close(descriptor)
