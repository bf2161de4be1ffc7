"""``bpftop doctor``: a table of what this host has and lacks. Needs neither the screen nor numpy."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from pathlib import Path

from bpftop import __version__
from bpftop.cli.host import host_of, require_numpy
from bpftop.errors import BpftopError, HostError
from bpftop.preflight import Check, Host, Problem, checks, missing, mount_tracefs, tracefs
from bpftop.text import safe

CANNOT_TRACE = HostError.exit_code


def doctor(options: argparse.Namespace) -> int:
    """Print the checks; 0 when this host can trace, 3 when not."""
    host = host_of(options.bpftrace, *options.words)
    try:
        mounted = mount_tracefs(host)
    except HostError:
        mounted = ""  # the check below says it
    found = [_python(), _numpy(), *checks(host), *_scripts(host), *_namesakes()]
    if mounted:
        print(mounted, file=sys.stderr)
    width = max(len(check.name) for check in found)
    for check in found:
        print(f"{_mark(check.problem):4} {check.name:{width}}  {safe(check.detail, 200)}")
        if check.problem and check.problem.message != check.detail:
            print(f"{'':5}{'':{width}}  {safe(check.problem.message, 200)}")
        if check.problem and check.problem.hint:
            print(f"{'':5}{'':{width}}  type: {safe(check.problem.hint, 200)}")
    fatal = any(check.problem and check.problem.fatal for check in found)
    print(
        "\nthis host cannot trace; bpftop demo --simulate works everywhere" if fatal else "\nready: sudo bpftop TARGET"
    )
    return CANNOT_TRACE if fatal else 0


def _mark(problem: Problem | None) -> str:
    if problem is None:
        return "ok"
    return "NO" if problem.fatal else "note"


def _python() -> Check:
    return Check("bpftop", f"{__version__}, Python {platform.python_version()}, Linux {platform.release()}")


def _numpy() -> Check:
    try:
        require_numpy()
    except HostError as error:
        return Check("numpy", error.message, Problem(error.message, error.hint))
    return Check("numpy", sys.modules["numpy"].__version__)


def _scripts(host: Host) -> list[Check]:
    """Each script and why it cannot run here. One that cannot is a note: others may."""
    from bpftop.scripts import catalog

    try:
        scripts = list(catalog().values())
    except BpftopError as error:
        return [Check("scripts", error.message, Problem(error.message, error.hint))]
    reasons = {script: missing(script, host) for script in scripts}
    none = all(reasons.values())
    unknown = "" if tracefs(host) else ": only root can tell whether it runs here"
    return [
        Check(f"script {script.name}", script.title + unknown, Problem(why, fatal=none) if why else None)
        for script, why in reasons.items()
    ]


def _namesakes() -> list[Check]:
    """Other programs called bpftop: the monitor of eBPF programs has the name too."""
    own = {os.path.realpath(sys.argv[0]), os.path.realpath(Path(sys.executable).parent / "bpftop")}
    others = []
    for folder in dict.fromkeys(os.environ.get("PATH", "").split(os.pathsep)):
        path = shutil.which("bpftop", path=folder) if folder else None
        if path and os.path.realpath(path) not in own:
            others.append(path)
    message = "another bpftop; ours is also called bpftop-latency"
    return [Check("name", path, Problem(message, fatal=False)) for path in others]
