"""``bpftop record TARGET``: into a recording that can be replayed, or single events as CSV.

stdout is data; what is going on is said on stderr: how far it is on a terminal, and at the end what the file holds.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bpftop.cli.groups import seconds
from bpftop.cli.growing import grown
from bpftop.cli.host import narrate
from bpftop.cli.live import given_target, live
from bpftop.cli.report import (
    JITTER_S,
    LATE_S,
    POLL_S,
    Teller,
    judge,
    raise_if_failed,
    wait_until_live,
)
from bpftop.cli.stop import INTERRUPTED, Stop, ctrl_c
from bpftop.errors import FileError, UsageError

if TYPE_CHECKING:
    from bpftop.ensemble import Ensemble
    from bpftop.model import Snapshot
    from bpftop.session import Session

PROGRESS_S = 1.0
EVERY_EVENT = (
    "--every-event: each event costs the traced thread 9 to 400 µs; a saturated nginx keeps a fifth of its rate"
)


class Sink(Protocol):
    """Where it goes."""

    def attach(self, session: Session, name: str = "") -> None:
        """Take everything of this session from now on. ``name``: of the script, when it runs beside the first ones."""

    def write(self) -> None:
        """Called often, from the main thread. Raises FileError when nothing more can be written."""

    def finish(self) -> None:
        """Everything is there: end the file. Raises FileError."""

    def size(self) -> str:
        """How much has been written, in words."""
        ...

    def told(self, final: Snapshot) -> str:
        """What the file holds, in a sentence."""
        ...


def record(options: argparse.Namespace) -> int:
    """Record; the exit code. Raises FileError when the disk is full, Inconclusive when the figures prove nothing."""
    _settle(options)
    given_target(options)
    if options.every_event:
        narrate(EVERY_EVENT)
    with ctrl_c() as stop, _sink(options) as sink:
        with (
            live(options, say_absent=_waiting, ready=sink.attach) as first,
            grown(first, options, sink.attach) as session,
        ):
            if wait_until_live(session, stop):
                _follow(session, sink, options.duration, stop)
            session.stop()
            final = session.snapshot(None)
        sink.write()
        sink.finish()
    narrate(sink.told(final))
    if stop.is_set() and options.duration:
        return INTERRUPTED
    if stop.is_set() and not final.ticks:
        return INTERRUPTED
    judge(final)
    return 0


def _settle(options: argparse.Namespace) -> None:
    """The second word is the duration, as in ``bpftop record nginx 60 > latencies.csv``."""
    if options.simulate and options.time is None and re.fullmatch(r"[\d.]+\w*", options.target or ""):
        options.target, options.time = None, options.target
    if options.time is not None:
        if options.duration is not None:
            raise UsageError("the duration is given twice", "bpftop record nginx -d 60")
        try:
            options.duration = seconds(options.time)
        except argparse.ArgumentTypeError as error:
            raise UsageError(str(error), "bpftop record nginx 60") from error
    out = options.output
    if out is not None and out.is_dir():
        raise UsageError(f"{out} is a directory", f"bpftop record nginx -o {out / 'nginx.bpftop'}")
    if out is not None and not str(out).endswith((".bpftop", ".csv")):
        raise UsageError("a recording is called .bpftop, single events are called .csv", "bpftop record nginx -o FILE")
    if out is None and sys.stdout.isatty() and not options.csv:
        hint = f"bpftop record {options.target or '--simulate'} -d 60 -o FILE.bpftop"
        raise UsageError("name a file, or send the CSV of single events to one", hint)


def _waiting(why: str) -> None:
    narrate(f"{why}; waiting for it")


@contextmanager
def _sink(options: argparse.Namespace) -> Iterator[Sink]:
    from bpftop.preflight import require_numpy

    require_numpy()
    if options.output is not None and str(options.output).endswith(".bpftop"):
        from bpftop.cli.sinks import recording

        with recording(options.output) as sink:
            yield sink
    else:
        from bpftop.cli.sinks import csv_file

        with csv_file(options.output) as events:
            yield events


def _follow(session: Session | Ensemble, sink: Sink, duration: float | None, stop: Stop) -> None:
    """Write until the time is over, the user has enough or nothing comes any more."""
    shown, last, since = 0.0, -1, time.monotonic()
    say, over = _progress(), Teller()
    while not stop.is_set():
        sink.write()
        now = time.monotonic()
        if now - shown >= PROGRESS_S:
            snapshot, shown = session.snapshot(None), now
            raise_if_failed(snapshot)
            over.tell(snapshot)
            say(snapshot, sink)
            if snapshot.ticks != last:
                last, since = snapshot.ticks, now
            elif duration and now - since > LATE_S and snapshot.window.span_s < duration:
                narrate(f"the kernel has not reported for {LATE_S:.0f} s; this is what was measured until then")
                break
        if duration and session.covered_s >= duration - JITTER_S:
            break
        stop.wait(POLL_S)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _progress() -> Callable[[Snapshot, Sink], None]:
    """On a terminal one line that is written again and again; quiet in a pipe."""
    from bpftop import units

    def say(snapshot: Snapshot, sink: Sink) -> None:
        if not sys.stderr.isatty():
            return
        counted = sum(each.summary.count for each in snapshot.measures.values())
        width = max(os.get_terminal_size(sys.stderr.fileno()).columns - 1, 20)
        text = (
            f"{units.span(snapshot.window.span_s)}, {units.count(counted)} observations, {sink.size()}; ctrl+c ends it"
        )
        print(f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True)

    return say


def refused(path: Path | None, problem: str) -> FileError:
    """What a sink raises when nothing more can be written."""
    return FileError(f"{path or 'stdout'}: {problem}", "df -h ." if path else "")
