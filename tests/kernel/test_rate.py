"""The counts lane at more than any socket can deliver: a system call loop of known length on every CPU."""

from __future__ import annotations

import json
import os
import subprocess

from bpftop.model import Process, Target, TargetKind
from bpftop.scripts import compose, parse_script
from bpftop.session import Session
from bpftop.tracer.supervisor import BpftraceSource
from tests.kernel.watching import final
from tests.load import program

CALLS = 1_500_000
SCRIPT = """\
// loop.bt - Every getppid of the target, as an observation of 1 to 4 us for one of eight clients.
//
// /// bpftop
// title = "Loop"
// [measures.loop]
// title = "Loop"
// start = "nothing"
// end = "nothing"
// ///

tracepoint:syscalls:sys_enter_getppid /@target_pids[(uint64)pid]/ {
  $now = nsecs;
  observe(loop, 1000 + ($now & 4095), 1 + ($now & 7), $now);
}
"""


def test_a_million_observations_a_second_are_exact() -> None:
    threads = min(os.cpu_count() or 1, 8)
    command = [str(program("syscall_loop")), str(threads), str(CALLS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as loop:
        try:
            assert loop.stdin is not None
            assert loop.stdout is not None
            pid = json.loads(loop.stdout.readline())["pid"]
            target = Target(str(pid), TargetKind.PID, f"pid {pid}", processes=(Process(pid, 0, "syscall_loop"),))
            composed = compose([parse_script(SCRIPT, "loop", "loop.bt")], target)
            session = Session(BpftraceSource(composed), composed, target)
            session.start()
            try:
                assert session.wait_live(30)
                loop.stdin.write("\n")
                loop.stdin.flush()
                done = json.loads(loop.stdout.readline())
                print(f"{done['calls'] / done['elapsed_ns'] * 1e3:.2f} million observations a second")
                measure = final(session, "loop")
            finally:
                session.stop()
        finally:
            loop.kill()
    assert done["calls"] == threads * CALLS
    assert measure.summary.count == done["calls"]
    assert measure.histogram.counts.sum() == done["calls"]
    assert sum(row.count for row in measure.clients) == done["calls"]
    assert len(measure.clients) == 8
