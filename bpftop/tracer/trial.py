"""Does a program compile, attach and report here? It is run until its first tick, then ended; nothing is kept."""

from __future__ import annotations

import time
from dataclasses import dataclass

from bpftop.model import Attached, Message, Rejected, Text, Tick
from bpftop.tracer.failures import explain
from bpftop.tracer.reader import pump
from bpftop.tracer.source import Source
from bpftop.tracer.supervisor import harmless

LIMIT_S = 20.0
"""For compiling, attaching and the first tick, which comes up to a second later; on a busy small host 5 s were seen."""
_LADDER_S = (("stop", 5.0), ("terminate", 2.0), ("kill", 5.0))


@dataclass(frozen=True, slots=True)
class Trial:
    """How one run went."""

    attached: bool
    """It reported from the kernel."""
    probes: int
    """As bpftrace says; 0 when it did not come that far."""
    seconds: float
    """From the start to the first tick, or to the end."""
    problem: str = ""
    """One sentence: why it did not attach, or what it complained about all the same."""
    hint: str = ""
    """The next command to type."""


def attach(source: Source, limit_s: float = LIMIT_S) -> Trial:
    """Run the source until it ticks, ends or has had ``limit_s`` seconds; then end it within 12 s. Raises HostError."""
    probes, ticked, words = 0, False, list[str]()

    def message(one: Message | Rejected) -> None:
        nonlocal probes, ticked
        if isinstance(one, Attached):
            probes = one.probes
        elif isinstance(one, Tick):
            ticked = True
        elif isinstance(one, Text | Rejected):
            complain(one.line)

    def complain(line: str) -> None:
        if not harmless(line) and len(words) < 50:
            words.append(line[:400])

    began = time.monotonic()
    source.start()
    try:
        pump(source, message, complain, lambda: not ticked and time.monotonic() - began < limit_s)
        seconds = time.monotonic() - began
        late = not ticked and seconds >= limit_s
        code = None if ticked or late else source.wait(1.0)
    finally:
        _end(source)
    if ticked:
        return Trial(True, probes, seconds, words[0] if words else "")
    if late:
        stage = f"compiled and attached {probes} probes, but reported nothing" if probes else "was still compiling"
        return Trial(False, probes, seconds, f"bpftrace {stage} after {limit_s:g} s", "uptime")
    return Trial(False, 0, seconds, *explain(words, code))


def _end(source: Source) -> None:
    """SIGINT, SIGTERM, SIGKILL, each with its time to work."""
    for step, patience_s in _LADDER_S:
        getattr(source, step, source.kill)()
        if source.wait(patience_s) is not None:
            return
