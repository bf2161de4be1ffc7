"""From options to a running session: real bpftrace, or the simulation. Nothing of the screen is imported here.

Where the process has been divided (bpftop.cli.divide) the session is here, and bpftrace is the supervisor's child.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpftop.cli import attach
from bpftop.cli.choice import wanted
from bpftop.cli.host import narrate
from bpftop.cli.plan import cannot_trace, given_target, planned, planned_demo
from bpftop.errors import UsageError
from bpftop.preflight import require_numpy
from bpftop.scenarios import DEFAULT
from bpftop.tracing import running, traced

if TYPE_CHECKING:
    from bpftop.cli.works import Opened
    from bpftop.session import Session  # numpy comes with it: not before require_numpy has spoken
    from bpftop.supervision.link import Link, SupervisedSource
    from bpftop.tracer.budget import Budget
    from bpftop.tracer.simulate import SimulatedSource

__all__ = ["demo", "given_target", "live", "simulated", "supervised", "traced"]


@contextmanager
def live(
    options: argparse.Namespace,
    say: Callable[[str], None] = narrate,
    say_absent: Callable[[str], None] = narrate,
    made: Callable[[SimulatedSource], object] = id,
    meanwhile: Callable[[], None] = lambda: None,
    ready: Callable[[Session], object] = id,
) -> Iterator[Session]:
    """A session on the target of ``options``, started; stopped on the way out. Raises BpftopError.

    ``say`` gets what stays true, ``say_absent`` what is true until the target runs, ``made`` a simulation's source;
    ``meanwhile`` is called while the supervisor, where there is one, looks for the target and starts bpftrace;
    ``ready`` gets the session before anything is counted.
    """
    if options.simulate:
        with simulated(options, made, ready) as session:
            yield session
    elif options.link is not None:
        with supervised(options, say, say_absent, meanwhile, ready) as session:
            yield session
    else:
        plan = planned(options, say, say_absent)
        every = getattr(options, "every_event", False)
        with traced(plan.target, plan.host, plan.rescan, plan.scripts, ready, every, options.budget) as session:
            yield session


@contextmanager
def simulated(
    options: argparse.Namespace,
    made: Callable[[SimulatedSource], object] = id,
    ready: Callable[[Session], object] = id,
) -> Iterator[Session]:
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
    program = compose(list(wanted(options).values()), target, getattr(options, "every_event", False))
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
    ready(session)
    with running(session):
        yield session


@contextmanager
def supervised(
    options: argparse.Namespace,
    say: Callable[[str], None],
    say_absent: Callable[[str], None],
    meanwhile: Callable[[], None] = lambda: None,
    ready: Callable[[Session], object] = id,
) -> Iterator[Session]:
    """A session whose bpftrace is the supervisor's child; what it found is kept as ``options.opened``."""
    opened, source = _opened(options, meanwhile)
    from bpftop.tracer.budget import Budget

    assert source is not None
    assert not isinstance(opened, str)
    for sentence in filter(None, (*opened.said, source.rights)):
        say(sentence)
    for sentence in opened.absent:
        say_absent(sentence)
    for sentence in opened.once:
        narrate(sentence)
    session = supervised_session(options.link, opened, source, options.rights, Budget(options.budget), follow=True)
    ready(session)
    with running(session):
        yield session


def _opened(options: argparse.Namespace, meanwhile: Callable[[], None]) -> tuple[Opened | str, SupervisedSource | None]:
    answer = options.link.open_later()
    require_numpy()
    import bpftop.session  # noqa: F401

    meanwhile()
    options.opened, source = answer()
    return options.opened, source


def supervised_session(
    link: Link, opened: Opened, source: SupervisedSource, rights: str, budget: Budget, *, follow: bool = False
) -> Session:
    """A session, not started, on a run of the supervisor's. ``follow``: its target is looked up again."""
    from bpftop.session import Session
    from bpftop.tracer.overhead import OverheadMeter

    return Session(
        source,
        opened.program,
        opened.target,
        renew=lambda _: source.anew(),
        rescan=link.target if follow else None,
        standstill=link.standstill if follow else None,
        bpftrace_version=opened.version,
        meter=OverheadMeter(link.costs, link.statistics),
        rights=rights,
        budget=budget,
    )


@contextmanager
def demo(
    options: argparse.Namespace,
    meanwhile: Callable[[], None] = lambda: None,
    ready: Callable[[Session], object] = id,
) -> Iterator[tuple[Session, str]]:
    """A session on the demo, and a sentence for the screen when it is simulated and nobody asked for that."""
    if not options.simulate and options.link is not None:
        opened, source = _opened(options, meanwhile)
        from bpftop.tracer.budget import Budget

        if source is not None and not isinstance(opened, str):
            session = supervised_session(
                options.link, opened, source, options.rights, Budget(options.budget), follow=True
            )
            for sentence in opened.once:
                narrate(sentence)
            ready(session)
            with running(session):
                yield session, ""
            return
        why = str(opened)
    else:
        why = "" if options.simulate else cannot_trace(options)
    if options.simulate or why:
        with simulated(options, ready=ready) as session:
            yield session, f"simulation: {why}" if why else ""
        return
    from bpftop.demo import start_demo

    with start_demo() as server:
        plan = planned_demo(options, server.port)
        with traced(plan.target, plan.host, plan.rescan, plan.scripts, ready, budget=options.budget) as session:
            yield session, ""
