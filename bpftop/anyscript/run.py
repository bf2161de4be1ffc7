"""One run of a user's program: the child, the reading of it, its end, and ``snapshot`` at any time."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from bpftop.anyscript import attached
from bpftop.anyscript.decode import RunMessage, decode
from bpftop.anyscript.ending import Ending, ending_of
from bpftop.anyscript.model import Complaint, LogLine, Printed, RunSnapshot, RunState, Said, UserScript
from bpftop.anyscript.scan import attach_points
from bpftop.anyscript.store import Log, MapStore
from bpftop.clock import steady_unix_ns
from bpftop.model import Attached, Lost, Program
from bpftop.procfs import cpu_ticks
from bpftop.tracer.overhead import OverheadMeter
from bpftop.tracer.reader import pump_lines
from bpftop.tracer.source import Source
from bpftop.tracer.supervisor import BpftraceSource, harmless, map_keys

_METER_S = 1.0
_ATTACHED_S = 2.5
_LOOK_S = 0.1
_SETTLED_S = 0.3
_QUIET_S = 2.5
"""When a run that was asked to end shows no sign of it for so long, it is asked more firmly."""
_LONGEST_S = 180.0
"""However busy it is: after this it is asked more firmly too."""
_ESCAPED_TWICE = ("0.22", "0.23")


def source_for(script: UserScript, bpftrace_path: str) -> BpftraceSource:
    """bpftrace on the program, where the user is and with the user's own numbers for it. Not started."""
    program = Program(script.text, (), (), (), script.argv)
    return BpftraceSource(program, bpftrace_path, cwd=_here(), settings=own_settings())


def own_settings() -> dict[str, str]:
    """The caller's settings of bpftrace that are numbers: nothing else of the environment reaches it."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("BPFTRACE_") and value.isascii() and value.isdecimal() and len(value) <= 12
    }


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return "/"


class ScriptRun:
    """Runs one program to its end; restarts nothing."""

    def __init__(
        self,
        script: UserScript,
        source: Source,
        version: str = "",
        *,
        held: Callable[[int | None], int] = attached.held,
        meter: OverheadMeter | None = None,
    ) -> None:
        """``held`` and ``meter``: where another process must be asked about bpftrace."""
        self._held = held
        self._script = script
        self._source = source
        self._version = version
        self._points = attach_points(script.text)
        settings = own_settings()
        given = settings.get("BPFTRACE_MAX_MAP_KEYS") or settings.get("BPFTRACE_MAP_KEYS_MAX")
        self._maps = MapStore(script, int(given) if given else map_keys())
        self._log = Log()
        self._lock = threading.Lock()
        self._state = RunState.STARTING
        self._ending = Ending()
        self._stderr: deque[str] = deque(maxlen=50)
        self._probes = self._lost = self._rejected = 0
        self._exit_code: int | None = None
        self._started_ns = steady_unix_ns()
        self._live_ns: int | None = None
        self._ended_ns: int | None = None
        self._asked = threading.Event()
        self._heard = 0
        self._left_to_detach = 0
        self._meter = meter or OverheadMeter()
        self._metered = 0.0
        self._unattached = False
        self._thread = threading.Thread(target=self._follow, name="bpftop-run", daemon=True)
        self._ladder = threading.Thread(target=self._insist, name="bpftop-end", daemon=True)

    # --- life ---

    def start(self) -> None:
        """Start bpftrace and the reading of it. Raises HostError when it cannot be executed."""
        if self._source.stdout < 0:
            self._source.start()
        self._started_ns = steady_unix_ns()
        self._thread.start()

    def end(self) -> None:
        """Ask the program to end; returns at once. Its last maps still come, when all probes are detached."""
        with self._lock:
            if self._asked.is_set():
                return
            self._asked.set()
            self._ended_ns = steady_unix_ns()
            self._unattached = self._unattached or ((self.live_s or 0) > _SETTLED_S and self._holds_nothing())
            if self._state in (RunState.STARTING, RunState.LIVE):
                self._state = RunState.STOPPING
        self._source.stop()
        self._ladder.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end of the run; True when it has come."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def kill(self) -> None:
        """End the run now, whatever is lost. Waits at most 2 s."""
        self._asked.set()
        self._source.kill()
        if self._thread.ident is not None:
            self._thread.join(2.0)

    # --- the ladder's thread ---

    def _insist(self) -> None:
        """SIGINT again, SIGTERM, SIGKILL: each only when nothing moves any more.

        0.17 and 0.18 can miss a SIGINT; a second one while bpftrace detaches would kill it and lose its maps. So what
        counts is whether it closes its probes or still prints.
        """
        steps = [self._source.stop, getattr(self._source, "terminate", self._source.kill), self._source.kill]
        seen, quiet_s, asked = self._progress(), 0.0, time.monotonic()
        while steps and not self.wait(_LOOK_S):
            now = self._progress()
            if now != seen and time.monotonic() - asked < _LONGEST_S:
                seen, quiet_s = now, 0.0
            else:
                quiet_s += _LOOK_S
            if quiet_s >= _QUIET_S:
                steps.pop(0)()
                quiet_s = 0.0

    def _progress(self) -> tuple[int, int, int]:
        """What has been heard, what is still attached, and the CPU time of bpftrace: large maps take long."""
        pid = self._source.pid
        self._left_to_detach = max(self._held(pid) - attached.buffers(self._version), 0)
        return self._heard, self._left_to_detach, cpu_ticks(pid)

    # --- the reader's thread ---

    def _follow(self) -> None:
        twice = self._version.startswith(_ESCAPED_TWICE)
        try:
            pump_lines(
                self._source,
                partial(decode, escaped_twice=twice),
                self._message,
                self._stderr_line,
                self._idle,
            )
            code = self._source.wait(5.0)
            if code is None:  # both pipes are closed and it still runs: nothing can be heard of it any more
                self._source.kill()
                code = self._source.wait(5.0)
            self._over(code)
        except Exception as error:  # the boundary of the thread: a defect must show as a state
            self._source.kill()
            self._source.wait(1.0)
            self._ending = Ending(False, f"defect in bpftop: {type(error).__name__}: {error}", "please report it")
            self._state = RunState.FAILED
        finally:
            self._ended_ns = self._ended_ns or steady_unix_ns()
            self._meter.close()

    def _over(self, code: int | None) -> None:
        with self._lock:
            self._log.end_line(steady_unix_ns())
            self._exit_code = code
            lines = [*self._stderr, *(line.text for line in self._log.newest() if not line.own)]
            asked = self._asked.is_set()
            self._ending = ending_of(self._script, lines, code, asked=asked, was_live=self._live_ns is not None)
            self._state = RunState.ENDED if self._ending.good else RunState.FAILED

    def _message(self, message: RunMessage) -> None:
        now = steady_unix_ns()
        with self._lock:
            self._heard += 1
            if isinstance(message, Said):
                self._log.say(message.text, now)
            elif isinstance(message, Printed):
                self._printed(message, now)
            elif isinstance(message, Complaint):
                self._log.complain(message.text, now)
            elif isinstance(message, Lost):
                self._lost += message.events
            elif isinstance(message, Attached):
                self._probes, self._live_ns = message.probes, now
                if self._state is RunState.STARTING:
                    self._state = RunState.LIVE
            else:
                self._rejected += 1
                self._log.complain(message.line, now)

    def _printed(self, printed: Printed, now: int) -> None:
        value = printed.rows.get("") if not printed.keyed else None
        # As in bpftrace's own output: the value behind the words that were printed for it.
        self._log.end_line(now, f"{printed.name}: {value}" if isinstance(value, (int, str)) and self._log.open else "")
        kept = self._maps.take(printed, now, ending=self._asked.is_set())
        self._rejected += not kept

    def _stderr_line(self, line: str) -> None:
        if not harmless(line):
            self._stderr.append(line.rstrip()[:1000])

    def _idle(self) -> bool:
        now = time.monotonic()
        # Up to 0.23 it says that it attaches before it does: nothing is looked at in the first second.
        if self._state is RunState.LIVE and (self.live_s or 0) > _METER_S and now - self._metered >= _METER_S:
            self._metered = now
            self._meter.tick(self._source.pid)
            self._unattached = (self.live_s or 0) > _ATTACHED_S and self._holds_nothing()
        return True

    def _holds_nothing(self) -> bool:
        return attached.nothing(self._held(self._source.pid), self._points, self._version)

    # --- figures ---

    def snapshot(self) -> RunSnapshot:
        """Everything at this moment. Cheap, and safe from any thread."""
        with self._lock:
            return RunSnapshot(
                script=self._script,
                unix_ns=steady_unix_ns(),
                started_unix_ns=self._started_ns,
                live_unix_ns=self._live_ns,
                ended_unix_ns=self._ended_ns,
                state=self._state,
                detail=self._detail(),
                hint=self._ending.hint,
                failed_line=self._ending.line,
                host_fault=self._ending.host,
                exit_code=self._exit_code,
                probes=self._probes,
                unattached=self._unattached,
                version=self._version,
                maps=self._maps.views(over=self._state in (RunState.ENDED, RunState.FAILED)),
                log=self._log.newest(),
                log_head=tuple(self._log.head),
                log_lines=self._log.total,
                log_dropped=self._log.dropped,
                lost=self._lost,
                rejected=self._rejected,
                stderr=tuple(self._stderr),
                overhead=self._meter.overhead,
            )

    def new_lines(self, seen: int) -> tuple[list[LogLine], int, int]:
        """The whole lines of the log after the first ``seen``, how many of them are dropped, how many there are."""
        with self._lock:
            lines, dropped = self._log.since(seen)
            return lines, dropped, self._log.total

    def _detail(self) -> str:
        if self._state is RunState.STARTING:
            return "bpftrace compiles and attaches"
        if self._state is RunState.STOPPING:
            left = self._left_to_detach
            return f"ending: {left} probes to detach" if left else "ending: its last maps are to come"
        return self._ending.sentence

    @property
    def live_s(self) -> float | None:
        """Seconds since bpftrace said that it attaches; ``None``: not yet."""
        return None if self._live_ns is None else (steady_unix_ns() - self._live_ns) / 1e9
