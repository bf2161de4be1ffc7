"""What a kprobe variant costs beside the tracepoint script of the same name, on a kernel that offers both.

Debian's 6.12 is booted under QEMU as in tests/kernels; both programs watch the same nginx in turn, under the same load.
Instructions are translated there, so only the ratios of one run tell anything.

    .venv/bin/python benchmarks/variants.py [NAME ...]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from bpftop.model import Script
from bpftop.preflight import bpftrace_path
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.target import resolve
from bpftop.tracer.programs import ProgramCosts, enable_statistics
from bpftop.tracer.supervisor import BpftraceSource
from tests.kernel.missed import tracers
from tests.kernel.watching import running_nginx
from tests.kernels.guest import run_in_guest
from tests.kernels.packages import kernel
from tests.load import run_load
from tests.load.build import program

REQUESTS, ROUNDS = 400, 7
IN_GUEST = "--in-guest"


def main() -> int:
    """Boot, measure, print a row for each script."""
    names = [word for word in sys.argv[1:] if word != IN_GUEST]
    if IN_GUEST in sys.argv:
        for name in names:
            print(_row(catalog()[name]), flush=True)
        return 0
    program("http_load")
    names = names or [name for name, script in catalog().items() if script.variants]
    command = [sys.executable, str(Path(__file__)), IN_GUEST, *names]
    run = run_in_guest(kernel("6.12"), command, timeout_s=1500)
    per_request = "time in the probes per request, kprobe : tracepoint"
    print(f"| script | {per_request} | hits per request, kprobe : tracepoint | ns per hit, kprobe : tracepoint |")
    print("|---|---|---|---|")
    print(run.stdout, end="")
    print(run.stderr, end="", file=sys.stderr)
    return run.code


def _row(script: Script) -> str:
    with tempfile.TemporaryDirectory() as folder, running_nginx(Path(folder)) as nginx:
        plain, variant = (_measured(each, nginx.port) for each in (script, script.variants[0]))
    (per_request, hits), (variant_per_request, variant_hits) = plain, variant
    each = (variant_per_request / variant_hits) / (per_request / hits)
    return f"| {script.name} | {variant_per_request / per_request:.2f} | {variant_hits:.1f} : {hits:.1f} | {each:.2f} |"


def _measured(script: Script, port: int) -> tuple[float, float]:
    """Nanoseconds in the probes and hits of them per request: the medians of the rounds."""
    target = resolve(f":{port}")
    composed = compose([script], target)
    session = Session(BpftraceSource(composed, str(bpftrace_path())), composed, target)
    session.start()
    try:
        if not session.wait_live(170):
            raise SystemExit(f"{script.name}: not live: {session.snapshot(None).tracer}")
        enable_statistics()
        (pid,), costs = tracers(), ProgramCosts()
        rounds = []
        for _ in range(ROUNDS):
            time.sleep(0.3)
            began = costs(pid)
            run_load(port, REQUESTS, connections=4, paths=["/index.html"])
            ended = costs(pid)
            rounds.append([(ended[i] - began[i]) / REQUESTS for i in (0, 1)])
        costs.close()
    finally:
        session.stop()
    spent, hits = np.median(np.array(rounds), axis=0)
    return float(spent), float(hits)


if __name__ == "__main__":
    sys.exit(main())
