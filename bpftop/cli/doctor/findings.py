"""What the doctor found, and what follows from it: what works here, what less well and why, what not at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bpftop.preflight import Check, Problem

if TYPE_CHECKING:
    from bpftop.model import Script, Target
    from bpftop.target.look import Look
    from bpftop.tracer.trial import Trial

SUFFERS = {
    "bpftrace": "some scripts",
    "rights": "some probes or targets",
    "together": "the default scripts together",
    "locked memory": "large tables",
    "separation": "the division into processes",
    "temporary files": "bpftrace 0.27",
    "terminal": "the screen",
    "name": "the command bpftop",
}
"""What works less well when a check of this name has a problem that is not fatal. Scripts tell their own."""


@dataclass(frozen=True, slots=True)
class ScriptFinding:
    """One script on this host."""

    script: Script
    why_not: str = ""
    """Why it cannot run here; empty when it can."""
    known: bool = True
    """False: the kernel's list of attach points cannot be seen."""
    unseen: str = "only root can tell"
    """Why not."""
    trial: Trial | None = None
    """How it went when it was tried."""

    @property
    def runs(self) -> bool:
        """It can run here, as far as one knows."""
        return not self.why_not and (self.trial is None or self.trial.attached)

    @property
    def problem(self) -> Problem | None:
        """What stands in its way, or what it complained about; never fatal: other scripts may run."""
        if self.why_not:
            return Problem(self.why_not, fatal=False)
        if self.trial is not None and self.trial.problem:
            return Problem(self.trial.problem, self.trial.hint, fatal=False)
        return None


@dataclass(frozen=True, slots=True)
class TargetFinding:
    """The target as it is now."""

    target: Target
    look: Look | None
    """``None`` when it does not run."""
    absent: str = ""
    """Why it does not run, as far as one sees: one sentence."""
    remarks: tuple[str, ...] = ()
    """What no probe of ours sees of it, and what to know when reading the figures."""
    unfit: tuple[tuple[str, str], ...] = ()
    """Scripts that have nothing to measure here, and why."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything, in the order of the table: first what is cured most easily."""

    before: tuple[Check, ...]
    scripts: tuple[ScriptFinding, ...]
    after: tuple[Check, ...]
    target: TargetFinding | None = None

    @property
    def checks(self) -> tuple[Check, ...]:
        """Those of the host, without the scripts."""
        return self.before + self.after

    @property
    def fatal(self) -> list[Problem]:
        """Why nothing can be traced here; empty when something can."""
        found = [check.problem for check in self.checks if check.problem and check.problem.fatal]
        if not found and self.scripts and not any(finding.runs for finding in self.scripts):
            causes = dict.fromkeys(finding.problem for finding in self.scripts if finding.problem)
            found = [Problem("no script runs here: " + "; ".join(one.message for one in causes))]
        return found


@dataclass(frozen=True, slots=True)
class Reasoned:
    """Something and why."""

    what: str
    because: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Three lists that leave nothing out."""

    works: tuple[str, ...]
    degraded: tuple[Reasoned, ...]
    not_here: tuple[Reasoned, ...]


def summary(found: Findings) -> Summary:
    """What the findings come to."""
    degraded = tuple(
        Reasoned(SUFFERS[check.name], check.problem.message)
        for check in found.checks
        if check.problem and not check.problem.fatal and check.name in SUFFERS
    )
    if found.fatal:
        return Summary(
            ("the simulation: bpftop demo --simulate",),
            degraded,
            tuple(Reasoned("tracing", problem.message) for problem in found.fatal),
        )
    works = tuple(_asked(finding.script) for finding in found.scripts if finding.runs)
    complaints = [f for f in found.scripts if f.runs and f.trial and f.trial.problem]
    degraded += tuple(Reasoned(f.script.name, f.trial.problem) for f in complaints if f.trial)
    return Summary(works, degraded, tuple(_not_here(found.scripts)))


def _asked(script: Script) -> str:
    return f"{script.name} ({script.needs})" if script.needs else script.name


def _not_here(scripts: Sequence[ScriptFinding]) -> Iterator[Reasoned]:
    """Scripts that cannot run, those with the same reason together."""
    reasons: dict[str, list[str]] = {}
    for finding in scripts:
        if not finding.runs and finding.problem:
            reasons.setdefault(finding.problem.message, []).append(finding.script.name)
    for why, names in reasons.items():
        yield Reasoned(", ".join(names), why)
