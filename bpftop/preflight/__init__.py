"""What this host lacks for tracing, before anything heavy runs. Every problem names the next command to type.

The world is a ``Host``: tests give other directories, another user, other capabilities.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bpftop.attach_points import lacking
from bpftop.errors import HostError
from bpftop.preflight.bpftrace import OLDEST, bpftrace_path, bpftrace_version, installed
from bpftop.preflight.kernel import (
    kprobes,
    lockdown,
    mount_tracefs,
    process_ids,
    tracefs,
    tracepoints,
    types,
    uprobes,
)
from bpftop.preflight.limits import event_buffers, locked_memory, temporary_files
from bpftop.preflight.numeric import require_numpy
from bpftop.preflight.rights import rights, separation
from bpftop.preflight.values import TRUSTED_DIRECTORIES, Check, Host, Problem

if TYPE_CHECKING:  # the vocabulary brings numpy; what is said here must not need it
    from bpftop.model import Script

__all__ = [
    "OLDEST",
    "TRUSTED_DIRECTORIES",
    "Check",
    "Host",
    "Problem",
    "all_checks",
    "bpftrace_path",
    "bpftrace_version",
    "checks",
    "missing",
    "mount_tracefs",
    "problems",
    "require",
    "require_numpy",
    "suited",
    "tracefs",
]


_CHECKS = (rights, installed, tracepoints, types, process_ids, lockdown, temporary_files)
_FIRST = (rights, installed, tracepoints, process_ids, types, kprobes, uprobes)
_LAST = (separation, lockdown, locked_memory, event_buffers, temporary_files)


def problems(host: Host | None = None) -> list[Problem]:
    """What stands in the way, gravest first; empty when all is well."""
    found = [check.problem for check in checks(host) if check.problem is not None]
    return sorted(found, key=lambda problem: not problem.fatal)


def require(host: Host) -> None:
    """Raises HostError with everything that stands in the way of tracing."""
    fatal = [problem for problem in problems(host) if problem.fatal]
    if fatal:
        raise HostError("; ".join(problem.message for problem in fatal), fatal[0].hint)


def checks(host: Host | None = None) -> list[Check]:
    """Everything that can be known without running a script."""
    host = host or Host()
    return [check(host) for check in _CHECKS]


def all_checks(host: Host) -> tuple[list[Check], list[Check]]:
    """For the doctor: what comes before the scripts' own attach points, and what after, by how easily it is cured."""
    return [check(host) for check in _FIRST], [check(host) for check in _LAST]


def missing(script: Script, host: Host | None = None) -> str | None:
    """Why the script cannot run here, in one sentence; ``None`` when it can, or when only root could tell.

    With variants: ``None`` when one of them can run.
    """
    host = host or Host()
    reasons = []
    for one in (script, *script.variants):
        why = lacking(one.requires, tracefs(host), host.sys)
        if why is None:
            return None
        reasons.append(why)
    return "; in its place: ".join(reasons)


def suited(script: Script, host: Host | None = None) -> Script:
    """The script or the first of its variants whose attach points exist here; the script itself when none can run."""
    host = host or Host()
    fitting = (one for one in (script, *script.variants) if lacking(one.requires, tracefs(host), host.sys) is None)
    return next(fitting, script)
