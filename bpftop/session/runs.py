"""The thread that reads bpftrace: one run after the other, as long as another makes sense."""

from __future__ import annotations

from bpftop.clock import boot_ns
from bpftop.errors import BpftopError
from bpftop.model import State
from bpftop.session.reading import LADDER_S, Reading
from bpftop.stats.tick import TickData
from bpftop.tracer.assemble import Assembler
from bpftop.tracer.failures import explain, lacks_rights
from bpftop.tracer.reader import pump

_RESTARTS = 3


class Runs(Reading):
    """Runs that follow each other; ``_run`` is the thread."""

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:  # the boundary of the thread: a defect must show as a state, not on the terminal
            self._condition.hint = "please report it"
            self._condition.detail = f"reading bpftrace failed: {type(error).__name__}: {error}"
            self._condition.state = State.FAILED
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
            pump(self._source, self._message, self._condition.hear, self._idle, self._rest)
            self._due_ns = 0
            code = self._source.wait(LADDER_S)
            if code is None:  # it closed its pipes and lives on
                self._source.kill()
                code = self._source.wait(LADDER_S)
            with self._lock:
                self._condition.exit_code = code
                self._end_of_run()
            if self._stopping.is_set():
                self._condition.state = State.STOPPED
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
        now = self._condition
        if found is not None:
            self._target = found
        else:
            cause, hint = explain(now.stderr, now.exit_code)
            if self._store.ticks == 0 and lacks_rights(now.stderr) and self._relaxed(cause):
                return True
            told = now.exit_code is None or now.exit_code < 0 or "exit code" in cause  # of a signal the cause tells
            now.detail = cause if told else f"{cause} (exit code {now.exit_code})"
            if self._store.ticks == 0 or now.restarts >= _RESTARTS or self._renew is None:
                now.state = State.FAILED
                now.hint = hint
                return False
            now.state = State.ATTACHING
            if self._stopping.wait(2**now.restarts):
                now.state = State.STOPPED
                with self._lock:
                    self._fresh = True
                    self._ingest(TickData(boot_ns(), final=True))  # nothing was seen since the last one ended
                return False
            now.restarts += 1
        assert self._renew is not None
        try:
            self._source = self._renew(self._target)
            self._source.start()
            if self._stopping.is_set():
                self._source.stop()
        except BpftopError as error:
            now.state, now.detail, now.hint = State.FAILED, error.message, error.hint
            return False
        with self._lock:
            now.runs += 1
            self._started_ns = self._heard_ns = boot_ns()
            self._fresh = True
            self._assembler = Assembler()
            now.state = State.ATTACHING
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
        self._condition.stderr.clear()
        self._condition.stderr.append(f"with few capabilities it failed ({cause}); now it has all of bpftop's")
        with self._lock:
            self._started_ns = self._heard_ns = boot_ns()
            self._assembler = Assembler()
        return True
