"""Rounds on a machine that is not quiet: every traced stretch of load has an untraced one right before and right after.

A ratio compares a traced stretch with the mean of its two neighbours, so that a drift of the machine cancels out. The
order of the rows turns round in every other round. Given is the median of the ratios and its 95 % confidence interval:
the percentile bootstrap over the ratios (Efron and Tibshirani 1993, chapter 13).

nginx's worker, wrk, bpftrace and its reader run with the same real-time priority (SCHED_RR), so that other programs on
the machine take little from them; all but the worker share the CPUs before the last, which is the worker's.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bpftop.model import Program, Target
from bpftop.tracer.overhead import OverheadMeter
from bpftop.tracer.supervisor import BpftraceSource

DRAWS = 10_000
FEW = 0.1
"""Hits a request. With fewer, a hit is mostly the probe that prints each second, which takes much longer."""


@dataclass(frozen=True)
class Stretch:
    """What one stretch of load gave."""

    per_s: float
    worker_ns: float
    """CPU time of the nginx worker per request."""


@dataclass
class Row:
    """One way of tracing; ``None``: no tracing. Its stretches, each with the untraced one before and after."""

    name: str
    program: Program | None
    stretches: list[tuple[Stretch, Stretch, Stretch]] = field(default_factory=list)
    """Before, traced, after."""
    ns_per_hit: list[float] = field(default_factory=list)

    def rates(self) -> list[float]:
        """Requests/s as a ratio to the neighbours, one per round."""
        return [now.per_s * 2 / (before.per_s + after.per_s) for before, now, after in self.stretches]

    def times(self) -> list[float]:
        """The worker's CPU time per request of the neighbours, as a ratio to the traced one's."""
        return [(before.worker_ns + after.worker_ns) / 2 / now.worker_ns for before, now, after in self.stretches]

    def added_us(self) -> list[float]:
        """What tracing adds to the worker's CPU time per request, in microseconds."""
        return [(now.worker_ns - (a.worker_ns + b.worker_ns) / 2) / 1e3 for a, now, b in self.stretches]

    def hit_text(self) -> str:
        """The median cost of a probe hit."""
        return f"{np.median(self.ns_per_hit):.0f}" if self.ns_per_hit else "–"


@dataclass(frozen=True)
class Bench:
    """The nginx under load."""

    url: str
    target: Target
    seconds: int
    bpftrace: str
    headers: tuple[str, ...] = ()
    """What wrk sends besides, ``Name: value``."""

    @property
    def worker(self) -> int:
        """Its one worker."""
        return max(self.target.pids)

    def rounds(self, rows: list[Row], count: int) -> list[Stretch]:
        """Run them all; returns the untraced stretches."""
        before_others(self.worker)
        before_others(0)
        untraced = [self.load()]
        for number in range(count):
            for row in rows if number % 2 == 0 else rows[::-1]:
                print(f"round {number + 1} of {count}: {row.name}          ", end="\r", file=sys.stderr, flush=True)
                with self._tracing(row) as pid:
                    traced = self.load(row, pid)
                untraced.append(self.load())
                row.stretches.append((untraced[-2], traced, untraced[-1]))
        print(file=sys.stderr)
        return untraced

    def load(self, row: Row | None = None, pid: int | None = None) -> Stretch:
        """One stretch of load; the cost of the probes is read for a third of it."""
        meter = OverheadMeter()
        looks = [threading.Timer(self.seconds * share, meter.tick, (pid,)) for share in (0.4, 0.7)]
        begun = _cpu_ns(self.worker)
        for look in looks:
            look.start()
        headers = [word for header in ("Accept-Encoding: gzip", *self.headers) for word in ("-H", header)]
        command = ["wrk", "-t1", "-c32", f"-d{self.seconds}", *headers, self.url]
        out = subprocess.run(command, capture_output=True, text=True, check=False)
        for look in looks:
            look.join()
        meter.close()
        found = re.search(r"(\d+) requests in", out.stdout)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", out.stdout)
        if not found or not rate or not int(found[1]) or "Non-2xx" in out.stdout:
            raise SystemExit(f"wrk said: {out.stdout}{out.stderr}")
        own = meter.overhead
        if row and own.ns_per_hit and (own.hits_per_s or 0) > float(rate[1]) * FEW:
            row.ns_per_hit.append(own.ns_per_hit)
        return Stretch(float(rate[1]), (_cpu_ns(self.worker) - begun) / int(found[1]))

    @contextlib.contextmanager
    def _tracing(self, row: Row) -> Iterator[int | None]:
        if row.program is None:
            yield None
            return
        source = BpftraceSource(row.program, self.bpftrace)
        source.start()
        ticks = threading.Event()
        ends = [threading.Thread(target=_drain, args=(fd, ticks), daemon=True) for fd in (source.stdout, source.stderr)]
        for end in ends:
            end.start()
        try:
            if not ticks.wait(60):
                raise SystemExit(f"{row.name}: bpftrace does not attach")
            yield source.pid
        finally:
            source.stop()
            for end in ends:
                end.join(30)
            source.wait(10)


def before_others(pid: int) -> None:
    """Run a process before all others; 0: this one and its children to come, on all CPUs but the last."""
    if pid == 0:
        os.sched_setaffinity(0, set(range(max(1, (os.cpu_count() or 1) - 1))))
    os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """The median of the ratios and the bounds of its 95 % interval."""
    values = np.array(ratios)
    draws = np.random.default_rng(1).choice(values, (DRAWS, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), (0.025, 0.975))
    return float(np.median(values)), float(low), float(high)


def interval_text(ratios: list[float], digits: int = 2) -> str:
    """As ``0.86 (0.84 to 0.88)``."""
    median, low, high = (f"{value:.{digits}f}" for value in interval(ratios))
    return f"{median} ({low} to {high})"


def spread_text(untraced: list[Stretch]) -> str:
    """How restless the machine was, and how busy the worker."""
    rates = [each.per_s for each in untraced]
    low, high = np.quantile(rates, (0.1, 0.9))
    busy = np.median([each.per_s * each.worker_ns / 1e9 for each in untraced])
    worker = np.median([each.worker_ns for each in untraced]) / 1e3
    return (
        f"without tracing {np.median(rates):,.0f} requests/s (eight of ten stretches {low:,.0f} to {high:,.0f}), "
        f"{worker:.1f} µs of the worker's CPU each, which was busy {busy:.0%} of the time."
    )


def replaced(text: str, begin: str, end: str, new: str) -> str:
    """``text`` with what stands between two marks replaced. Raises ValueError when a mark is missing."""
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"{begin} … {end} is not there")
    return f"{before}{begin}\n{new}\n{end}{after}"


def _drain(fd: int, ticks: threading.Event) -> None:
    while chunk := os.read(fd, 1 << 18):
        if b'"T ' in chunk:
            ticks.set()


def _cpu_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
