"""The findings as a table for people, 80 columns wide, and as JSON for programs."""

from __future__ import annotations

import json
import platform
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bpftop import __version__
from bpftop.cli.doctor.findings import Findings, ScriptFinding, Summary, TargetFinding, summary
from bpftop.cli.doctor.target import checks as target_checks
from bpftop.preflight import Check, Problem
from bpftop.text import safe

SCHEMA = "bpftop-doctor/1"
_WIDTH = 80
_MARKS = 5


def as_text(found: Findings) -> str:
    """The table, the target, the summary."""
    scripts = [_script_check(finding) for finding in found.scripts]
    host = [*found.before, *scripts, *found.after]
    of_target = target_checks(found.target) if found.target else []
    column = max(len(check.name) for check in (*host, *of_target)) + _MARKS + 2
    lines = [line for check in host for line in _lines(check, column)]
    if found.target:
        lines += ["", f"target {safe(found.target.target.name, 60)}"]
        lines += [line for check in of_target for line in _lines(check, column)]
        lines += _fitting(found, found.target, column)
    return "\n".join([*lines, "", *_verdict(found)])


def _script_check(finding: ScriptFinding) -> Check:
    trial, needs = finding.trial, finding.script.needs
    detail = finding.script.title + (f", with {needs}" if needs else "")
    if finding.script.variant:
        detail += f", by its {finding.script.variant} variant"
    if trial is not None and trial.attached:
        detail = f"{finding.script.variant} variant: " if finding.script.variant else ""
        detail += f"attached {trial.probes} probes and reported in {trial.seconds:.1f} s"
    elif not finding.known:
        detail += f": {finding.unseen}"
    return Check(f"script {finding.script.name}", detail, finding.problem, finding.known or trial is not None)


def _lines(check: Check, column: int) -> list[str]:
    """One check: mark, name, detail; below it the problem and the command to type."""
    name = f"{_mark(check):{_MARKS}}{check.name:{column - _MARKS}}"
    lines = _wrapped(name, check.detail, column)
    if check.problem and check.problem.message not in check.detail:
        lines += _wrapped(" " * column, check.problem.message, column)
    if check.problem and check.problem.hint:
        lines.append(f"{'':{column}}type: {safe(check.problem.hint, 400)}")  # whole, to be copied
    return lines


def _wrapped(first: str, text: str, column: int) -> list[str]:
    return textwrap.wrap(
        safe(text, 600),
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * column,
        break_on_hyphens=False,
        break_long_words=False,
    ) or [first.rstrip()]


def _mark(check: Check) -> str:
    if check.problem is None:
        return "ok" if check.known else "?"
    return "NO" if check.problem.fatal else "note"


def _fitting(found: Findings, target: TargetFinding, column: int) -> list[str]:
    """Which scripts make sense for the target."""
    if target.look is None:
        return []
    unfit = dict(target.unfit)
    fit = [f.script.name for f in found.scripts if f.runs and f.script.name not in unfit and not f.script.needs]
    lines = _wrapped(f"{'':{_MARKS}}{'scripts':{column - _MARKS}}", f"for it: {', '.join(fit) or 'none'}", column)
    for name, why in unfit.items():
        lines += _wrapped(" " * column, f"not {name}: {why}", column)
    return lines


def _verdict(found: Findings) -> list[str]:
    whole = summary(found)
    lines = _listed("works", whole.works)
    lines += _listed("degraded", [f"{one.what}, because {one.because}" for one in whole.degraded])
    lines += _listed("not here", [f"{one.what}, because {one.because}" for one in whole.not_here])
    if found.fatal:
        return [*lines, "", "this host cannot trace"]
    spec = found.target.target.spec if found.target else "TARGET"
    return [*lines, "", f"ready: sudo bpftop {safe(spec, 60)}"]


def _listed(title: str, entries: Sequence[str]) -> list[str]:
    if not entries:
        return [f"{title + ':':11}nothing"]
    short = all(len(entry) < 40 and "because" not in entry for entry in entries)
    rows = [", ".join(entries)] if short else list(entries)
    lines = []
    for at, row in enumerate(rows):
        first = f"{title + ':' if at == 0 else '':11}"
        lines += textwrap.wrap(safe(row, 600), _WIDTH, initial_indent=first, subsequent_indent=" " * 13)
    return lines


def as_json(found: Findings, exit_code: int) -> str:
    """One object; the keys of schema bpftop-doctor/1 stay as they are, others may come."""
    whole: Summary = summary(found)
    document = {
        "schema": SCHEMA,
        "bpftop": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "exit_code": exit_code,
        "checks": [_check(check) for check in found.checks],
        "scripts": [_script(finding) for finding in found.scripts],
        "target": _target(found.target) if found.target else None,
        "works": list(whole.works),
        "degraded": [asdict(one) for one in whole.degraded],
        "not_here": [asdict(one) for one in whole.not_here],
    }
    return json.dumps(_harmless(document), indent=2, ensure_ascii=False)


def _harmless(value: Any) -> Any:
    """The same with every text safe to show: who asks for JSON on a terminal sees it there."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, dict):
        return {key: _harmless(each) for key, each in value.items()}
    return [_harmless(each) for each in value] if isinstance(value, list | tuple) else value


def _check(check: Check) -> dict[str, Any]:
    return {
        "name": check.name.replace(" ", "_"),
        "detail": check.detail,
        "state": {"ok": "ok", "?": "unknown", "NO": "missing", "note": "note"}[_mark(check)],
        **_problem(check.problem),
    }


def _problem(problem: Problem | None) -> dict[str, Any]:
    return {
        "problem": problem.message if problem else None,
        "cure": (problem.hint or None) if problem else None,
    }


def _script(finding: ScriptFinding) -> dict[str, Any]:
    trial = finding.trial
    return {
        "name": finding.script.name,
        "title": finding.script.title,
        "default": finding.script.default,
        "needs": finding.script.needs or None,
        "variant": finding.script.variant or None,
        "runs": finding.runs if finding.known or trial else None,
        **_problem(finding.problem),
        "trial": None
        if trial is None
        else {"attached": trial.attached, "probes": trial.probes, "seconds": round(trial.seconds, 3)},
    }


def _target(found: TargetFinding) -> dict[str, Any]:
    target, seen = found.target, found.look
    return {
        "spec": target.spec,
        "kind": target.kind.value,
        "running": seen is not None,
        "absent": found.absent or None,
        "pids": list(target.pids),
        "ports": list(target.ports),
        "look": asdict(seen) if seen else None,
        "remarks": list(found.remarks),
        "unfit": [{"script": name, "because": why} for name, why in found.unfit],
    }
