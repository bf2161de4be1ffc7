"""What people are told of a bpftrace: its state, the reason, what it said itself."""

from __future__ import annotations

from collections import deque

from bpftop.model import State, TracerStatus
from bpftop.tracer.source import Source
from bpftop.tracer.supervisor import harmless


class Condition:
    """Written by the thread that reads bpftrace."""

    def __init__(self) -> None:
        self.state = State.ATTACHING
        self.detail = self.hint = ""
        self.stderr: deque[str] = deque(maxlen=20)
        self.exit_code: int | None = None
        self.restarts = 0
        self.runs = 1
        self.probes = 0
        self.lost_reported = 0

    def hear(self, line: str) -> None:
        """A line that it wrote, but for those that mean nothing."""
        if not harmless(line):
            self.stderr.append(line[:400])

    def tracer(self, source: Source, rights: str, told: str) -> TracerStatus:
        """For people. ``told``: what is said of the budget."""
        detail = self.detail
        if self.state is State.ATTACHING and not detail:
            detail = f"attaching {self.probes} probes" if self.probes else "starting bpftrace"
        elif self.state is State.LIVE and self.lost_reported:
            detail = f"bpftrace reported {self.lost_reported} lost messages"
        return TracerStatus(
            self.state,
            detail,
            self.hint,
            tuple(self.stderr),
            self.exit_code,
            self.restarts,
            self.runs,
            self.lost_reported,
            source.label,
            " · ".join(filter(None, (rights, getattr(source, "rights", "")))),
            told,
        )
