"""From options to a running session: real bpftrace, or the simulation. Nothing of the screen is imported here."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from bpftop.cli import attach, words
from bpftop.cli.choice import runnable, wanted
from bpftop.cli.host import host_of, narrate, prepare
from bpftop.errors import BpftopError, TargetError, UsageError
from bpftop.preflight import Host, require_numpy
from bpftop.scenarios import DEFAULT
from bpftop.tracing import running, traced

if TYPE_CHECKING:
    from bpftop.model import Script, Target
    from bpftop.session import Session  # numpy comes with it: not before require_numpy has spoken
    from bpftop.tracer.simulate import SimulatedSource


def given_target(options: argparse.Namespace) -> str:
    """The target's word; simulation needs none."""
    if options.target is None and attach.asked(options) and not options.simulate:
        return attach.stand_in(options)
    if options.target is None and not options.simulate:
        raise UsageError(words.NO_TARGET, "bpftop --help")
    return "demo" if options.target is None else options.target


@contextmanager
def live(
    options: argparse.Namespace,
    say: Callable[[str], None] = narrate,
    say_absent: Callable[[str], None] = narrate,
    made: Callable[[SimulatedSource], object] = id,
) -> Iterator[Session]:
    """A session on the target of ``options``, started; stopped on the way out. Raises BpftopError.

    ``say`` gets what stays true, ``say_absent`` what is true until the target runs, ``made`` a simulation's source.
    """
    if options.simulate:
        with simulated(options, made) as session:
            yield session
        return
    from bpftop.target import parse, resolve

    spec = given_target(options)
    parse(spec)  # an impossible word is said before anything else
    wanted(options)
    host = host_of(options.bpftrace, *options.words)
    prepare(host)
    target = attach.runners(spec) if options.target is None else found(spec, say, say_absent)
    chosen = runnable(options, host, say)
    first = [attach.attached(options, target, say)]

    def scripts(target: Target) -> list[Script]:
        return [*chosen, *(first.pop() if first else attach.attached(options, target))]

    def rescan() -> Target:
        return target if options.target is None else resolve(spec)

    with traced(target, host, rescan, scripts) as session:
        yield session


@contextmanager
def simulated(options: argparse.Namespace, made: Callable[[SimulatedSource], object] = id) -> Iterator[Session]:
    """A session on a scenario, without a kernel; ``made`` gets its source. A report is told exactly its duration."""
    require_numpy()
    from bpftop.scripts import compose
    from bpftop.scripts.catalog import templates
    from bpftop.session import Session
    from bpftop.tracer import simulate

    asked = {*(options.scripts or ()), *options.also}
    if attach.asked(options) or asked & templates().keys():
        raise UsageError(
            "a simulation runs no program, so it has no markers and no functions", "sudo bpftop report --help"
        )
    scenario = simulate.scenario_of(options.simulate or DEFAULT, options.seed)
    target = simulate.simulated_target(scenario)
    program = compose(list(wanted(options).values()), target)
    source = simulate.SimulatedSource(
        program,
        scenario,
        seed=options.seed,
        speed=getattr(options, "speed", None) or 1.0,
        length_s=getattr(options, "duration", None) or math.inf,
        keep=getattr(options, "truth", False),
    )
    made(source)
    session = Session(source, program, target, comm_of=simulate.comm_of(scenario), device_of=simulate.device_of)
    with running(session):
        yield session


def found(spec: str, say: Callable[[str], None], say_absent: Callable[[str], None]) -> Target:
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


@contextmanager
def demo(options: argparse.Namespace) -> Iterator[tuple[Session, str]]:
    """A session on the demo, and a sentence for the screen when it is simulated and nobody asked for that."""
    host = host_of(options.bpftrace, *options.words)
    why = "" if options.simulate else _cannot_trace(options, host)
    if options.simulate or why:
        with simulated(options) as session:
            yield session, f"simulation: {why}" if why else ""
        return
    from bpftop.demo import NAME, start_demo
    from bpftop.target import resolve

    with start_demo() as server:

        def rescan() -> Target:
            return replace(resolve(f":{server.port}"), name=NAME)

        scripts = runnable(options, host, narrate)
        with traced(rescan(), host, rescan, lambda _: scripts) as session:
            yield session, ""


def _cannot_trace(options: argparse.Namespace, host: Host) -> str:
    """Why this host cannot trace, with the command to type; empty when it can."""
    try:
        prepare(host)
        runnable(options, host, lambda _: None)
    except BpftopError as error:
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return ""
