"""What the supervisor has made in a child that ends with it (bpftop.supervision.apart): all that takes much memory."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bpftop.cli.growing import offers
from bpftop.cli.host import host_of, prepare
from bpftop.cli.plan import Plan, cannot_trace, given_target, planned, planned_demo, resumed, single
from bpftop.cli.works import Made, Opened
from bpftop.people import Person
from bpftop.preflight import bpftrace_path, bpftrace_version

if TYPE_CHECKING:
    from bpftop.model import Script, Target
    from bpftop.tracer.supervisor import BpftraceSource


def demo_reason(options: argparse.Namespace) -> str:
    """Why the demo cannot be traced here; empty when it can."""
    return cannot_trace(options, lambda _: None)


def opened(options: argparse.Namespace, port: int) -> Made:
    """What the command line asks for; ``port``: of the demo's server. Raises BpftopError."""
    said: list[str] = []
    absent: list[str] = []
    once: list[str] = []
    if options.verb == "demo":
        plan, spec = planned_demo(options, port, once.append), f":{port}"
    else:
        plan = planned(options, said.append, absent.append, once.append)
        spec = "" if options.target is None else given_target(options)
    program = plan.program(plan.target)
    offered = offers([script.name for script in program.scripts], plan.host)
    told = Opened(program, plan.target, _version(plan), tuple(said), tuple(absent), tuple(once), offered)
    return Made(told, plan.source(program), plan.chosen, spec)


def opened_run(options: argparse.Namespace, person: Person | None) -> tuple[object, BpftraceSource]:
    """The program of ``bpftop run`` and the version of bpftrace, and the run. Raises BpftopError."""
    from bpftop.anyscript.run import source_for
    from bpftop.cli.run import user_script

    script = user_script(options, person)
    host = host_of(options.bpftrace, *options.words)
    prepare(host)
    path = bpftrace_path(host)
    return (script, bpftrace_version(path)), source_for(script, str(path))


def started(options: argparse.Namespace, name: str, target: Target) -> tuple[Opened, BpftraceSource]:
    """A script of the catalog on the target. Raises BpftopError."""
    plan = single(name, target, host_of(options.bpftrace, *options.words), lambda: target)
    program = plan.program(target)
    return Opened(program, target, _version(plan)), plan.source(program)


def again(options: argparse.Namespace, key: str, chosen: Sequence[Script], target: Target) -> BpftraceSource:
    """The main run (empty key) or that of a script once more. Raises BpftopError."""
    if key:
        return started(options, key, target)[1]
    plan = resumed(options, chosen, target)
    return plan.source(plan.program(target))


def _version(plan: Plan) -> str:
    return bpftrace_version(bpftrace_path(plan.host))
