"""The thread that reads bpftrace: one run after the other, every message into the figures, states for people."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from bpftop import units
from bpftop.clock import WALL, boot_ns, steady_unix_ns
from bpftop.errors import BpftopError
from bpftop.figures import Declared, Figures, Frame, Origin, Status, Tap
from bpftop.model import (
    Attached,
    Lost,
    Message,
    Process,
    Program,
    Rejected,
    Standstill,
    State,
    Target,
    Text,
    TracerStatus,
)
from bpftop.session.late import Lateness
from bpftop.stats.keys import KeyNames
from bpftop.stats.tick import Slice, TickData
from bpftop.tracer.assemble import Assembler
from bpftop.tracer.budget import Budget
from bpftop.tracer.failures import explain, lacks_rights
from bpftop.tracer.overhead import OverheadMeter
from bpftop.tracer.reader import Rest, pump
from bpftop.tracer.source import Source
from bpftop.tracer.supervisor import harmless, map_keys

_STALLED_AFTER_NS = 2_500_000_000
_TICK_NS = 1_000_000_000
_PRINTED_NS = 80_000_000
"""So long after its moment the maps of a tick have been printed, as a rule."""
_LATE_NS = 300_000_000
"""A tick that is read so long after its time has much in front of it or behind."""
_RESTARTS = 3
LADDER_S = 1.0
STEPS = ("stop", "terminate", "kill")
"""Of a source, one after the other until it has ended."""
_SET_NS = 500_000_000
"""A clock that was set by more than this is worth a word."""


class Reading:
    """What a session does in its own thread; ``_lock`` guards the figures."""

    def __init__(
        self,
        source: Source,
        program: Program,
        target: Target,
        *,
        names: KeyNames,
        renew: Callable[[Target], Source] | None,
        meter: OverheadMeter,
        budget: Budget,
        version: str,
        rights: str,
    ) -> None:
        self._source = source
        self._target = target
        self._renew = renew
        self._standstill = Standstill()
        self._rights = rights
        self._meter = meter
        self._budget = budget
        self._assembler = Assembler()
        self._lateness = Lateness()
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        """Told of every tick and every change of the state."""
        self._over = False
        """The thread reads nothing any more."""
        self._state = State.ATTACHING
        self._detail = self._hint = ""
        self._stderr: deque[str] = deque(maxlen=20)
        self._exit_code: int | None = None
        self._restarts = 0
        self._runs = 1
        self._fresh = True
        """The run has not reported yet."""
        self._asked_ns = 0
        """When it was asked to end (boot time)."""
        self._probes = 0
        self._lost_reported = 0
        self._stopping = threading.Event()
        self._rest = Rest(self._rest_s)
        self._due_ns = 0
        """When the next tick can be read whole (boot time); 0 while nobody knows."""
        self._next_target: Target | None = None
        self._heard_ns = self._started_ns = 0
        self._backed_off_s: float | None = None
        """When it began to stop because it cost too much (monotonic)."""
        self._offset_ns = WALL.look()
        origin = Origin(version, os.uname().release, steady_unix_ns())
        self._figures = Figures(Declared.of(program), origin, self._status(), map_keys(), names)
        self._store = self._figures.store
        self._taps: list[Tap] = []
        self._told: Status | None = None
        """What the taps know."""
        self._thread = threading.Thread(target=self._run, name="bpftop-reader", daemon=True)

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # the boundary of the thread: a defect must show as a state, not on the terminal
            self._hint = "please report it"
            self._detail = f"reading bpftrace failed: {type(error).__name__}: {error}"
            self._state = State.FAILED
            self._source.kill()
            self._source.wait(LADDER_S)
            with self._lock:
                self._tell(None)
        finally:
            self._rest.close()
            with self._lock:
                self._over = True
                self._news.notify_all()

    def _follow(self) -> None:
        """One run after the other, until nobody wants another."""
        while True:
            pump(self._source, self._message, self._stderr_line, self._idle, self._rest)
            self._due_ns = 0
            code = self._source.wait(LADDER_S)
            if code is None:  # it closed its pipes and lives on
                self._source.kill()
                code = self._source.wait(LADDER_S)
            with self._lock:
                self._exit_code = code
                self._end_of_run()
            if self._stopping.is_set():
                self._state = State.STOPPED
            again = not self._stopping.is_set() and self._again()
            with self._lock:
                self._tell(None)
            if not again:
                return

    def _end_of_run(self) -> None:
        """Take the maps that bpftrace prints at its end. The lock is held."""
        last = self._lateness.take(self._assembler.finish(boot_ns()), self._started_ns)
        if last is not None:
            self._ingest(last)

    def _again(self) -> bool:
        """After the end of a run that nobody asked to end: start another, unless it makes no sense."""
        found, self._next_target = self._next_target, None
        if found is not None:
            self._target = found
        else:
            cause, hint = explain(self._stderr, self._exit_code)
            if self._store.ticks == 0 and lacks_rights(self._stderr) and self._relaxed(cause):
                return True
            told = self._exit_code is None or self._exit_code < 0 or "exit code" in cause  # of a signal the cause tells
            self._detail = cause if told else f"{cause} (exit code {self._exit_code})"
            if self._store.ticks == 0 or self._restarts >= _RESTARTS or self._renew is None:
                self._state = State.FAILED
                self._hint = hint
                return False
            self._state = State.ATTACHING
            if self._stopping.wait(2**self._restarts):
                self._state = State.STOPPED
                with self._lock:
                    self._fresh = True
                    self._ingest(TickData(boot_ns(), final=True))  # nothing was seen since the last one ended
                return False
            self._restarts += 1
        assert self._renew is not None
        try:
            self._source = self._renew(self._target)
            self._source.start()
            if self._stopping.is_set():
                self._source.stop()
        except BpftopError as error:
            self._state, self._detail, self._hint = State.FAILED, error.message, error.hint
            return False
        with self._lock:
            self._runs += 1
            self._started_ns = self._heard_ns = boot_ns()
            self._fresh = True
            self._assembler = Assembler()
            self._state = State.ATTACHING
        return True

    def _relaxed(self, cause: str) -> bool:
        """Try once more with all capabilities that there are what failed at once with few; True when that runs."""
        more = getattr(self._source, "relaxed", lambda: None)()
        if more is None or self._stopping.is_set():
            return False
        try:
            if more.stdout < 0:
                more.start()
        except BpftopError:
            return False
        self._source = more
        self._stderr.clear()
        self._stderr.append(f"with few capabilities it failed ({cause}); now it has all of bpftop's")
        with self._lock:
            self._started_ns = self._heard_ns = boot_ns()
            self._assembler = Assembler()
        return True

    def _message(self, message: Message) -> None:
        self._heard_ns = boot_ns()
        if isinstance(message, Attached):
            self._probes = message.probes
        elif isinstance(message, Lost):
            self._lost_reported += message.events
        elif isinstance(message, Text):
            self._stderr_line(message.line)
        elif isinstance(message, Rejected) and message.cut and self._asked_to_end():
            # A signal that finds bpftrace (0.17 to 0.27.1) in a write to a full pipe ends its output there, exit code
            # 0: the half line and what is behind it are as if it had been ended a moment before. What the last tick
            # said was sent, and is not here, is lost all the same.
            return
        with self._lock:
            tick = self._assembler.take(message)
            if tick is not None:
                tick = self._lateness.take(tick, self._started_ns)
            if tick is not None:
                if not self._stopping.is_set():
                    self._state, self._detail = State.LIVE, ""
                part = self._ingest(tick)
                observed = int(part.counts.sum())
        if tick is not None:
            self._meter.tick(self._source.pid)
            if self._source.pid is not None and self._budget.take(self._meter, observed):
                self._back_off()

    def _unread_ns(self, tick: TickData) -> int:
        """How long before we ended it the run had reported for the last time, when that was more than a tick too long
        and its counts do not come any more: they stood behind what was not read."""
        if not tick.final or len(tick.counts_keys) or not self._asked_ns:
            return 0
        silent_ns = self._asked_ns - self._store.last_ns
        return silent_ns if silent_ns > 2 * _TICK_NS else 0

    def _asked_to_end(self) -> bool:
        """Whether the run ends, or soon will, because this session wants it to."""
        return self._stopping.is_set() or self._next_target is not None

    def _ask_to_end(self) -> None:
        if not self._stopping.is_set():
            self._asked_ns = boot_ns()
        self._stopping.set()
        self._rest.end()

    def _rest_s(self) -> float:
        """Nobody reads the events between two ticks: they are read with the second one."""
        return 0.0 if self._asked_to_end() or not self._due_ns else (self._due_ns - boot_ns()) / 1e9

    def _back_off(self) -> None:
        """End bpftrace: it costs more than it may. Its figures stay as they are."""
        if not self._stopping.is_set():
            span_s = self._store.span_s(None)
            self._detail = f"stopped after {units.span(span_s)}: {self._budget.told}"
            self._ask_to_end()
            self._backed_off_s = time.monotonic()
            self._source.stop()

    def _ingest(self, tick: TickData) -> Slice:
        if self._fresh:
            # The kernel's first tick comes one period after the attach: compiling and attaching is not measured time.
            seen_ns = 0 if tick.final and not len(tick.counts_keys) else _TICK_NS
            self._store.started(max(self._started_ns, tick.boot_ns - seen_ns))
            self._fresh = False
        self._figures.status = self._status()
        late = tick.late or boot_ns() - tick.boot_ns > _LATE_NS
        part = self._figures.ingest(replace(tick, late=late, unseen_ns=self._unread_ns(tick)))
        self._look_at_the_clock()
        pids, ports = tick.target_pids, tick.target_ports
        if pids is not None:
            self._target = replace(self._target, processes=_followed(self._target, pids), ports=ports or ())
        # One that comes in time comes again after a second.
        self._due_ns = 0 if late or tick.final else tick.boot_ns + _TICK_NS + _PRINTED_NS
        self._tell(part)
        self._news.notify_all()
        return part

    def _look_at_the_clock(self) -> None:
        """When somebody has set it, all times are by the new clock, also those of the past; a large step is told."""
        moved_ns, self._offset_ns = WALL.look() - self._offset_ns, WALL.offset_ns
        if abs(moved_ns) > _SET_NS:
            way, by_s = "forward" if moved_ns > 0 else "back", abs(moved_ns) / 1e9
            by = units.span(round(by_s)) if by_s >= 60 else f"{by_s:.1f} s"
            self._stderr.append(f"this host's clock was set {way} by {by}; a recording goes on by the old one")

    def _tell(self, part: Slice | None) -> None:
        """Hand what is new to the taps. The lock is held."""
        if part is None:
            self._news.notify_all()
        if not self._taps:
            return
        status = self._status()
        changed = status if status != self._told else None
        self._told = status
        if part is not None or changed is not None:
            frame = Frame(steady_unix_ns(), part, changed)
            for tap in self._taps:
                tap(frame)

    def _stderr_line(self, line: str) -> None:
        if not harmless(line):
            self._stderr.append(line[:400])

    def _idle(self) -> bool:
        events = _events(self._source.stdout)
        waits = bool(events & select.POLLIN)
        if not waits:
            self._lateness.nothing_waits()
        silent = not waits and boot_ns() - self._heard_ns > _STALLED_AFTER_NS
        if self._state is State.LIVE and silent:
            self._state, self._detail = State.STALLED, "no sign of life from bpftrace"
        if self._backed_off_s is not None:
            steps = int((time.monotonic() - self._backed_off_s) / LADDER_S)
            if steps:
                getattr(self._source, STEPS[min(steps, len(STEPS) - 1)], self._source.kill)()
        with self._lock:
            self._tell(None)
        # Something that it started may hold its pipes open, and then their end never comes.
        return not silent or bool(events) or self._source.wait(0) is None

    def _status(self) -> Status:
        return Status(
            self._target,
            self._tracer(),
            self._meter.overhead,
            self._started_ns,
            WALL.offset_ns,
            self._standstill,
            WALL.steady_ns,
        )

    def _tracer(self) -> TracerStatus:
        detail = self._detail
        if self._state is State.ATTACHING and not detail:
            detail = f"attaching {self._probes} probes" if self._probes else "starting bpftrace"
        elif self._state is State.LIVE and self._lost_reported:
            detail = f"bpftrace reported {self._lost_reported} lost messages"
        return TracerStatus(
            self._state,
            detail,
            self._hint,
            tuple(self._stderr),
            self._exit_code,
            self._restarts,
            self._runs,
            self._lost_reported,
            self._source.label,
            " · ".join(filter(None, (self._rights, getattr(self._source, "rights", "")))),
            self._budget.told,
        )


def _events(descriptor: int) -> int:
    """What poll(2) says of a pipe now: POLLIN, POLLHUP or nothing."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return sum(events for _, events in poll.poll(0))


def _followed(target: Target, pids: tuple[int, ...]) -> tuple[Process, ...]:
    """The processes that the kernel follows now; of those that came after the start only the number is known."""
    known = {process.pid: process for process in target.processes}
    return tuple(known.get(pid) or Process(pid, 0, "") for pid in pids)
