"""What the pictures show: the demo, watched by real bpftrace for 75 seconds."""

from __future__ import annotations

import sys
import time

from bpftop import preflight
from bpftop.demo import start_demo
from bpftop.model import Snapshot
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.target import resolve
from bpftop.tracer.supervisor import BpftraceSource

WATCHED_S = 75
"""Two and a half rounds of the story: the picture is taken after a slow spell."""


class Frozen:
    """The snapshots of one moment."""

    def __init__(self, session: Session) -> None:
        self._snapshots = {length: session.snapshot(length) for length in (10.0, 60.0, 300.0, None)}

    def snapshot(self, window_s: float | None) -> Snapshot:
        return self._snapshots[window_s]


def demo() -> Frozen:
    """Run it. Raises HostError where the host cannot trace: pictures of anything else would not be true."""
    preflight.mount_tracefs()
    path = str(preflight.bpftrace_path())
    with start_demo() as running:
        target = resolve(f"{running.pid}")
        program = compose([script for script in catalog().values() if script.default], target)
        version = preflight.bpftrace_version(preflight.bpftrace_path())
        session = Session(BpftraceSource(program, path), program, target, bpftrace_version=version)
        session.start()
        try:
            print(f"watching the demo for {WATCHED_S} s", file=sys.stderr)
            time.sleep(WATCHED_S)
            return Frozen(session)
        finally:
            session.stop()
