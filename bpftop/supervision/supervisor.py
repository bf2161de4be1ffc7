"""The process with root's rights: starts and ends bpftrace, answers requests, puts the terminal back. One thread."""

from __future__ import annotations

import array
import contextlib
import os
import pickle
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from bpftop import procfs
from bpftop.errors import BpftopError
from bpftop.supervision.allowance import Allowance
from bpftop.supervision.requests import LONGEST, SHORT, Refused, Request, read
from bpftop.supervision.runs import Answer, Runs
from bpftop.terminal_modes import TerminalModes
from bpftop.tracer.programs import enable_statistics
from bpftop.tracer.supervisor import BpftraceSource

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
HANDLED = (*FORWARDED, signal.SIGCHLD)
_REQUESTS = (200.0, 400.0)
"""A second, and at once: reading a run's costs takes about a millisecond."""
_LEAVE_S = 10.0
"""The other process ends its runs within 3 s and may still write a file."""
_EXIT_S = 2.0
"""From the end of the connection to the end of the process, when it uses no CPU in between."""
_SLOW_EXIT_S = 60.0
"""The same however busy it is: where many processes want a CPU, Python takes seconds to tidy up."""
_AGAIN_S, _ENDING_S, _CALM_S = 0.02, 1.0, 30.0
"""How long it waits for something to happen: too many requests came; the end is near; neither."""
_STARTING = ("open", "start", "again", "relax")


class Works(Protocol):
    """What can be started: composed here, from the command line and the catalog, never from a request."""

    def open(self) -> tuple[object, BpftraceSource | None]:
        """What the command line asks for: facts for the other process, and the run, not started."""

    def start(self, name: str) -> tuple[object, BpftraceSource | None]:
        """A script of the catalog, by name, on the target of the command line."""

    def again(self, key: str) -> BpftraceSource:
        """The run ``open`` (empty key) or ``start`` (name) once more, for the target as it is now. Not started."""

    def look(self) -> object:
        """The target as it is now, who stands still in it, and who waits; the same object while nothing changes."""


class Supervisor:
    """Serves one process until it ends; then nothing of it is left."""

    def __init__(
        self,
        works: Works,
        connection: socket.socket,
        other: int,
        *,
        modes: TerminalModes,
        drawn: bool,
        say: Callable[[str], None],
    ) -> None:
        """``connection`` leads to process ``other``; ``drawn``: it draws on the terminal that ``modes`` remember."""
        self._works = works
        self._connection = connection
        self._other = other
        self._modes = modes
        self._drawn = drawn
        self._say = say
        self._runs = Runs()
        self._requests = Allowance(*_REQUESTS)
        self._listens = False
        self._deadline: float | None = None
        self._closed: float | None = None
        """When the other process was last seen to do something after it had closed its end; None before that."""
        self._used = (0, 0.0)
        """The CPU time (clock ticks) that it had used then, and the moment when it closed."""
        self._seen: tuple[object, bytes] = (None, b"")
        """At the last look, and as a pickle."""

    def run(self) -> int:
        """Serve until the other process has ended; the exit code for the shell. Signals are blocked on entry."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in HANDLED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        try:
            return self._ended(self._serve(woken))
        finally:
            self._runs.end()

    def _serve(self, woken: int) -> int:
        """The wait status of the other process."""
        poll = select.poll()
        poll.register(woken, select.POLLIN)
        while True:
            pause_s = self._listen(poll)
            for descriptor, _ in poll.poll(pause_s * 1000):
                if descriptor == woken:
                    for number in os.read(woken, 64):
                        self._signalled(number)
                else:
                    self._hear()
            self._insist()
            status = self._status()
            if status is not None:
                return status

    def _listen(self, poll: select.poll) -> float:
        """Watch the connection while requests are allowed; how many seconds to wait at most."""
        wanted = self._closed is None and self._requests.left() >= 1
        if wanted and not self._listens:
            poll.register(self._connection, select.POLLIN)
        elif self._listens and not wanted:
            poll.unregister(self._connection)
        self._listens = wanted
        if not wanted and self._closed is None:
            return _AGAIN_S
        return _CALM_S if self._deadline is None and self._closed is None else _ENDING_S

    # --- the other process ---

    def _signalled(self, number: int) -> None:
        """Hand a signal on; what asks to end must not take for ever."""
        if number in FORWARDED:
            self._signal_other(number)
            if number == signal.SIGHUP and self._drawn and self._modes.gone():
                self._runs.kill()  # nobody sees the last counts any more, and taking the probes away takes its time
            if number != signal.SIGINT:  # ctrl+c may mean no more than "print what you have"
                self._deadline = self._deadline or time.monotonic() + _LEAVE_S

    def _insist(self) -> None:
        """End the other process when it does not end by itself, though it was asked to or cannot do anything more."""
        now = time.monotonic()
        if self._closed is not None and self._deadline is None:
            ticks, begun = self._used
            if (used := procfs.cpu_ticks(self._other)) != ticks and now - begun < _SLOW_EXIT_S:
                self._closed, self._used = now, (used, begun)
            elif now - self._closed > _EXIT_S:
                self._signalled(signal.SIGTERM)
        if self._deadline is not None and now > self._deadline:
            self._signal_other(signal.SIGKILL)

    def _signal_other(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self._other, number)

    def _status(self) -> int | None:
        """The wait status of the other process when it has ended. When it stops (ctrl+z), so do we."""
        try:
            pid, status = os.waitpid(self._other, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return 0
        if pid and os.WIFSTOPPED(status):
            os.kill(os.getpid(), signal.SIGSTOP)
            self._signal_other(signal.SIGCONT)
            return None
        return status if pid else None

    def _ended(self, status: int) -> int:
        """End what it has left, put the terminal back, and say what happened. The exit code."""
        self._runs.end()
        if not os.WIFSIGNALED(status):
            return os.waitstatus_to_exitcode(status)
        number = os.WTERMSIG(status)
        self._modes.restore_ours(self._drawn)
        what = "the screen" if self._drawn else "bpftop"
        self._say(f"{what} was ended by {signal.Signals(number).name}; the probes are stopped")
        return 128 + number

    # --- requests ---

    def _hear(self) -> None:
        """One request. What is none is passed over: there is nobody to tell."""
        try:
            packet = self._connection.recv(LONGEST + 1)
        except (InterruptedError, BlockingIOError):
            return
        except OSError:
            packet = b""
        if not packet:  # it has closed its end: there is nothing left to do for it
            self._closed = now = time.monotonic()
            self._used = procfs.cpu_ticks(self._other), now
            return
        self._requests.take()
        try:
            request = read(packet)
        except Refused:
            return
        try:
            value, descriptors = self._answer(request)
            self._send(request.number, self._packed(request.word, value), descriptors)
        except BpftopError as error:
            self._send(request.number, pickle.dumps((False, (type(error).__name__, error.message, error.hint))))
        except Exception as error:  # a defect must not end the one process that can put things right
            said = f"the supervisor failed: {type(error).__name__}: {error}"
            self._send(request.number, pickle.dumps((False, ("HostError", said, "please report it"))))

    def _answer(self, request: Request) -> Answer:
        if request.word in _STARTING:
            self._runs.check_start()
        match request.word:
            case "open":
                return self._runs.begin("", *self._works.open())
            case "start":
                return self._runs.begin(request.name, *self._works.start(request.name))
            case "again":
                key = self._runs.key(request.run)
                return self._runs.begin(key, None, self._works.again(key))
            case "relax":
                return self._runs.relaxed(request.run)
            case "statistics":
                descriptor = enable_statistics()
                return descriptor >= 0, (descriptor,) if descriptor >= 0 else ()
            case "look":
                return self._works.look(), ()
            case word:
                return self._runs.tell(request.run, word), ()

    def _packed(self, word: str, value: object) -> bytes:
        """A pickle; of what was seen at the last look, too, the one of then."""
        if word != "look":
            return pickle.dumps((True, value))
        if value is not self._seen[0]:
            self._seen = value, pickle.dumps((True, value))
        return self._seen[1]

    def _send(self, number: int, packed: bytes, descriptors: Sequence[int] = ()) -> None:
        """One answer; the descriptors are the other process's from now on. Who does not read gets none."""
        if len(packed) <= SHORT and not descriptors:
            with contextlib.suppress(OSError):
                self._connection.send(b"%d %b" % (number, packed), socket.MSG_DONTWAIT)
            return
        memory = _in_memory(packed)
        try:
            rights = array.array("i", (memory, *descriptors)).tobytes()
            with contextlib.suppress(OSError):
                self._connection.sendmsg(
                    [b"%d " % number], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)], socket.MSG_DONTWAIT
                )
        finally:
            os.close(memory)
            self._runs.let_go(descriptors)


def _in_memory(content: bytes) -> int:
    """A descriptor of an anonymous file with this content, to be read from its beginning."""
    memory = os.memfd_create("bpftop-answer", os.MFD_CLOEXEC)
    with open(memory, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(memory, 0, os.SEEK_SET)
    return memory
