"""``bpftop report TARGET``: measure, then print. stdout is data; what is going on is said on stderr.

Time is counted in ticks of the kernel, one a second: intervals follow each other without a gap or an overlap.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from typing import TYPE_CHECKING

from bpftop.cli.choice import beside
from bpftop.cli.growing import grown
from bpftop.cli.host import narrate
from bpftop.cli.live import given_target, live
from bpftop.cli.printing import WHOLE, Printer
from bpftop.cli.stop import INTERRUPTED, Stop, ctrl_c
from bpftop.errors import HostError, Inconclusive, UsageError

if TYPE_CHECKING:
    from bpftop.ensemble import Ensemble
    from bpftop.model import Snapshot
    from bpftop.session import Session

POLL_S = 0.05
JITTER_S = 0.3
"""A tick that comes this much early still ends its interval."""
START_S = 180.0
"""Compiling and attaching takes seconds; on an emulated processor a minute was seen."""
LATE_S = 5.0
"""A tick that comes later than this is not waited for."""
MIN_INTERVAL_S, MAX_INTERVAL_S = 1.0, 300.0
_WHY = "sudo bpftop doctor --try"


def report(options: argparse.Namespace) -> int:
    """Measure and print; the exit code. Raises Inconclusive after printing when the figures prove nothing."""
    given_target(options)
    if options.interval and not MIN_INTERVAL_S <= options.interval <= MAX_INTERVAL_S:
        raise UsageError("an interval is between 1 s and 5 min", "bpftop report --help")
    _check(options)
    out = Printer(options)
    if options.target and _is_recording(options.target):
        return _of_recording(options, out)
    if options.interval and options.interval > options.duration:
        longer = f"-d {options.interval:g} -i {options.interval:g}"
        raise UsageError(
            "the interval is longer than the whole report", f"bpftop report {options.target or 'TARGET'} {longer}"
        )
    with (
        ctrl_c() as stop,
        live(options, say_absent=_say_waiting, made=out.simulates) as first,
        grown(first, options) as session,
    ):
        attached = wait_until_live(session, stop)
        whole = attached and _measure(session, options, stop, out)
        session.stop()
        final = session.snapshot(None)
        if attached or not stop.is_set():
            out.final(final)
            out.textfile(session)
    sys.stdout.flush()
    if stop.is_set():
        return INTERRUPTED
    judge(final)
    if attached and not whole:
        raise Inconclusive(f"bpftrace stopped reporting before the {options.duration:g} s were over", _WHY)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Raises UsageError for words that make no sense together."""
    if options.format in WHOLE and options.interval:
        more = "; --prometheus-textfile PATH is written anew each time" if options.format == "prometheus" else ""
        raise UsageError(f"{options.format} has no intervals{more}", "bpftop report --help")
    if options.measure and options.format != "hgrm":
        raise UsageError("--measure is for --format hgrm; the others have all measures", "bpftop report --help")


def _is_recording(word: str) -> bool:
    from bpftop.recording.files import is_recording

    return is_recording(word)


def _of_recording(options: argparse.Namespace, out: Printer) -> int:
    from bpftop.cli import replay

    final = replay.report(options, out)
    sys.stdout.flush()
    judge(final)
    return 0


def _say_waiting(why: str) -> None:
    narrate(f"{why}; waiting for it")


def _measure(session: Session | Ensemble, options: argparse.Namespace, stop: Stop, out: Printer) -> bool:
    """Wait until the time is over or the user has enough, and print each interval on the way; False when it was cut."""
    step: float = options.interval or options.duration
    printed, over = 0, Teller()
    begun_s = session.covered_s if beside(options) else 0.0
    for number in range(1, math.ceil(options.duration / step) + 1):
        ticks = _wait_for(session, begun_s + number * step, stop, over, out)
        if options.interval and ticks > printed:
            # A window of as many slices as have come since the last line: nothing twice, nothing left out.
            out.interval(session.snapshot(float(ticks - printed)).running())
            out.textfile(session)
            printed = ticks
        if not ticks:
            return stop.is_set()
    return True


def wait_until_live(session: Session | Ensemble, stop: Stop) -> bool:
    """True with the first tick; False when the user stopped waiting. Raises HostError when bpftrace fails or hangs."""
    from bpftop.model import State

    said, end, seen = False, time.monotonic() + START_S, None
    while not stop.is_set():
        if (news := session.news) != seen:
            snapshot, seen = session.snapshot(None), news
            raise_if_failed(snapshot)
            if snapshot.ticks and not any(script.state is State.ATTACHING for script in snapshot.scripts):
                return True
            if not said and sys.stderr.isatty() and snapshot.tracer.detail:
                narrate(snapshot.tracer.detail)
                said = True
        if time.monotonic() > end:
            raise HostError(f"bpftrace has not reported within {START_S:g} s of its start", _WHY)
        stop.wait(POLL_S)
    return False


class Teller:
    """Says on stderr what costs more than it may, each thing once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def tell(self, snapshot: Snapshot) -> None:
        """Say what is new."""
        for sentence in snapshot.over_budget:
            about = sentence.partition(" ")[0]
            if about not in self._said:
                self._said.add(about)
                narrate(f"{sentence} (--budget SHARE or off)")


def _wait_for(session: Session | Ensemble, seconds: float, stop: Stop, over: Teller, out: Printer) -> int:
    """The number of ticks when that many seconds have been reported; 0 when the user stopped or no more ticks come."""
    last, since, seen = -1, time.monotonic(), None
    while not stop.is_set():
        if (news := session.news) != seen:
            snapshot, seen = session.snapshot(None), news
            over.tell(snapshot)
            if snapshot.ticks != last:
                last, since = snapshot.ticks, time.monotonic()
                out.look(snapshot)
            if snapshot.window.span_s >= seconds - JITTER_S:
                return snapshot.ticks
            raise_if_failed(snapshot)
        if time.monotonic() - since > LATE_S:
            narrate(f"the kernel has not reported for {LATE_S:.0f} s; this is what was measured until then")
            return 0
        stop.wait(POLL_S)
    return 0


def raise_if_failed(snapshot: Snapshot) -> None:
    """Raises HostError with the words of bpftrace when it has ended for good."""
    from bpftop.model import State

    if snapshot.tracer.state is State.FAILED:
        raise HostError(snapshot.tracer.detail or "bpftrace failed", snapshot.tracer.hint or "bpftop doctor")
    failed = next((script for script in snapshot.scripts if script.state is State.FAILED), None)
    if failed is not None:
        raise HostError(f"{failed.name}: {failed.detail}", "bpftop doctor --try")


def judge(snapshot: Snapshot) -> None:
    """Raise Inconclusive when the figures prove nothing."""
    from bpftop import units
    from bpftop.model import losses

    counts = sum(m.summary.count for m in snapshot.measures.values())
    if not counts:
        raise Inconclusive(f"nothing came to {snapshot.target.name} in {units.span(snapshot.window.span_s)}")
    if problems := losses(snapshot).problems:
        raise Inconclusive("; ".join(problems))
