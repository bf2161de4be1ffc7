"""A running session to which the user can add scripts from the screen."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bpftop.cli.host import host_of
from bpftop.preflight import Host, bpftrace_path, bpftrace_version, missing, suited

if TYPE_CHECKING:
    from bpftop.ensemble import Ensemble
    from bpftop.model import Script, ScriptStatus, Target
    from bpftop.session import Session


def growing(session: Session, options: argparse.Namespace) -> Ensemble:
    """The session, and every script of the catalog that it does not run yet, ready to be started."""
    from bpftop.ensemble import Ensemble
    from bpftop.scripts import catalog

    host = host_of(options.bpftrace, *options.words)
    running = {script.name for script in session.snapshot(10.0).scripts}
    offers = [_offer(script, host) for name, script in catalog().items() if name not in running]
    return Ensemble(session, lambda name, target: _session(catalog()[name], target, host), offers)


def _offer(script: Script, host: Host) -> ScriptStatus:
    from bpftop.model import ScriptStatus, State

    why = missing(script, host)
    cost = f"; costs {script.cost}" if script.cost else ""
    detail = f"cannot run here: {why}" if why else f"Enter starts it: {script.title.lower()}{cost}"
    return ScriptStatus(
        script.name, script.title, State.OFF, 0, detail, script.pane, script.figures,
        summary=script.summary, cost=script.cost, unfit=why or "",
    )  # fmt: skip


def _session(script: Script, target: Target, host: Host) -> Session:
    """A session of its own for one script. Raises BpftopError."""
    from bpftop.errors import HostError
    from bpftop.scripts import compose
    from bpftop.session import Session
    from bpftop.tracer.supervisor import BpftraceSource

    why = missing(script, host)
    if why:
        raise HostError(why, "bpftop doctor")
    path = bpftrace_path(host)
    chosen = suited(script, host)

    def renew(target: Target) -> BpftraceSource:
        return BpftraceSource(compose([chosen], target), bpftrace_path=str(path))

    program = compose([chosen], target)
    source = BpftraceSource(program, bpftrace_path=str(path))
    return Session(source, program, target, renew=renew, bpftrace_version=bpftrace_version(path))
