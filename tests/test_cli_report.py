"""``bpftop report``: data on stdout, intervals without gap or overlap, an end in good order."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bpftop.cli import report as report_module
from bpftop.cli.printing import Printer
from bpftop.cli.report import judge
from bpftop.errors import HostError, Inconclusive
from bpftop.model import Accounting, Snapshot, State, TracerStatus, Window
from bpftop.session import Session
from tests.processes import running
from tests.snapshots import measure, snapshot

BPFTOP = [sys.executable, "-P", "-m", "bpftop"]
HTTP = """
import http.server, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *words):
        pass
with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
    print(server.server_address[1], flush=True)
    server.serve_forever()
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BPFTOP, "report", *words], capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    command = [*BPFTOP, "report", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


# --- formats ----------------------------------------------------------------------------------------------------------


def test_text_is_a_report_and_says_that_it_is_simulated() -> None:
    done = run("--simulate", "-d", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "simulation" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_ascii_is_ascii() -> None:
    done = run("--simulate", "-d", "1", "--ascii")
    assert done.stdout.isascii()
    assert "#" in done.stdout


def test_json_is_one_object() -> None:
    done = run("--simulate", "-d", "1", "--format", "json")
    report = json.loads(done.stdout)
    assert (done.returncode, done.stderr, report["schema"], report["source"]) == (0, "", 1, "simulation")
    requests = report["measures"]["request_latency"]
    assert requests["count"] == sum(count for _, _, count in requests["histogram"])
    assert requests["count"] == sum(client["count"] for client in requests["clients"])


def test_json_with_an_interval_is_one_object_a_line() -> None:
    done = run("--simulate", "-d", "3", "-i", "1", "--format", "json")
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == 3
    assert len({report["started_at"] for report in reports}) == 3
    assert all(report["measures"]["request_latency"]["count"] for report in reports)


def test_csv_with_an_interval_has_one_header() -> None:
    done = run("--simulate", "-d", "2", "-i", "1", "--format", "csv")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("timestamp_ns,duration_s,measure,count")
    assert len([line for line in lines if line.startswith("timestamp_ns")]) == 1
    assert len([line for line in lines if ",request_latency," in line and line.endswith(",client,")]) == 2


# --- intervals --------------------------------------------------------------------------------------------------------


class FakeSession:
    """A session whose ticks come one with each look; remembers which windows were asked for."""

    def __init__(self, spans: list[float], last: Snapshot | None = None) -> None:
        self._spans = iter(spans)
        self._ticks = 0
        self._last = last
        self.windows: list[float] = []
        self._looks = itertools.count()

    @property
    def news(self) -> int:
        return next(self._looks)

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        if window_s is not None:
            self.windows.append(window_s)
            return snapshot()
        try:
            self._span = next(self._spans)
            self._ticks += 1
        except StopIteration:
            if self._last is not None:
                return self._last
        return replace(snapshot(), ticks=self._ticks, window=Window("all", None, self._span))


def measured(session: FakeSession, duration: float, interval: float | None, **attributes: Any) -> bool:
    options = argparse.Namespace(
        duration=duration,
        interval=interval,
        format="json",
        ascii=False,
        prometheus_textfile=None,
        simulate=None,
        also=None,
    )
    out = Printer(options)
    stop = attributes.get("stop", threading.Event())
    return report_module._measure(cast(Session, session), options, stop, out)


@pytest.mark.parametrize(
    ("spans", "duration", "interval", "windows"),
    [
        ([1.0, 2.0, 3.0, 4.0], 4, 1, [1, 1, 1, 1]),
        ([1.0, 2.0, 3.0, 4.0], 4, 2, [2, 2]),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 5, 2, [2, 2, 2]),  # whole intervals: 6 s
        ([0.2, 1.2, 2.2], 2, 1, [2, 1]),  # an early first tick
        ([1.4, 2.4, 3.4], 3, 1, [1, 1, 1]),  # the first slice holds the time of attaching
        ([0.98, 1.97, 2.99], 3, 1, [1, 1, 1]),  # ticks come a little early
        ([1.0, 4.0, 5.0], 5, 1, [1, 1, 1]),  # three seconds without a tick: nothing twice
    ],
)
def test_intervals_are_slices_none_twice_none_left_out(
    spans: list[float], duration: float, interval: float, windows: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    session = FakeSession(spans)
    measured(session, duration, interval)
    assert session.windows == windows
    assert sum(windows) == len(spans)
    assert len(capsys.readouterr().out.splitlines()) == len(windows)


def test_a_kernel_that_reports_no_more_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report_module, "LATE_S", 0.2)
    assert not measured(FakeSession([1.0, 2.0]), 60, None), "it was cut"
    assert "has not reported" in capsys.readouterr().err


def test_a_bpftrace_that_fails_is_the_end() -> None:
    status = TracerStatus(State.FAILED, "bpftrace ended with exit code 255", "bpftop doctor", ("first", "ERROR: why"))
    with pytest.raises(HostError) as caught:
        measured(FakeSession([1.0], replace(snapshot(), tracer=status, window=Window("all", None, 1.0))), 60, None)
    assert caught.value.message == "bpftrace ended with exit code 255"
    assert (caught.value.hint, caught.value.exit_code) == ("bpftop doctor", 3)


# --- what the figures prove -------------------------------------------------------------------------------------------


def test_figures_that_prove_something_pass() -> None:
    judge(snapshot())
    judge(snapshot(accounting=Accounting(produced=100_000, shown=99_900, lost=100)))


@pytest.mark.parametrize(
    ("shot", "word"),
    [
        (snapshot({"request_latency": measure()}), "nothing came to nginx in 10 s"),
        (snapshot(accounting=Accounting(produced=100_000, lost=101)), "101 of 100,000 events were lost"),
        (snapshot(accounting=Accounting(produced=1000, lost=1, rejected=1)), "more than 0.1 %"),
        (snapshot(accounting=Accounting(produced=1000, untracked=2)), "table full"),
    ],
)
def test_figures_that_prove_nothing_are_exit_code_4(shot: Snapshot, word: str) -> None:
    with pytest.raises(Inconclusive, match=word) as caught:
        judge(shot)
    assert caught.value.exit_code == 4


# --- the end ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_prints_what_was_measured() -> None:
    with started("--simulate", "-d", "600", "-i", "1") as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate(timeout=30)
        assert process.returncode == 130
    assert first.strip()
    assert "Request latency" in rest
    assert "Traceback" not in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_end_it_with_their_code(number: signal.Signals, code: int) -> None:
    with started("--simulate", "-d", "600", "-i", "1", "--format", "csv") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (code, "")


def test_a_closed_pipe_is_no_error_message() -> None:
    with started("--simulate", "-d", "600", "-i", "1", "--format", "csv") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 141
        assert process.stderr.read() == ""


# --- real -------------------------------------------------------------------------------------------------------------


@contextmanager
def http_server() -> Iterator[tuple[int, int]]:
    """Process id and port of a small HTTP server."""
    with running([sys.executable, "-c", HTTP], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())


def ask(port: int, times: int, source: str) -> None:
    """So many requests on one connection from a loopback address."""
    with socket.create_connection(("127.0.0.1", port), source_address=(source, 0)) as connection:
        for _ in range(times):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            received = b""
            while not received.endswith(b"\r\n\r\nok"):
                received += connection.recv(4096)


@pytest.mark.kernel
def test_a_real_server_is_counted_exactly() -> None:
    counts: dict[str, int] = {}
    with http_server() as (pid, port), started(str(pid), "-d", "600", "-i", "1", "--format", "json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["target"]["ports"] == [port]
        ask(port, 30, "127.0.0.7")
        ask(port, 12, "127.0.0.8")
        for line in itertools.islice(process.stdout, 20):
            report = json.loads(line)
            assert pid in report["target"]["pids"]
            for client in report["measures"]["request_latency"]["clients"]:
                counts[client["client"]] = counts.get(client["client"], 0) + client["count"]
            if sum(counts.values()) >= 42:
                break
    assert counts == {"127.0.0.7": 30, "127.0.0.8": 12}


@pytest.mark.kernel
def test_silence_is_inconclusive() -> None:
    with http_server() as (_, port):
        done = run(f":{port}", "-d", "1", "--format", "json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["measures"]["request_latency"]["count"] == 0
    assert "nothing came to port" in done.stderr


@pytest.mark.kernel
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_bpftrace_is_left(number: signal.Signals) -> None:
    with http_server() as (pid, _), started(str(pid), "-d", "600", "-i", "1", "--format", "csv") as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        tracers = [int(child) for child in children if _comm(int(child)) == "bpftrace"]
        assert tracers
        process.send_signal(number)
        process.communicate(timeout=30)
        for _ in range(100):
            if not any(_comm(tracer) == "bpftrace" for tracer in tracers):
                break
            threading.Event().wait(0.05)
        assert not any(_comm(tracer) == "bpftrace" for tracer in tracers)


def _comm(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return "" if stat.rpartition(")")[2].split()[0] == "Z" else Path(os.fspath(f"/proc/{pid}/comm")).read_text().strip()


def test_a_recording_tells_what_stood_out_in_it() -> None:
    recording = str(Path(__file__).parents[1] / "screenshots" / "incident.bpftop")
    (found,) = json.loads(run(recording, "--format", "json").stdout)["stood_out"]
    said = " · ".join(each["text"] for each in found["clauses"])
    assert "it waits for upstream 127.0.0.1:" in said
    assert "of the slow ones from 127.0.66.6" in said
    assert not found["over"]
