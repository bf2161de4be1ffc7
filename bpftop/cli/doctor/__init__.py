"""``bpftop doctor [TARGET]``: what this host has and lacks, each lack with the command that cures it.

Needs neither the screen nor numpy. Attaches nothing, unless ``--try`` asks for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bpftop import people
from bpftop.cli.doctor import show, surroundings
from bpftop.cli.doctor.findings import Findings, ScriptFinding, TargetFinding
from bpftop.cli.host import host_of, narrate
from bpftop.errors import BpftopError, HostError, UsageError
from bpftop.preflight import Check, Host, Problem, all_checks, bpftrace_path, missing, mount_tracefs, suited, tracefs

if TYPE_CHECKING:
    from bpftop.model import Script, Target
    from bpftop.tracer.trial import Trial

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
    if options.attempt and not found.fatal:
        found = _tried(found, host)
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
    unseen = "only root can tell" if host.euid else "unknown without tracefs"
    findings = tuple(
        ScriptFinding(suited(script, host), _why_not(script, host, uprobes), known, unseen) for script in scripts
    )
    return Findings(
        (surroundings.versions(), *(_needed(check, findings) for check in before)),
        findings,
        tuple(after),
        _examined(spec, scripts) if spec is not None else None,
    )


def _needed(check: Check, scripts: Sequence[ScriptFinding]) -> Check:
    """A kernel without kprobes lacks nothing where every script runs without them."""
    if check.name != "kprobes" or check.problem is None or any(finding.why_not for finding in scripts):
        return check
    return Check(check.name, f"{check.detail}, and no script needs them on this kernel")


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


def _tried(found: Findings, host: Host) -> Findings:
    """With each script that should run here compiled and attached for a moment, and the default ones together."""
    path = str(bpftrace_path(host))
    target = found.target.target if found.target else _nobody()
    scripts = tuple(_try_one(finding, target, path) for finding in found.scripts)
    fine = [finding.script for finding in scripts if finding.runs and finding.script.default]
    if len(fine) < 2:
        return replace(found, scripts=scripts)
    return replace(found, scripts=scripts, after=(_together(fine, target, path), *found.after))


def _try_one(finding: ScriptFinding, target: Target, path: str) -> ScriptFinding:
    if finding.why_not or finding.script.needs:
        return finding
    return replace(finding, trial=_attach([finding.script], target, path))


def _together(scripts: Sequence[Script], target: Target, path: str) -> Check:
    """A watch runs the default scripts as one program, and that may fail where each of them does not."""
    trial, names = _attach(scripts, target, path), " and ".join(script.name for script in scripts)
    if trial.attached:
        detail = f"{names}: attached {trial.probes} probes and reported in {trial.seconds:.1f} s"
        return Check("together", detail)
    return Check("together", names, Problem(trial.problem, f"sudo bpftop TARGET --scripts {scripts[0].name}", False))


def _attach(scripts: Sequence[Script], target: Target, path: str) -> Trial:
    from bpftop.scripts import compose
    from bpftop.supervision import drop  # noqa: F401  (after the rights are left, it may not be readable)
    from bpftop.tracer.supervisor import BpftraceSource
    from bpftop.tracer.trial import Trial, attach

    if sys.stderr.isatty():
        narrate(f"trying {', '.join(script.name for script in scripts)} …")
    try:
        leave = _leave_rights if os.geteuid() == 0 else None
        return attach(BpftraceSource(compose(scripts, target), path), leave_rights=leave)
    except BpftopError as error:
        return Trial(False, 0, 0.0, error.message, error.hint)


def _leave_rights() -> None:
    """In the process that reads what bpftrace says."""
    from bpftop.supervision.drop import leave_root

    try:
        person = people.caller() or people.named("nobody")
    except UsageError:
        person = None  # a host without that user
    leave_root(person, os.getppid())


def _nobody() -> Target:
    """A target that no process is: the probes fire and find nothing to count."""
    from bpftop.model import Target, TargetKind

    return Target("0", TargetKind.PID, "nobody")
