"""What the supervisor starts for the other process: all of it from the command line and the catalog."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpftop.cli.growing import offers
from bpftop.cli.host import host_of, prepare
from bpftop.cli.plan import Plan, cannot_trace, planned, planned_demo, single
from bpftop.errors import UsageError
from bpftop.people import Person
from bpftop.preflight import bpftrace_path, bpftrace_version
from bpftop.supervision.drop import supervise_only
from bpftop.tracing import Sparing

if TYPE_CHECKING:
    from bpftop.anyscript.model import UserScript
    from bpftop.model import Program, ScriptStatus, Target
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


class Works:
    """``bpftop.supervision.supervisor.Works`` for every verb that traces."""

    def __init__(self, options: argparse.Namespace, person: Person | None) -> None:
        self._options = options
        self._person = person
        self._plan: Plan | None = None
        self._rescan: Sparing | None = None
        self._script: UserScript | None = None
        self._looks: Looks | None = None
        self._stack = ExitStack()

    def close(self) -> None:
        """End what was started besides bpftrace."""
        self._stack.close()

    def open(self) -> tuple[object, BpftraceSource | None]:
        """What the command line asks for: Opened and the run, or why the demo cannot be traced. Raises BpftopError."""
        if self._plan is not None or self._script is not None:
            raise UsageError("it is open already")
        try:
            return self._open_run() if self._options.verb == "run" else self._open()
        finally:
            if os.geteuid() == 0:
                supervise_only()

    def _open(self) -> tuple[object, BpftraceSource | None]:
        said: list[str] = []
        absent: list[str] = []
        once: list[str] = []
        if self._options.verb == "demo":
            why = cannot_trace(self._options, once.append)
            if why:
                return why, None
            plan = self._demo(once.append)
        else:
            plan = planned(self._options, said.append, absent.append, once.append)
        self._plan, self._rescan = plan, Sparing(plan.rescan)
        program = plan.program(plan.target)
        version = bpftrace_version(bpftrace_path(plan.host))
        running = [script.name for script in program.scripts]
        offered = offers(running, plan.host)
        opened = Opened(program, plan.target, version, tuple(said), tuple(absent), tuple(once), offered)
        return opened, plan.source(program)

    def _demo(self, say: Callable[[str], None]) -> Plan:
        from bpftop.demo import start_demo

        user = (self._person.uid, self._person.gid) if self._person else None
        return planned_demo(self._options, self._stack.enter_context(start_demo(user=user)).port, say)

    def _open_run(self) -> tuple[object, BpftraceSource]:
        from bpftop.anyscript.run import source_for
        from bpftop.cli.run import user_script

        self._script = user_script(self._options, self._person)
        host = host_of(self._options.bpftrace, *self._options.words)
        prepare(host)
        path = bpftrace_path(host)
        return (self._script, bpftrace_version(path)), source_for(self._script, str(path))

    def start(self, name: str) -> tuple[object, BpftraceSource]:
        """A script of the catalog on the target as it is now. Raises BpftopError."""
        plan = self._single(name)
        target = plan.rescan()
        program = plan.program(target)
        return Opened(program, target, bpftrace_version(bpftrace_path(plan.host))), plan.source(program)

    def again(self, key: str) -> BpftraceSource:
        """The main run (empty key) or that of a script once more, for the target as it is now. Raises BpftopError."""
        plan = self._single(key) if key else self._opened()
        return plan.source(plan.program(plan.rescan()))

    def rescan(self) -> object:
        """The target as it is now, or was a moment ago."""
        self._opened()
        assert self._rescan is not None
        return self._rescan()

    def standstill(self) -> object:
        """Who stands still in the target, and who waits."""
        if self._looks is None:
            from bpftop.standstill.look import Looks

            self._looks = Looks()
        self._opened()
        assert self._rescan is not None
        return self._looks(self._rescan())

    def _opened(self) -> Plan:
        if self._plan is None:
            raise UsageError("nothing is open")
        return self._plan

    def _single(self, name: str) -> Plan:
        """The plan of one script by itself."""
        plan = self._opened()
        return single(name, plan.target, plan.host, plan.rescan)
