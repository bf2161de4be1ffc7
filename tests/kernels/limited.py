"""Runs in the guest: control groups of version 2, a CPU limit above a process, and what bpftop says of it.

One line of JSON on stdout, with what the kernel itself said. ``python -m tests.kernels.limited``
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bpftop.model import Process, Target, TargetKind
from bpftop.standstill import look
from bpftop.standstill.look import Looks

ROOT = Path("/sys/fs/cgroup")
LIMITED, INSIDE = "/web", "/web/worker"
LOOKS = 6
MARK = "limited: "


def main() -> int:
    """The limit is of the group above: the one that the process is in has none."""
    look.COST = 1e9  # instructions are translated: a look costs much here, and the next would be a minute later
    subprocess.run(["mount", "-t", "cgroup2", "none", str(ROOT)], check=True)
    (ROOT / "cgroup.subtree_control").write_text("+cpu")
    for path in (LIMITED, INSIDE):
        Path(f"{ROOT}{path}").mkdir()
    Path(f"{ROOT}{LIMITED}/cgroup.subtree_control").write_text("+cpu")
    Path(f"{ROOT}{LIMITED}/cpu.max").write_text("10000 100000")
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        Path(f"{ROOT}{INSIDE}/cgroup.procs").write_text(str(spinning.pid))
        target = Target("x", TargetKind.PID, "x", processes=(Process(spinning.pid, 0, "x"),))
        looks, before = Looks(), _throttled_us()
        for _ in range(LOOKS):
            found = looks(target).scarce
            time.sleep(1.0)
        print(MARK + json.dumps({"told": asdict(found), "throttled_us": _throttled_us() - before}), flush=True)
        spinning.kill()
    return 0


def _throttled_us() -> int:
    words = dict(line.split() for line in Path(f"{ROOT}{LIMITED}/cpu.stat").read_text().splitlines())
    return int(words["throttled_usec"])


if __name__ == "__main__":
    sys.exit(main())
