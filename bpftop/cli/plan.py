"""From the words to what is traced: the target, the scripts, the program. All of it needs the right to look."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bpftop.cli import attach, words
from bpftop.cli.choice import runnable, say_costs, wanted
from bpftop.cli.host import host_of, narrate, prepare
from bpftop.errors import BpftopError, HostError, TargetError, UsageError
from bpftop.preflight import Host, bpftrace_path, missing, suited

if TYPE_CHECKING:
    from bpftop.model import Program, Script, Target
    from bpftop.tracer.supervisor import BpftraceSource

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is traced, how it is found again, and with which scripts."""

    target: Target
    host: Host
    rescan: Callable[[], Target]
    """Resolves the target again."""
    scripts: Callable[[Target], Sequence[Script]]
    """For a target: attach points in a process's own files change with the process."""
    every_event: bool = False
    """No single event is held back."""
    chosen: tuple[Script, ...] = ()
    """The scripts that do not depend on the target."""

    def program(self, target: Target) -> Program:
        """The scripts composed for the target. Raises BpftopError."""
        from bpftop.scripts import compose

        return compose(self.scripts(target), target, self.every_event)

    def source(self, program: Program) -> BpftraceSource:
        """bpftrace on the program, not started."""
        from bpftop.tracer.supervisor import BpftraceSource

        return BpftraceSource(program, bpftrace_path=str(bpftrace_path(self.host)))


def given_target(options: argparse.Namespace) -> str:
    """The target's word; simulation needs none."""
    if options.target is None and attach.asked(options) and not options.simulate:
        return attach.stand_in(options)
    if options.target is None and not options.simulate:
        raise UsageError(words.NO_TARGET, "bpftop --help")
    return "demo" if options.target is None else options.target


def planned(options: argparse.Namespace, say: Say, say_absent: Say, say_once: Say = narrate) -> Plan:
    """The plan for a target; the host is prepared. Raises BpftopError.

    ``say`` gets what stays true, ``say_absent`` what is true until the target runs, ``say_once`` what is said once.
    """
    from bpftop.target import parse, resolve

    spec = given_target(options)
    parse(spec)  # an impossible word is said before anything else
    wanted(options)
    host = host_of(options.bpftrace, *options.words)
    prepare(host, say_once)
    target = attach.runners(spec) if options.target is None else found(spec, say, say_absent)
    chosen = runnable(options, host, say)
    first = [attach.attached(options, target, say)]
    say_costs([*chosen, *first[0]], say_once)

    def scripts(target: Target) -> list[Script]:
        return [*chosen, *(first.pop() if first else attach.attached(options, target))]

    def rescan() -> Target:
        return target if options.target is None else resolve(spec)

    return Plan(target, host, rescan, scripts, getattr(options, "every_event", False), tuple(chosen))


def planned_demo(options: argparse.Namespace, port: int, say: Say = narrate) -> Plan:
    """The plan for the demo's server. The host is prepared."""
    from bpftop.demo import NAME
    from bpftop.target import resolve

    def rescan() -> Target:
        return replace(resolve(f":{port}"), name=NAME)

    host = host_of(options.bpftrace, *options.words)
    scripts = runnable(options, host, say)
    say_costs([each for each in scripts if not each.default], say)
    return Plan(rescan(), host, rescan, lambda _: scripts, chosen=tuple(scripts))


def resumed(options: argparse.Namespace, chosen: Sequence[Script], target: Target) -> Plan:
    """The plan with these scripts for the target as it is now; nothing is checked again."""
    host = host_of(options.bpftrace, *options.words)

    def scripts(target: Target) -> list[Script]:
        return [*chosen, *([] if options.verb == "demo" else attach.attached(options, target))]

    return Plan(target, host, lambda: target, scripts, getattr(options, "every_event", False), tuple(chosen))


def single(name: str, target: Target, host: Host, rescan: Callable[[], Target]) -> Plan:
    """The plan for one script of the catalog by itself. Raises BpftopError."""
    from bpftop.scripts import catalog

    script = catalog().get(name)
    if script is None:
        raise UsageError(f"there is no script {name}", "bpftop scripts")
    why = missing(script, host)
    if why:
        raise HostError(why, "bpftop doctor")
    chosen = suited(script, host)
    return Plan(target, host, rescan, lambda _: [chosen])


def cannot_trace(options: argparse.Namespace, say: Say = narrate) -> str:
    """Why this host cannot trace, with the command to type; empty when it can."""
    host = host_of(options.bpftrace, *options.words)
    try:
        prepare(host, say)
        runnable(options, host, lambda _: None)
    except BpftopError as error:
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return ""


def found(spec: str, say: Say, say_absent: Say) -> Target:
    """The target; one that does not run yet is waited for, with a word about what runs instead. Raises TargetError."""
    from bpftop.model import TargetKind
    from bpftop.target import elsewhere, explain, hidden, resolve

    target = resolve(spec)
    if target.processes:
        for sentence in filter(None, (hidden(target), elsewhere(target))):
            say(sentence)
        return target
    why = explain(target)
    if target.kind is TargetKind.PID or (target.kind is TargetKind.PATH and not os.path.exists(spec)):
        raise TargetError(why, "ps -e")
    say_absent(why)
    return target
