"""One watch: runs a source, keeps the figures, answers ``snapshot`` at any time. Knows neither screen nor files."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from bpftop.errors import BpftopError
from bpftop.figures import Declared, Figures, Frame, Known, Origin, Status, Tap
from bpftop.model import (
    Attached,
    Lost,
    Message,
    Names,
    Process,
    Program,
    Snapshot,
    Standstill,
    State,
    Target,
    Text,
    TracerStatus,
)
from bpftop.procfs import comm_of
from bpftop.stats.devices import device_name
from bpftop.stats.exclude import Excluded, Network
from bpftop.stats.keys import KeyNames
from bpftop.stats.tick import Slice, TickData
from bpftop.tracer.assemble import Assembler
from bpftop.tracer.failures import explain, lacks_rights
from bpftop.tracer.overhead import OverheadMeter
from bpftop.tracer.reader import pump
from bpftop.tracer.source import Source
from bpftop.tracer.supervisor import harmless, map_keys

_STALLED_AFTER_NS = 2_500_000_000
_TICK_NS = 1_000_000_000
_RESTARTS = 3
_RESCAN_S = 2.0
_LOOK_S = 1.0
_LADDER_S = 1.0
_CLOCK_MOVED_NS = 2_000_000
"""Reading two clocks one after the other takes some time; a larger difference is a clock that was set."""


class Session:
    """Watches one target through one program.

    ``renew`` makes a source for a target whose processes have changed, or after a crash; without it neither is
    followed. ``rescan`` resolves the target again; it is asked every two seconds for processes that the kernel's own
    following has missed. ``standstill`` is asked every second who stands still. ``comm_of`` and ``device_of`` name
    processes and devices of this host, unless the source is of another.
    """

    def __init__(
        self,
        source: Source,
        program: Program,
        target: Target,
        *,
        renew: Callable[[Target], Source] | None = None,
        rescan: Callable[[], Target] | None = None,
        standstill: Callable[[Target], Standstill] | None = None,
        bpftrace_version: str = "",
        comm_of: Callable[[int], str] = comm_of,
        device_of: Callable[[int], str] = device_name,
        meter: OverheadMeter | None = None,
        rights: str = "",
    ) -> None:
        self._source = source
        self._target = target
        self._renew = renew
        self._rescan = rescan
        self._look = standstill
        self._standstill = Standstill()
        self._rights = rights
        self._meter = meter or OverheadMeter()
        self._assembler = Assembler()
        self._lock = threading.Lock()
        self._state = State.ATTACHING
        self._detail = self._hint = ""
        self._stderr: deque[str] = deque(maxlen=20)
        self._exit_code: int | None = None
        self._restarts = 0
        self._runs = 1
        self._probes = 0
        self._lost_reported = 0
        self._stopping = threading.Event()
        self._next_target: Target | None = None
        self._heard_ns = self._started_ns = 0
        self._offset_ns = time.time_ns() - boot_ns()
        origin = Origin(bpftrace_version, os.uname().release, time.time_ns())
        self._figures = Figures(Declared.of(program), origin, self._status(), map_keys(), KeyNames(comm_of, device_of))
        self._store = self._figures.store
        self._taps: list[Tap] = []
        self._told: Status | None = None
        """What the taps know."""
        self._thread = threading.Thread(target=self._run, name="bpftop-reader", daemon=True)
        self._scanner = threading.Thread(target=self._scan, name="bpftop-rescan", daemon=True)
        self._looker = threading.Thread(target=self._look_on, name="bpftop-standstill", daemon=True)
        self._missed: tuple[frozenset[int], frozenset[int]] = (frozenset(), frozenset())
        self._tried: set[tuple[frozenset[int], frozenset[int]]] = set()

    # --- life ---

    def start(self) -> None:
        """Start the source, when it is not running yet, and the reading of it. Raises HostError when it can't."""
        if self._source.stdout < 0:
            self._source.start()
        self._started_ns = self._heard_ns = boot_ns()
        self._thread.start()
        if self._rescan is not None and self._renew is not None:
            self._scanner.start()
        if self._look is not None:
            self._looker.start()

    def stop(self) -> None:
        """End the source within 3 s: SIGINT, then SIGTERM, then SIGKILL. The last counts are in the next snapshot."""
        self._stopping.set()
        for step in ("stop", "terminate", "kill"):
            if not self._thread.is_alive():
                break
            source = self._source  # a restart may just have put another in its place
            getattr(source, step, source.kill)()
            self._thread.join(_LADDER_S)
        self._meter.close()

    def wait_live(self, timeout_s: float) -> bool:
        """Wait until the kernel has reported for the first time, or the run has failed. True when live."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if self._store.ticks or self._state is State.FAILED:
                break
            time.sleep(0.02)
        return self._store.ticks > 0

    @property
    def covered_s(self) -> float:
        """How much time the figures cover."""
        return self._store.span_s(None)

    def wait_tick(self, timeout_s: float = 5.0) -> bool:
        """Wait until two more ticks have come: everything that has happened before is in the figures. True when so."""
        wanted = self._store.ticks + 2
        end = time.monotonic() + timeout_s
        while self._store.ticks < wanted and time.monotonic() < end and self._thread.is_alive():
            time.sleep(0.02)
        return self._store.ticks >= wanted

    def settle(self, timeout_s: float = 5.0, asked_ns: int | None = None) -> bool:
        """Wait up to the kernel's next tick: what happened before this call is in the counts then. True when so.

        ``asked_ns``: before that boot time instead. Takes half a second on average. The accounts of the events lane
        come one tick later.
        """
        asked, end = boot_ns() if asked_ns is None else asked_ns, time.monotonic() + timeout_s
        while self._store.settled_ns < asked and time.monotonic() < end and self._thread.is_alive():
            time.sleep(0.01)
        return self._store.settled_ns >= asked

    # --- the reader's thread ---

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # the boundary of the thread: a defect must show as a state, not on the terminal
            self._hint = "please report it"
            self._detail = f"reading bpftrace failed: {type(error).__name__}: {error}"
            self._state = State.FAILED
            self._source.kill()
            self._source.wait(_LADDER_S)
            with self._lock:
                self._tell(None)

    def _follow(self) -> None:
        """One run after the other, until nobody wants another."""
        while True:
            pump(self._source, self._message, self._stderr_line, self._idle)
            code = self._source.wait(_LADDER_S)
            if code is None:  # it closed its pipes and lives on
                self._source.kill()
                code = self._source.wait(_LADDER_S)
            with self._lock:
                self._exit_code = code
                self._ingest(self._assembler.finish(boot_ns()))
            if self._stopping.is_set():
                self._state = State.STOPPED
            again = not self._stopping.is_set() and self._again()
            with self._lock:
                self._tell(None)
            if not again:
                return

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
            self._store.started(self._started_ns)
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
        with self._lock:
            tick = self._assembler.take(message)
            if tick is not None:
                self._state, self._detail = State.LIVE, ""
                self._ingest(tick)
        if tick is not None:
            self._meter.tick(self._source.pid)

    def _ingest(self, tick: TickData) -> None:
        if self._store.ticks == 0:
            # The kernel's first tick comes one period after the attach: compiling and attaching is not measured time.
            self._store.started(max(self._started_ns, tick.boot_ns - _TICK_NS))
        self._figures.status = self._status()
        part = self._figures.ingest(tick)
        offset_ns = time.time_ns() - boot_ns()
        if abs(offset_ns - self._offset_ns) > _CLOCK_MOVED_NS:
            self._offset_ns = offset_ns
        pids, ports = tick.target_pids, tick.target_ports
        if pids is not None:
            self._target = replace(self._target, processes=_followed(self._target, pids), ports=ports or ())
        self._tell(part)

    def _tell(self, part: Slice | None) -> None:
        """Hand what is new to the taps. The lock is held."""
        if not self._taps:
            return
        status = self._status()
        changed = status if status != self._told else None
        self._told = status
        if part is not None or changed is not None:
            frame = Frame(boot_ns() + self._offset_ns, part, changed)
            for tap in self._taps:
                tap(frame)

    def _stderr_line(self, line: str) -> None:
        if not harmless(line):
            self._stderr.append(line[:400])

    def _idle(self) -> bool:
        silent = boot_ns() - self._heard_ns > _STALLED_AFTER_NS
        if self._state is State.LIVE and silent:
            self._state, self._detail = State.STALLED, "no sign of life from bpftrace"
        with self._lock:
            self._tell(None)
        # Something that it started may hold its pipes open, and then their end never comes.
        return not silent or _readable(self._source.stdout) or self._source.wait(0) is None

    # --- the rescan's thread ---

    def _scan(self) -> None:
        assert self._rescan is not None
        while not self._stopping.wait(_RESCAN_S):
            if self._state is not State.LIVE:
                continue
            with contextlib.suppress(OSError, BpftopError):
                self._compare(self._rescan())

    def _compare(self, found: Target) -> None:
        """Start anew when the same processes or ports have been missed twice: the kernel does not follow them."""
        missed = (
            frozenset(found.pids) - frozenset(self._target.pids),
            frozenset(found.ports) - frozenset(self._target.ports),
        )
        if any(missed) and missed == self._missed and missed not in self._tried and not self._stopping.is_set():
            self._tried.add(missed)  # once is enough: what a fresh start does not follow either stays unfollowed
            self._next_target = found
            self._source.stop()
        self._missed = missed

    def _look_on(self) -> None:
        assert self._look is not None
        while not self._stopping.wait(_LOOK_S):
            with contextlib.suppress(OSError, BpftopError):
                self._standstill = self._look(self._target)

    # --- figures ---

    @property
    def declared(self) -> Declared:
        """What is measured."""
        return self._figures.declared

    @property
    def origin(self) -> Origin:
        """Where the figures come from."""
        return self._figures.origin

    @property
    def names(self) -> Names:
        """What keys are called."""
        return self._figures.names

    def tap(self, tap: Tap) -> Known:
        """Hand every change of the figures to ``tap`` from now on, first the state of this moment."""
        with self._lock:
            self._told = self._status()
            tap(Frame(boot_ns() + self._offset_ns, None, self._told))
            self._taps.append(tap)
            return self._known()

    def known(self) -> Known:
        """The names and accounts of this moment."""
        with self._lock:
            return self._known()

    def _known(self) -> Known:
        return Known(boot_ns() + self._offset_ns, self._store.names(), self._store.accounting)

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """Everything about a window of 10, 60 or 300 seconds, or None for all since the start.

        ``until_unix_ns``: as it was at that moment, of the last ten minutes; the states of tracer and scripts are
        those of now.
        """
        with self._lock:
            self._figures.status = self._status()
            self._tell(None)  # whatever is seen is recorded
            return self._figures.snapshot(window_s, boot_ns() + self._offset_ns, until_unix_ns)

    def exclude(self, networks: Sequence[Network]) -> None:
        """From now on clients in these networks are in the totals and in no table."""
        with self._lock:
            self._store.excluded = Excluded(networks)

    def reset(self) -> None:
        """Forget all figures; counting goes on from here."""
        with self._lock:
            self._figures.reset(boot_ns())

    def _status(self) -> Status:
        return Status(
            self._target, self._tracer(), self._meter.overhead, self._started_ns, self._offset_ns, self._standstill
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
        )


def boot_ns() -> int:
    """The clock of bpftrace's ``nsecs``."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def _followed(target: Target, pids: tuple[int, ...]) -> tuple[Process, ...]:
    """The processes that the kernel follows now; of those that came after the start only the number is known."""
    known = {process.pid: process for process in target.processes}
    return tuple(known.get(pid) or Process(pid, 0, "") for pid in pids)
