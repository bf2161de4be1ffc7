"""Looks at the target from outside: processes that the kernel's own following has missed, and who stands still."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from bpftop.errors import BpftopError
from bpftop.model import Target

_RESCAN_S = 2.0
_LOOK_S = 1.0
_Missed = tuple[frozenset[int], frozenset[int]]
"""Process ids and ports."""


class Rescan:
    """A thread that resolves the target again every two seconds, and says when a fresh start would see more."""

    def __init__(
        self,
        rescan: Callable[[], Target],
        followed: Callable[[], Target | None],
        missed: Callable[[Target], None],
        stopping: threading.Event,
    ) -> None:
        """``followed``: whom the kernel follows now, None while nothing is traced; ``missed`` gets what was found."""
        self._rescan, self._followed, self._say, self._stopping = rescan, followed, missed, stopping
        self._missed: _Missed = (frozenset(), frozenset())
        self._tried: set[_Missed] = set()
        self._thread = threading.Thread(target=self._scan, name="bpftop-rescan", daemon=True)

    def start(self) -> None:
        """Begin; it ends with ``stopping``."""
        self._thread.start()

    def _scan(self) -> None:
        while not self._stopping.wait(_RESCAN_S):
            with contextlib.suppress(OSError, BpftopError):
                if self._followed() is not None:
                    self._compare(self._rescan())

    def _compare(self, found: Target) -> None:
        """Say it when the same processes or ports have been missed twice: the kernel does not follow them."""
        known = self._followed()
        if known is None:
            return
        missed = frozenset(found.pids) - frozenset(known.pids), frozenset(found.ports) - frozenset(known.ports)
        if any(missed) and missed == self._missed and missed not in self._tried and not self._stopping.is_set():
            self._tried.add(missed)  # once is enough: what a fresh start does not follow either stays unfollowed
            self._say(found)
        self._missed = missed


class Looker:
    """A thread that looks every second, until ``stopping``."""

    def __init__(self, look: Callable[[], object], stopping: threading.Event) -> None:
        self._look, self._stopping = look, stopping
        self._thread = threading.Thread(target=self._look_on, name="bpftop-standstill", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _look_on(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            with contextlib.suppress(OSError, BpftopError):
                self._look()
