"""The other end of the supervisor's socket: requests as calls, and a bpftrace run that is ended by asking."""

from __future__ import annotations

import array
import contextlib
import os
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from bpftop import errors
from bpftop.errors import BpftopError, HostError
from bpftop.model import Standstill, Target
from bpftop.supervision.requests import SHORT, written

_ANSWER_S = 60.0
"""Finding the target among thousands of processes takes long, on a busy host longer."""
_COSTS_S = 2.0
"""For what the reading of bpftrace waits for; who did not answer in that time gets less the next time."""
_COSTS_AGAIN_S = 0.05
_POLL_S = 0.01


class Link:
    """One request at a time, from any thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._number = 0
        self._pids: dict[int, int] = {}
        self._early = False
        self._costs_s = _COSTS_S
        self._seen: tuple[bytes, Any] = (b"", None)
        """The last look, as it came and as a value."""
        self._supervisor = os.getppid()
        connection.settimeout(_ANSWER_S)

    def ask(self, word: str, argument: str | int = "", patience_s: float = _ANSWER_S) -> tuple[Any, list[int]]:
        """The answer and its descriptors. Raises BpftopError: the supervisor's, or that it is gone or silent."""
        if not self._lock.acquire(timeout=patience_s):
            raise _gone(TimeoutError("others wait for an answer, too"))
        try:
            self._connection.settimeout(patience_s)
            self._wake()
            self._send(word, argument)
            return self._received(word)
        finally:
            self._connection.settimeout(_ANSWER_S)
            self._lock.release()

    def _wake(self) -> None:
        """It stops when we are stopped, as a shell expects, and only a shell would let it go on: we go on, so does it.

        kill(2): this signal may be sent to any process of the same session.
        """
        with contextlib.suppress(OSError):
            os.kill(self._supervisor, signal.SIGCONT)

    def _send(self, word: str, argument: str | int = "") -> None:
        self._number += 1
        try:
            self._connection.send(written(self._number, word, argument))
        except OSError as error:
            raise _gone(error) from error

    def _received(self, word: str = "") -> tuple[Any, list[int]]:
        """The value of an answer and its descriptors; of a look that shows what the one before did, the very same."""
        try:
            packed, descriptors = self._answer(b"%d" % self._number)
        except OSError as error:
            raise _gone(error) from error
        if not packed:
            with open(descriptors.pop(0), "rb") as file:
                packed = file.read()
        if word == "look" and packed == self._seen[0]:
            return self._seen[1], descriptors
        fine, value = pickle.loads(packed)
        if not fine:
            kind, message, hint = value
            raise getattr(errors, kind, BpftopError)(message, hint)
        if word == "look":
            self._seen = packed, value
        return value, descriptors

    def _answer(self, number: bytes) -> tuple[bytes, list[int]]:
        """The pickle of the answer with this number, empty when it is in the first of the descriptors; answers that
        came too late for their question are let go."""
        space = socket.CMSG_SPACE(4 * 8)
        while True:
            said, rights, _, _ = self._connection.recvmsg(SHORT + 32, space, socket.MSG_CMSG_CLOEXEC)
            descriptors = array.array("i")
            for _, kind, data in rights:
                if kind == socket.SCM_RIGHTS:
                    descriptors.frombytes(data)
            which, _, packed = said.partition(b" ")
            if which == number and (packed or descriptors):
                return packed, list(descriptors)
            for each in descriptors:
                os.close(each)
            if not said:
                raise ConnectionResetError("it has ended")

    def begin(self, word: str, argument: str | int = "") -> tuple[Any, SupervisedSource | None]:
        """Facts about a run, and the run, started. Raises BpftopError."""
        return self._begun(self.ask(word, argument))

    def open_early(self) -> None:
        """Ask for what the command line wants; ``open_later`` is about this request then."""
        self._send("open")
        self._early = True

    def open_later(self) -> Callable[[], tuple[Any, SupervisedSource | None]]:
        """The same in two steps: asked now, answered when the result is called. Nothing is asked in between."""
        if not self._early:
            self._send("open")
        self._early = False
        return lambda: self._begun(self._received())

    def _begun(self, answer: tuple[Any, list[int]]) -> tuple[Any, SupervisedSource | None]:
        (facts, run, pid, rights), pipes = answer
        if run < 0:
            return facts, None
        self._pids[pid] = run
        return facts, SupervisedSource(self, run, pid, pipes, rights)

    def standstill(self, _: Target) -> Standstill:
        """Who stands still in the target, and who waits. Raises BpftopError."""
        found: Standstill = self.ask("look")[0][1]
        return found

    def target(self) -> Target:
        """The target as the last look found it; asks only when there was none. Raises BpftopError."""
        found: Target = (self._seen[1] or self.ask("look")[0])[0]
        return found

    def costs(self, pid: int) -> tuple[int, int, int] | None:
        """As ``bpftop.tracer.programs.ProgramCosts``; None when the supervisor does not answer soon."""
        try:
            value, _ = self.ask("costs", self._pids.get(pid, 0), self._costs_s)
        except BpftopError:
            self._costs_s = _COSTS_AGAIN_S
            return None
        self._costs_s = _COSTS_S
        run_ns, runs, missed = value
        return run_ns, runs, missed

    def statistics(self) -> int:
        """As ``bpftop.tracer.programs.enable_statistics``."""
        try:
            _, descriptors = self.ask("statistics", "", self._costs_s)
        except BpftopError:
            return -1
        return descriptors[0] if descriptors else -1

    def held(self, pid: int | None) -> int:
        """As ``bpftop.anyscript.attached.held``."""
        try:
            return int(self.ask("held", self._pids.get(pid or 0, 0))[0])
        except BpftopError:
            return -1


def _gone(error: OSError) -> HostError:
    return HostError(f"the process with root's rights does not answer: {error}", "please report it")


class SupervisedSource:
    """A run of bpftrace in the supervisor's hands (bpftop.tracer.source.Source)."""

    label = "bpftrace"

    def __init__(
        self, link: Link, run: int, pid: int | None = None, pipes: list[int] | None = None, rights: str = ""
    ) -> None:
        """A run that is going on, or with ``pid`` None the same program anew, begun by ``start``."""
        self._link = link
        self._run = run
        self._code: int | None = None
        self.pid = pid
        self.rights = rights
        self.stdout, self.stderr = pipes or (-1, -1)

    def anew(self) -> SupervisedSource:
        """The same program for the target as it will be when it starts."""
        return SupervisedSource(self._link, self._run)

    def relaxed(self) -> SupervisedSource | None:
        """The same run with all of the supervisor's capabilities, started; ``None`` when that is of no use."""
        with contextlib.suppress(BpftopError):
            return self._link.begin("relax", self._run)[1]
        return None

    def start(self) -> None:
        """Begin. Raises BpftopError."""
        if self.pid is None:
            self._take(self._link.begin("again", self._run)[1])

    def _take(self, started: SupervisedSource | None) -> None:
        if started is not None:
            self._run, self.pid, self.stdout, self.stderr = started._run, started.pid, started.stdout, started.stderr
            self.rights = started.rights

    def stop(self) -> None:
        """SIGINT."""
        self._ask("interrupt")

    def terminate(self) -> None:
        """SIGTERM."""
        self._ask("terminate")

    def kill(self) -> None:
        """SIGKILL."""
        self._ask("kill")

    def wait(self, timeout_s: float) -> int | None:
        """The exit code as of BpftraceSource, or ``None`` after ``timeout_s``. Closes the pipes."""
        end = time.monotonic() + timeout_s
        while self._code is None and self.pid is not None:
            try:
                self._code = self._link.ask("ended", self._run)[0]
            except BpftopError:
                self._code = -9  # the supervisor is gone, and its children with it
            if self._code is None:
                if time.monotonic() >= end:
                    return None
                time.sleep(_POLL_S)
        for descriptor in {self.stdout, self.stderr} - {-1}:
            os.close(descriptor)
        self.stdout = self.stderr = -1
        return self._code

    def _ask(self, step: str) -> None:
        if self.pid is not None and self._code is None:
            with contextlib.suppress(BpftopError):
                self._link.ask(step, self._run)
