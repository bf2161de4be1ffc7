"""Does a program compile, attach and report here? It is run until its first tick, then ended; nothing is kept."""

from __future__ import annotations

import time
from collections.abc import Callable

from bpftop.model import Attached, Message, Rejected, Text, Tick
from bpftop.tracer.apart import Trial, apart
from bpftop.tracer.failures import explain
from bpftop.tracer.reader import pump
from bpftop.tracer.source import Source
from bpftop.tracer.supervisor import harmless

LIMIT_S = 20.0
"""For compiling, attaching and the first tick, which comes up to a second later; on a busy small host 5 s were seen."""
__all__ = ["LIMIT_S", "Trial", "attach"]
_LADDER_S = (("stop", 5.0), ("terminate", 2.0), ("kill", 5.0))


def attach(source: Source, limit_s: float = LIMIT_S, leave_rights: Callable[[], None] | None = None) -> Trial:
    """Run the source until it ticks, ends or has had ``limit_s`` seconds; then end it within 12 s. Raises HostError.

    With ``leave_rights`` another process, which calls it first, reads what bpftrace writes; this one must have a single
    thread then.
    """
    source.start()
    try:
        if leave_rights is None:
            return _Listening(source, limit_s).trial(lambda: source.wait(1.0))
        return apart(lambda code: _Listening(source, limit_s).trial(code), lambda: source.wait(1.0), leave_rights)
    finally:
        _end(source)


class _Listening:
    """What a run says until its first tick."""

    def __init__(self, source: Source, limit_s: float) -> None:
        self._source = source
        self._limit_s = limit_s
        self._probes = 0
        self._ticked = False
        self._words: list[str] = []

    def trial(self, exit_code: Callable[[], int | None]) -> Trial:
        """Listen; how it went. ``exit_code`` is asked when the run has ended by itself."""
        began = time.monotonic()
        limit_s = self._limit_s
        pump(
            self._source, self._message, self._complain,
            lambda: not self._ticked and time.monotonic() - began < limit_s,
        )  # fmt: skip
        seconds = time.monotonic() - began
        if self._ticked:
            return Trial(True, self._probes, seconds, self._words[0] if self._words else "")
        if seconds >= limit_s:
            compiled = f"compiled and attached {self._probes} probes, but reported nothing"
            stage = compiled if self._probes else "was still compiling"
            return Trial(False, self._probes, seconds, f"bpftrace {stage} after {limit_s:g} s", "uptime")
        return Trial(False, 0, seconds, *explain(self._words, exit_code()))

    def _message(self, one: Message | Rejected) -> None:
        if isinstance(one, Attached):
            self._probes = one.probes
        elif isinstance(one, Tick):
            self._ticked = True
        elif isinstance(one, Text | Rejected):
            self._complain(one.line)

    def _complain(self, line: str) -> None:
        if not harmless(line) and len(self._words) < 50:
            self._words.append(line[:400])


def _end(source: Source) -> None:
    """SIGINT, SIGTERM, SIGKILL, each with its time to work."""
    for step, patience_s in _LADDER_S:
        getattr(source, step, source.kill)()
        if source.wait(patience_s) is not None:
            return
