"""The one shape of everything that can be watched: live, simulated, replayed."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """Something that yields the bytes of a bpftrace run (``bpftrace -f json``) on two file descriptors."""

    label: str
    """``bpftrace``, ``simulation`` or ``replay``."""
    stdout: int
    """Read end, valid after ``start``; end of file means that the run is over."""
    stderr: int
    """Read end, valid after ``start``."""
    pid: int | None
    """The bpftrace process, when there is one."""

    def start(self) -> None:
        """Begin; returns at once. Raises HostError when it cannot."""

    def stop(self) -> None:
        """Ask the run to end; returns at once. The last counts still arrive before end of file."""

    def wait(self, timeout_s: float) -> int | None:
        """The exit code, or ``None`` when the run is still going after ``timeout_s``. Reaps the process."""

    def kill(self) -> None:
        """End the run now, whatever is lost."""
