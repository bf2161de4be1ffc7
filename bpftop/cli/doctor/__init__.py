"""``bpftop doctor [TARGET]``: what this host has and lacks, each lack with the command that cures it.

Needs neither the screen nor numpy. Attaches nothing, unless ``--try`` asks for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from bpftop.cli.doctor import show, surroundings
from bpftop.cli.doctor.findings import Findings, ScriptFinding, TargetFinding
from bpftop.cli.host import host_of, narrate
from bpftop.errors import BpftopError, HostError
from bpftop.preflight import Check, Host, Problem, all_checks, bpftrace_path, missing, mount_tracefs, tracefs

if TYPE_CHECKING:
    from bpftop.model import Script, Target

CANNOT_TRACE = HostError.exit_code


def doctor(options: argparse.Namespace) -> int:
    """Print the findings; 0 when this host can trace, 3 when not. Raises TargetError for an impossible target."""
    host = host_of(options.bpftrace, *options.words)
    try:
        mounted = mount_tracefs(host)
    except HostError:
        mounted = ""  # the check below says it
    if mounted:
        narrate(mounted)
    found = _findings(host, options.target)
    if options.attempt:
        found = replace(found, scripts=tuple(_tried(found, host)))
    code = CANNOT_TRACE if found.fatal else 0
    print(show.as_json(found, code) if options.json else show.as_text(found))
    return code


def _findings(host: Host, spec: str | None) -> Findings:
    """Everything that can be known without running a script."""
    before, after = all_checks(host)
    scripts, broken = _catalog()
    after += [*broken, surroundings.numpy(), surroundings.terminal(), *surroundings.namesakes()]
    uprobes = next((check.problem for check in before if check.name == "uprobes"), None)
    known = tracefs(host) is not None
    return Findings(
        (surroundings.versions(), *before),
        tuple(ScriptFinding(script, _why_not(script, host, uprobes), known) for script in scripts),
        tuple(after),
        _examined(spec, scripts) if spec is not None else None,
    )


def _catalog() -> tuple[list[Script], list[Check]]:
    """The scripts, those that want words of the user last; or the check that says why they cannot be read."""
    from bpftop.scripts.catalog import catalog, templates

    try:
        return [*catalog().values(), *templates().values()], []
    except BpftopError as error:
        return [], [Check("scripts", error.message, Problem(error.message, error.hint))]


def _why_not(script: Script, host: Host, uprobes: Problem | None) -> str:
    """Why the script cannot run here; those that the user's words complete need uprobes."""
    return missing(script, host) or (uprobes.message if uprobes and script.needs else "")


def _examined(spec: str, scripts: Iterable[Script]) -> TargetFinding:
    from bpftop.cli.doctor.target import examine

    return examine(spec, scripts)


def _tried(found: Findings, host: Host) -> Iterator[ScriptFinding]:
    """Each script that should run here, compiled and attached for a moment."""
    if found.fatal:
        yield from found.scripts
        return
    from bpftop.scripts import compose
    from bpftop.tracer.supervisor import BpftraceSource
    from bpftop.tracer.trial import Trial, attach

    path = str(bpftrace_path(host))
    target = found.target.target if found.target else _nobody()
    for finding in found.scripts:
        if finding.why_not or finding.script.needs:
            yield finding
            continue
        if sys.stderr.isatty():
            narrate(f"trying {finding.script.name} …")
        try:
            trial = attach(BpftraceSource(compose([finding.script], target), path))
        except BpftopError as error:
            trial = Trial(False, 0, 0.0, error.message, error.hint)
        yield replace(finding, trial=trial)


def _nobody() -> Target:
    """A target that no process is: the probes fire and find nothing to count."""
    from bpftop.model import Target, TargetKind

    return Target("0", TargetKind.PID, "nobody")
