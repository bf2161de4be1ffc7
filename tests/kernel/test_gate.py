"""The gate used for real: a test suite against nginx, before and after a change of its configuration that slows it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.kernel.watching import free_port, running_nginx, wait_for
from tests.load import delay_server, run_load

SLOW_MS, LIMIT_MS = 300, 200
REQUESTS = {"limited": 320, "first": 301, "second": 47}
SUITE = """
import pytest
from bpftop.latency_analyzer import LatencyAnalyzer
from bpftop.latency_collector import BpftraceLatencyCollector
from tests.load import run_load

PORT = {port}

def load(requests):
    assert run_load(PORT, requests, connections=80, paths=["/api"]).complete

@pytest.fixture
def warmed_up():
    load(40)

@pytest.mark.usefixtures("warmed_up")
@pytest.mark.limit_latency(p50="{limit}ms", p99="{limit}ms", port=PORT, min_samples={limited})
def test_limited():
    load({limited})

def test_first(bpftop_latency):
    load(20)
    with bpftop_latency(port=PORT) as latency:
        load({first})
    assert latency.stats.count == {first}

def test_second():
    with BpftraceLatencyCollector(port=PORT, min_samples=30) as collector:
        load({second})
    load(20)
    assert LatencyAnalyzer().analyze_file(collector.output_path).count == collector.stats.count == {second}
"""
SERVER = "server {{ listen 127.0.0.1:{port} backlog=1024; location /api {{ {answer} }} }}"


def run_suite(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-q",
        "--bpftop=require",
        "--rootdir",
        str(folder),
    ]
    command += ["-c", str(folder / "pytest.ini"), str(folder), *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=150
    )


def test_a_suite_passes_before_a_change_that_slows_nginx_and_fails_after_it(tmp_path: Path) -> None:
    port, suite = free_port(), tmp_path / "suite"
    suite.mkdir()
    (suite / "pytest.ini").write_text("[pytest]\n")
    (suite / "test_api.py").write_text(SUITE.format(port=port, limit=LIMIT_MS, **REQUESTS))
    base = suite / "base.json"
    fast = SERVER.format(port=port, answer='return 200 "ok";')
    with delay_server(f"constant:{SLOW_MS * 1_000_000}") as upstream, running_nginx(tmp_path, more=fast) as nginx:
        before = run_suite(suite, "--bpftop-save", str(base))
        assert before.returncode == 0, before.stdout + before.stderr
        reports = json.loads(base.read_text())["tests"]
        counts = [
            report["measures"]["request_latency"]["count"] for test in reports.values() for report in test.values()
        ]
        assert counts == list(REQUESTS.values()), "each request is counted for its own test, once"

        slow = SERVER.format(port=port, answer=f"proxy_pass http://127.0.0.1:{upstream.port}/;")
        nginx.config.write_text(nginx.config.read_text().replace(fast, slow))
        nginx.signal("reload")
        wait_for(lambda: _answers_slowly(port), "nginx does not take the new configuration")
        after = run_suite(suite, "--bpftop-compare", str(base), "--bpftop-compare-fail", "p50:900%", "-k", "limited")
    assert after.returncode == 1, after.stdout + after.stderr
    assert "1 failed" in after.stdout
    assert re.search(rf"latency of :{port}: p50 is 3\d\d ms, the limit is {LIMIT_MS} ms; p99 is ", after.stdout)
    assert f"latency of :{port} request_latency: regression" in after.stdout
    assert "200 ms - 500 ms   █" in after.stdout


def _answers_slowly(port: int) -> bool:
    began = time.monotonic()
    assert run_load(port, 1, paths=["/api"]).complete
    return time.monotonic() - began > SLOW_MS / 1000
