"""What the supervisor starts for the other process: all of it from the command line and the catalog.

It is composed in a child of its own for each request (bpftop.cli.workshop), so that this process stays small.
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from bpftop.errors import UsageError
from bpftop.memory import settle
from bpftop.people import Person
from bpftop.supervision.apart import apart
from bpftop.supervision.drop import supervise_only
from bpftop.target.known import Known
from bpftop.target.sparing import Sparing

if TYPE_CHECKING:
    from bpftop.model import Program, Script, ScriptStatus, Standstill, Target
    from bpftop.standstill.look import Looks
    from bpftop.tracer.supervisor import BpftraceSource


@dataclass(frozen=True, slots=True)
class Opened:
    """What the other process must know of a run."""

    program: Program
    target: Target
    version: str
    said: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    once: tuple[str, ...] = ()
    """To be said once, where it scrolls away."""
    offers: tuple[ScriptStatus, ...] = ()
    """The scripts that can be started besides."""


class Made(NamedTuple):
    """What the supervisor keeps of what the command line asks for."""

    opened: Opened
    source: BpftraceSource
    """Not started."""
    chosen: tuple[Script, ...]
    """The scripts that do not depend on the target."""
    spec: str
    """The word of the target, empty where it stays as it is."""


class Works:
    """``bpftop.supervision.supervisor.Works`` for every verb that traces."""

    def __init__(self, options: argparse.Namespace, person: Person | None) -> None:
        self._options = options
        self._person = person
        self._made: Made | None = None
        self._ran = False
        self._known = Known()
        self._rescan = Sparing(lambda: self._resolve(self._known))
        self._looks: Looks | None = None
        self._seen: tuple[Target | None, Standstill | None] = (None, None)
        self._stack = ExitStack()

    def close(self) -> None:
        """End what was started besides bpftrace."""
        self._stack.close()

    def open(self) -> tuple[object, BpftraceSource | None]:
        """What the command line asks for: Opened and the run, or why the demo cannot be traced. Raises BpftopError."""
        if self._made is not None or self._ran:
            raise UsageError("it is open already")
        try:
            return self._open_run() if self._options.verb == "run" else self._open()
        finally:
            if os.geteuid() == 0:
                supervise_only()
            settle()

    def _open(self) -> tuple[object, BpftraceSource | None]:
        port = 0
        if self._options.verb == "demo":
            why = apart(self._demo_reason)
            if why:
                return why, None
            port = self._demo()

        def made() -> Made:
            from bpftop.cli import workshop

            return workshop.opened(self._options, port)

        self._made = apart(made)
        opened, source = self._made.opened, self._made.source
        self._made = self._made._replace(opened=replace(opened, offers=()))  # told once
        return opened, source

    def _demo_reason(self) -> str:
        from bpftop.cli import workshop

        return workshop.demo_reason(self._options)

    def _demo(self) -> int:
        """The port of the demo's server, started."""
        from bpftop.demo import start_demo

        user = (self._person.uid, self._person.gid) if self._person else None
        return self._stack.enter_context(start_demo(user=user)).port

    def _open_run(self) -> tuple[object, BpftraceSource]:
        def made() -> tuple[object, BpftraceSource]:
            from bpftop.cli import workshop

            return workshop.opened_run(self._options, self._person)

        found = apart(made)
        self._ran = True
        return found

    def start(self, name: str) -> tuple[object, BpftraceSource]:
        """A script of the catalog on the target as it is now. Raises BpftopError."""
        self._opened()

        def made() -> tuple[object, BpftraceSource]:
            from bpftop.cli import workshop

            return workshop.started(self._options, name, self._resolve())

        return apart(made)

    def again(self, key: str) -> BpftraceSource:
        """The main run (empty key) or that of a script once more, for the target as it is now. Raises BpftopError."""
        chosen = self._opened().chosen

        def made() -> BpftraceSource:
            from bpftop.cli import workshop

            return workshop.again(self._options, key, chosen, self._resolve())

        return apart(made)

    def look(self) -> object:
        """The target as it is now, or was a moment ago, and who stands still in it, who waits."""
        if self._looks is None:
            from bpftop.standstill.look import Looks

            self._looks = Looks()
        target = self._rescan()
        found = self._looks(target)
        if target is not self._seen[0] or found is not self._seen[1]:
            self._seen = target, found
        return self._seen

    def _resolve(self, known: Known | None = None) -> Target:
        """The target as it is now; with ``known`` some of it as it was a few seconds ago."""
        from bpftop.target import resolve

        made = self._opened()
        if not made.spec:
            return made.opened.target
        found = resolve(made.spec, known=known)
        return replace(found, name=made.opened.target.name) if self._options.verb == "demo" else found

    def _opened(self) -> Made:
        if self._made is None:
            raise UsageError("nothing is open")
        return self._made
