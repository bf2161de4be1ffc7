"""Looks at the target from outside: processes that the kernel's own following has missed, and who stands still."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from bpftop.clock import boot_ns
from bpftop.errors import BpftopError
from bpftop.model import Target

_LOOK_S, _CALM_S = 1.0, 2.0
_Missed = tuple[frozenset[int], frozenset[int]]
"""Process ids and ports."""
Followed = tuple[Target, int]
"""Whom the kernel follows, and when it said so (boot time, ns)."""


class Rescan:
    """Resolves the target again whenever it is called, and says when a fresh start would see more."""

    def __init__(
        self,
        rescan: Callable[[], Target],
        followed: Callable[[], Followed | None],
        missed: Callable[[Target], None],
        stopping: threading.Event,
    ) -> None:
        """``followed``: None while nothing is traced; ``missed`` gets what was found."""
        self._rescan, self._followed, self._say, self._stopping = rescan, followed, missed, stopping
        self._missed: _Missed = (frozenset(), frozenset())
        self._since_ns = 0
        """When they were seen first."""
        self._tried: set[_Missed] = set()

    def __call__(self) -> None:
        """Resolve it, unless nothing is traced. Raises OSError or BpftopError."""
        if self._followed() is not None:
            self._compare(self._rescan())

    def _compare(self, found: Target) -> None:
        """Say it when the same processes or ports are still missed in what the kernel has said since.

        On a busy host its report can be seconds late; until it comes, a new process is not known to be missed. What was
        found can be seconds old, too: a process that has ended meanwhile is not missed.
        """
        followed = self._followed()
        if followed is None:
            return
        known, said_ns = followed
        pids = frozenset(filter(_alive, set(found.pids) - set(known.pids)))
        missed = pids, frozenset(found.ports) - frozenset(known.ports)
        if missed != self._missed:
            self._missed, self._since_ns = missed, boot_ns()
        elif any(missed) and said_ns > self._since_ns and missed not in self._tried and not self._stopping.is_set():
            self._tried.add(missed)  # once is enough: what a fresh start does not follow either stays unfollowed
            self._say(found)


def _alive(pid: int) -> bool:
    """Whether there is such a process, whoever's it is (kill(2)); /proc may hide those of others."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class Outside:
    """A thread that looks every second, every two while all goes on, until ``stopping``."""

    def __init__(
        self, look: Callable[[], bool] | None, rescan: Callable[[], None] | None, stopping: threading.Event
    ) -> None:
        """``look`` says whether all goes on; after it the target is resolved again."""
        self._look, self._rescan, self._stopping = look, rescan, stopping
        self._thread = threading.Thread(target=self._look_on, name="bpftop-outside", daemon=True)

    def start(self) -> None:
        """Begin, where there is something to do."""
        if self._look is not None or self._rescan is not None:
            self._thread.start()

    def _look_on(self) -> None:
        pause = _LOOK_S
        while not self._stopping.wait(pause):
            with contextlib.suppress(OSError, BpftopError):
                pause = _CALM_S if self._look is None or self._look() else _LOOK_S
            with contextlib.suppress(OSError, BpftopError):
                if self._rescan is not None:
                    self._rescan()
