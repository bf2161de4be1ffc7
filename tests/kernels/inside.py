"""Runs in the guest: every script attaches and counts a known workload exactly, or says why it can't run here.

One Row as JSON per script on stdout. ``python -m tests.kernels.inside [NAME ...]``
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bpftop.model import Script, Target, TargetKind
from bpftop.preflight import bpftrace_path, missing, suited
from bpftop.scripts import catalog, compose
from bpftop.tracer.supervisor import BpftraceSource
from bpftop.tracer.trial import attach
from tests.kernel import watching
from tests.kernels import doctor
from tests.kernels.rows import MISSED, Row
from tests.kernels.truths import OTHERS_SHARE, TRUTHS, Counted

ATTACH_S = 170.0
"""Translated instructions compile slowly."""


def tried(scripts: Sequence[Script]) -> Iterator[Row]:
    """A row for each script. Those that share a workload run in one session."""
    left = []
    for script in scripts:
        if why := missing(script):
            yield _row(script, "unavailable", why)
        else:
            left.append(suited(script))
    for names, truth in TRUTHS.items():
        together = [script for script in left if script.name in names]
        if together:
            yield from _outcome(together, partial(_exact, truth, together))
    for script in left:
        if not any(script.name in names for names in TRUTHS):
            yield from _outcome([script], partial(_attached, script))


def _outcome(scripts: Sequence[Script], attempt: Callable[[], tuple[str, str]]) -> list[Row]:
    state, detail = _tried(attempt)
    return [_row(script, state, detail) for script in scripts]


def _tried(attempt: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """State and detail."""
    try:
        return attempt()
    except BaseException as error:  # pytest.fail, which the helpers of the kernel tests use, is no Exception
        told = traceback.TracebackException.from_exception(error, capture_locals=True)  # nobody rewrites assert here
        print(*told.format(), sep="", file=sys.stderr)
        return "failed", f"{type(error).__name__}: {error}"[:400]


def _exact(truth: Callable[[Sequence[Script]], Counted], scripts: Sequence[Script]) -> tuple[str, str]:
    counted = truth(scripts)
    return (f"{MISSED} {counted.missed}" if counted.missed else "exact"), counted.words


def _attached(script: Script) -> tuple[str, str]:
    """Compiled, attached and heard from."""
    program = compose([script], Target("", TargetKind.PID, "nobody"))
    trial = attach(BpftraceSource(program, str(bpftrace_path())), ATTACH_S)
    if not trial.attached or trial.problem:
        return "failed", trial.problem or "it did not attach"
    return "attached", f"{trial.probes} probes"


def _row(script: Script, state: str, detail: str) -> Row:
    return Row("", os.uname().release, script.name, script.variant, state, detail)


def main(names: Sequence[str]) -> int:
    """Print the rows of the named scripts, or of all and of the doctor."""
    watching.OTHERS_SHARE, watching.PREFERRED = OTHERS_SHARE, True
    for row in tried([script for name, script in catalog().items() if not names or name in names]):
        print(row.line(), flush=True)
    if not names or doctor.NAME in names:
        state, detail = _tried(lambda: (doctor.AGREES, doctor.examined(list(catalog().values()))))
        print(Row("", os.uname().release, doctor.NAME, "", state, detail).line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
