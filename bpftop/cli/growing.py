"""A running session to which the user can add scripts from the screen."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bpftop.cli.choice import beside
from bpftop.cli.host import host_of, narrate
from bpftop.cli.live import supervised_session
from bpftop.cli.plan import single
from bpftop.preflight import Host, bpftrace_path, bpftrace_version, missing

if TYPE_CHECKING:
    from bpftop.ensemble import Ensemble
    from bpftop.model import Script, ScriptStatus, Target
    from bpftop.session import Session


def growing(session: Session, options: argparse.Namespace, ready: Callable[[Session, str], object]) -> Ensemble:
    """The session, and every script of the catalog that it does not run yet, ready to be started.

    ``ready`` gets each new session before it is started, and the name of its script.
    """
    from bpftop.ensemble import Ensemble

    def announced(new: Session, name: str) -> Session:
        ready(new, name)
        return new

    if options.link is not None:
        whole = Ensemble(session, lambda name, _: announced(_supervised(options, name), name), options.opened.offers)
    else:
        host = host_of(options.bpftrace, *options.words)
        running = {script.name for script in session.snapshot(10.0).scripts}

        def make(name: str, target: Target) -> Session:
            return announced(_session(name, target, host, options.budget), name)

        whole = Ensemble(session, make, offers(running, host))
    asked = beside(options)
    for script in whole.snapshot(10.0).scripts:
        if script.name in asked and not script.unfit:
            if script.cost:
                narrate(f"{script.name} costs {script.cost}")
            whole.start_script(script.name)
    return whole


@contextmanager
def grown(
    session: Session, options: argparse.Namespace, ready: Callable[[Session, str], object] = lambda *_: None
) -> Iterator[Session | Ensemble]:
    """The session with the scripts of ``--with`` beside it, all stopped on the way out; itself where there are none."""
    if not beside(options):
        yield session
        return
    whole = growing(session, options, ready)
    try:
        yield whole
    finally:
        whole.stop()


def offers(running: Collection[str], host: Host) -> tuple[ScriptStatus, ...]:
    """The scripts of the catalog that could be started besides those that run."""
    from bpftop.scripts import catalog

    return tuple(_offer(script, host) for name, script in catalog().items() if name not in running)


def _offer(script: Script, host: Host) -> ScriptStatus:
    from bpftop.model import ScriptStatus, State

    why = missing(script, host)
    cost = f"; costs {script.cost}" if script.cost else ""
    detail = f"cannot run here: {why}" if why else f"Enter starts it: {script.title.lower()}{cost}"
    return ScriptStatus(
        script.name, script.title, State.OFF, 0, detail, script.pane, script.figures,
        summary=script.summary, cost=script.cost, unfit=why or "",
    )  # fmt: skip


def _supervised(options: argparse.Namespace, name: str) -> Session:
    """A session of its own for one script, begun by the supervisor. Raises BpftopError."""
    from bpftop.tracer.budget import Budget

    opened, source = options.link.begin("start", name)
    budget = Budget(options.budget, optional=True)
    return supervised_session(options.link, opened, source, options.rights, budget, follow=True)


def _session(name: str, target: Target, host: Host, budget: float | None) -> Session:
    """A session of its own for one script. Raises BpftopError."""
    from bpftop.session import Session
    from bpftop.tracer.budget import Budget

    plan = single(name, target, host, lambda: target)
    program = plan.program(target)
    version = bpftrace_version(bpftrace_path(host))
    return Session(
        plan.source(program), program, target, renew=lambda t: plan.source(plan.program(t)), bpftrace_version=version,
        budget=Budget(budget, optional=True),
    )  # fmt: skip
