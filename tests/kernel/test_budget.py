"""A script over its budget, on real nginx: it stops and says so, and the others go on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from bpftop.tracer.programs import ProgramCosts, enable_statistics
from tests.kernel.missed import tracers
from tests.kernel.watching import Nginx, watching
from tests.load import run_load


def test_what_costs_more_than_it_may_stops_and_the_others_go_on(nginx: Nginx, tmp_path: Path) -> None:
    words = ["report", f":{nginx.port}", "-d", "7", "--with", "syscalls", "--budget", "0.001%", "--format", "json"]
    command = [sys.executable, "-P", "-m", "bpftop", *words]
    said, heard = tmp_path / "out", tmp_path / "err"
    with said.open("w") as out, heard.open("w") as err, subprocess.Popen(command, stdout=out, stderr=err) as process:
        while process.poll() is None:
            assert run_load(nginx.port, 300, connections=4, paths=["/fixed"]).complete
    assert process.returncode == 0, heard.read_text()
    report = json.loads(said.read_text())
    assert min(report["measures"][name]["count"] for name in ("request_latency", "syscall_latency")) > 0
    assert report["duration_s"] >= 6
    assert report["inconclusive"] == []
    pattern = re.compile(r"syscalls stopped after (\d+) s: it took \S+ % of one CPU, its budget is 0.001 %")
    found = [match for each in report["over_budget"] if (match := pattern.match(each))]
    assert found
    assert pattern.search(heard.read_text())
    assert all(int(match[1]) < report["duration_s"] for match in found), "it stopped while the others went on"


def test_what_is_kept_open_tells_what_a_fresh_look_tells(nginx: Nginx) -> None:
    """And when bpftrace has ended, nothing of it is left open."""
    with watching(f":{nginx.port}"):
        (pid,) = tracers()
        statistics, kept, before = enable_statistics(), ProgramCosts(), 0
        assert statistics >= 0
        for _ in range(12):
            run_load(nginx.port, 100, connections=4, paths=["/fixed"])
            found, fresh = kept(pid), ProgramCosts()
            assert found <= fresh(pid)
            fresh.close()
            assert found[1] > before + 100
            before = found[1]
        os.close(statistics)
    assert kept(pid) == (0, 0, 0)
    assert not kept._files
