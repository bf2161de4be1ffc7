"""Every message of a bpftrace into the figures, and from there to the taps."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from bpftop import units
from bpftop.clock import WALL, boot_ns, steady_unix_ns
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
)
from bpftop.session.condition import Condition
from bpftop.session.late import Lateness
from bpftop.stats.keys import KeyNames
from bpftop.stats.tick import Slice, TickData
from bpftop.tracer.assemble import Assembler
from bpftop.tracer.budget import Budget
from bpftop.tracer.overhead import OverheadMeter
from bpftop.tracer.reader import Rest
from bpftop.tracer.source import Source
from bpftop.tracer.supervisor import map_keys

_STALLED_AFTER_NS = 2_500_000_000
_TICK_NS = 1_000_000_000
_PRINTED_NS = 80_000_000
"""So long after its moment the maps of a tick have been printed, as a rule."""
_LATE_NS = 300_000_000
"""A tick that is read so long after its time has much in front of it or behind."""

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
        self._condition = Condition()
        self._fresh = True
        """The run has not reported yet."""
        self._asked_ns = 0
        """When it was asked to end (boot time)."""
        self._stopping = threading.Event()
        self._rest = Rest(self._rest_s)
        self._due_ns = 0
        """When the next tick can be read whole (boot time); 0 while nobody knows."""
        self._floods = program.every_event
        """Any number of events may come between two ticks."""
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

    def _message(self, message: Message) -> None:
        self._heard_ns = boot_ns()
        if isinstance(message, Attached):
            self._condition.probes = message.probes
        elif isinstance(message, Lost):
            self._condition.lost_reported += message.events
        elif isinstance(message, Text):
            self._condition.hear(message.line)
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
                    self._condition.state, self._condition.detail = State.LIVE, ""
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
        awake = self._floods or self._asked_to_end() or not self._due_ns
        return 0.0 if awake else (self._due_ns - boot_ns()) / 1e9

    def _back_off(self) -> None:
        """End bpftrace: it costs more than it may. Its figures stay as they are."""
        if not self._stopping.is_set():
            span_s = self._store.span_s(None)
            self._condition.detail = f"stopped after {units.span(span_s)}: {self._budget.told}"
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
        ago_ns = boot_ns() - tick.boot_ns
        late = tick.late or ago_ns > _LATE_NS
        part = self._figures.ingest(replace(tick, late=late, unseen_ns=self._unread_ns(tick)))
        self._look_at_the_clock()
        pids, ports = tick.target_pids, tick.target_ports
        if pids is not None:
            self._target = replace(self._target, processes=_followed(self._target, pids), ports=ports or ())
        # After one that comes in time the next one comes in a second; a simulation may be faster.
        in_time = abs(ago_ns) <= _LATE_NS and not late and not tick.final
        self._due_ns = tick.boot_ns + _TICK_NS + _PRINTED_NS if in_time else 0
        self._tell(part)
        self._news.notify_all()
        return part

    def _look_at_the_clock(self) -> None:
        """When somebody has set it, all times are by the new clock, also those of the past; a large step is told."""
        moved_ns, self._offset_ns = WALL.look() - self._offset_ns, WALL.offset_ns
        if abs(moved_ns) > _SET_NS:
            way, by_s = "forward" if moved_ns > 0 else "back", abs(moved_ns) / 1e9
            by = units.span(round(by_s)) if by_s >= 60 else f"{by_s:.1f} s"
            self._condition.stderr.append(
                f"this host's clock was set {way} by {by}; a recording goes on by the old one"
            )

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

    def _idle(self) -> bool:
        events = _events(self._source.stdout)
        waits = bool(events & select.POLLIN)
        if not waits:
            self._lateness.nothing_waits()
        silent = not waits and boot_ns() - self._heard_ns > _STALLED_AFTER_NS
        if self._condition.state is State.LIVE and silent:
            self._condition.state, self._condition.detail = State.STALLED, "no sign of life from bpftrace"
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
            self._condition.tracer(self._source, self._rights, self._budget.told),
            self._meter.overhead,
            self._started_ns,
            WALL.offset_ns,
            self._standstill,
            WALL.steady_ns,
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
