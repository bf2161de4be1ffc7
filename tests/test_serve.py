"""``bpftop serve``: a scraper's view of it, its limits, real Prometheus and a receiver of OTLP."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from bpftop.cli import main
from bpftop.cli import serve as serve_module
from bpftop.cli.serve import Exporter, address
from bpftop.errors import UsageError
from bpftop.export import otlp, prometheus_text, scrape
from bpftop.export.classic import BOUNDS_NS
from bpftop.export.exponential import FACTOR
from bpftop.export.otlp import OtlpSender, endpoint_of
from bpftop.export.scrape import Answer, Pages, ScrapeServer, scraping
from bpftop.model import Snapshot, State, TracerStatus
from bpftop.session import Session
from bpftop.stats import buckets, quantiles
from tests.compared import counted, skewed
from tests.fakes import wait_for
from tests.snapshots import measure, snapshot

BPFTOP = [sys.executable, "-P", "-m", "bpftop"]
SAMPLES = skewed(20_000)


def distribution() -> Snapshot:
    """A snapshot of 20,000 latencies around 1.2 ms."""
    histogram = counted(SAMPLES)
    counts = np.bincount(buckets.bucket_of(SAMPLES), minlength=buckets.BUCKETS)
    summary = quantiles.summarize(counts, 10.0)
    return snapshot({"request_latency": replace(measure(summary=summary), histogram=histogram)})


class Still:
    """A session that says the same at any time."""

    def __init__(self, shot: Snapshot) -> None:
        self.shot = shot

    def snapshot(self, _window_s: float | None) -> Snapshot:
        return self.shot


def exporter(shot: Snapshot, clients: int = 0) -> Exporter:
    made = Exporter(clients)
    made.session = cast(Session, Still(shot))
    return made


@contextmanager
def served(pages: Pages) -> Iterator[ScrapeServer]:
    server = ScrapeServer("127.0.0.1", 0, pages)
    with scraping(server):
        yield server


@pytest.fixture
def server() -> Iterator[ScrapeServer]:
    found = exporter(snapshot())
    with served(Pages(found.metrics, found.health)) as running:
        yield running


def ask(server: ScrapeServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()


# --- HTTP -------------------------------------------------------------------------------------------------------------


def test_the_figures_in_the_format_that_was_asked_for(server: ScrapeServer) -> None:
    code, kind, text = ask(server, "/metrics?x=1")
    assert (code, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'bpftop_request_latency_seconds_count{target="nginx"} 4\n' in text
    wanted = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7"
    code, kind, data = ask(server, "/metrics", Accept=wanted)
    assert (code, kind.split(";")[0]) == (200, "application/vnd.google.protobuf")
    assert b"bpftop_request_latency_seconds" in data


def test_other_paths_and_methods(server: ScrapeServer) -> None:
    assert ask(server, "/metrics", "HEAD")[::2] == (200, b"")
    assert b"/metrics" in ask(server, "/")[2]
    assert ask(server, "/etc/passwd")[::2] == (404, b"404 there are /metrics and /healthz\n")
    assert ask(server, "/metrics", "POST")[0] == 501


def test_health_is_whether_the_kernel_reports() -> None:
    fine = snapshot()
    for state, detail, code, said in (
        (State.LIVE, "", 200, b"ok\n"),
        (State.STALLED, "no sign of life", 503, b"no sign of life\n"),
        (State.ATTACHING, "", 503, b"attaching\n"),
    ):
        found = exporter(replace(fine, tracer=TracerStatus(state, detail)))
        with served(Pages(found.metrics, found.health)) as server:
            assert ask(server, "/healthz")[::2] == (code, said)
            told = ask(server, "/metrics")[2]
            assert f'bpftop_tracing{{target="nginx"}} {int(code == 200)}\n'.encode() in told


def test_before_the_session_runs_there_is_nothing_yet() -> None:
    found = Exporter(0)
    with served(Pages(found.metrics, found.health)) as server:
        assert ask(server, "/metrics")[::2] == (200, b"")
        assert ask(server, "/healthz")[::2] == (503, b"starting\n")


def test_of_many_at_a_time_some_are_told_to_come_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "CONNECTIONS", 2)
    go = threading.Event()

    def slow(_accept: str) -> Answer:
        go.wait(20)
        return Answer("text/plain", b"late")

    with served(Pages(slow, lambda: Answer("text/plain", b"ok"))) as server:
        answers: list[tuple[int, str, bytes]] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(server, "/metrics"))) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(server._since) == 2)
        assert ask(server, "/metrics")[0] == 503
        go.set()
        for thread in threads:
            thread.join(20)
        assert [body for _, _, body in answers] == [b"late", b"late"]
        wait_for(lambda: not server._since)
        assert ask(server, "/healthz")[0] == 200, "their places are free again"


def test_who_dawdles_is_cut_off(monkeypatch: pytest.MonkeyPatch, server: ScrapeServer) -> None:
    monkeypatch.setattr(scrape, "PATIENCE_S", 0.2)
    with socket.create_connection(("127.0.0.1", server.server_port), 20) as connection:
        connection.sendall(b"GET /metrics HT")
        assert connection.recv(100) == b""
    wait_for(lambda: not server._since)
    assert ask(server, "/metrics")[0] == 200


# --- words ------------------------------------------------------------------------------------------------------------


def test_an_address_is_an_ip_address_and_a_port() -> None:
    assert address("127.0.0.1:9797") == ("127.0.0.1", 9797)
    assert address("[::1]:0") == ("::1", 0)
    assert address("localhost:80") == ("127.0.0.1", 80)
    assert address("0.0.0.0:80") == ("0.0.0.0", 80)
    for word in (":80", "80", "host:80", "127.0.0.1", "127.0.0.1:99999", "::1:80", "1.2.3:80", "[127.0.0.1:80"):
        with pytest.raises(UsageError, match="no address to listen on"):
            address(word)


def test_a_port_that_is_taken_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code = main(["serve", "--simulate", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"])
    assert code == 2
    assert "Address already in use" in capsys.readouterr().err


def test_every_network_is_warned_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_module, "_until", lambda *_: None)
    for host, warned in (("127.0.0.1", False), ("[::1]", False), ("0.0.0.0", True)):
        main(["serve", "--simulate", "--listen", f"{host}:0"])
        assert ("no password and no encryption" in capsys.readouterr().err) is warned


def test_a_url_for_otlp() -> None:
    assert endpoint_of("http://127.0.0.1:4318") == "http://127.0.0.1:4318/v1/metrics"
    assert endpoint_of("https://host/") == "https://host/v1/metrics"
    assert endpoint_of("https://host/otlp/v1/metrics") == "https://host/otlp/v1/metrics"
    for word in ("127.0.0.1:4318", "ftp://host", "http://", "http://[x", "grpc://host:4317"):
        with pytest.raises(UsageError, match="no address for OTLP"):
            endpoint_of(word)


def test_without_the_extra_the_command_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.metric_exporter", None)
    assert main(["serve", "--simulate", "--otlp", "http://127.0.0.1:4318"]) == 2
    said = capsys.readouterr().err
    assert "OTLP needs OpenTelemetry's SDK" in said
    assert "-m pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http" in said


# --- OpenTelemetry ----------------------------------------------------------------------------------------------------


@contextmanager
def receiver(status: int = 200) -> Iterator[tuple[str, list[ExportMetricsServiceRequest]]]:
    """Takes OTLP over HTTP; its address, and what has arrived."""
    arrived: list[ExportMetricsServiceRequest] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/metrics"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append(ExportMetricsServiceRequest.FromString(body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", arrived
        finally:
            server.shutdown()


def test_a_receiver_of_otlp_gets_the_figures() -> None:
    shot = distribution()
    with receiver() as (url, arrived):
        sender = OtlpSender(url, "nginx")
        assert sender.send(exporter(shot).families(), 1_000, 2_000) == ""
        sender.close()
    (resource,) = arrived[0].resource_metrics
    names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert (names["service.name"], names["bpftop.target"]) == ("bpftop", "nginx")
    metrics = {metric.name: metric for metric in resource.scope_metrics[0].metrics}
    latency = metrics["bpftop.request_latency"]
    (point,) = latency.exponential_histogram.data_points
    assert (latency.unit, point.count, point.start_time_unix_nano, point.time_unix_nano) == ("s", 20_000, 1_000, 2_000)
    assert sum(point.positive.bucket_counts) == 20_000
    assert point.sum == pytest.approx(SAMPLES.sum() / 1e9, rel=0.008)
    # p99 as a reader of the buckets finds it: within one bucket, and ours is within 0.8 %.
    index = point.positive.offset + int(np.searchsorted(np.cumsum(point.positive.bucket_counts), 19_800))
    p99_s = (shot.measures["request_latency"].summary.p99_ns or 0) / 1e9
    assert FACTOR**index / 1.008 < p99_s < FACTOR ** (index + 1) * 1.008
    starts = metrics["bpftop.bpftrace_starts"].sum
    assert (starts.is_monotonic, starts.data_points[0].as_double) == (True, 1)
    assert metrics["bpftop.tracing"].gauge.data_points[0].as_double == 1


def test_a_receiver_that_refuses_or_is_not_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "TIMEOUT_S", 0.5)
    found = exporter(snapshot()).families()
    with receiver(400) as (url, _):
        sender = OtlpSender(url, "nginx")
        assert "400" in sender.send(found, 1, 2)
        sender.close()
    sender = OtlpSender(url, "nginx")
    assert sender.send(found, 1, 2)
    sender.close()


# --- Prometheus -------------------------------------------------------------------------------------------------------


@contextmanager
def prometheus(folder: Path, ports: Mapping[str, int]) -> Iterator[Callable[[str], dict[str, float]]]:
    """A real one that scrapes these; gives a function from a query to its values by job."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    jobs = [{"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{at}"]}]} for name, at in ports.items()]
    settings = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML
    command = [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=native-histograms", "--log.level=warn"]

    def query(words: str) -> dict[str, float]:
        url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': words})}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            return {}
        return {each["metric"].get("job", ""): float(each["value"][1]) for each in found}

    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield query
        finally:
            process.terminate()


def test_prometheus_scrapes_it_and_its_quantile_agrees_with_ours(tmp_path: Path) -> None:
    shot = distribution()
    found = exporter(shot)
    native = Pages(found.metrics, found.health)
    classic = Pages(lambda _accept: found.metrics(""), found.health)
    with ExitStack() as stack:
        pages = {"native": native, "classic": classic}
        ports = {name: stack.enter_context(served(each)).server_port for name, each in pages.items()}
        with prometheus(tmp_path, ports) as query:
            wait_for(lambda: query("bpftop_tracing") == {"native": 1, "classic": 1}, "it scrapes nothing")
            by_bucket = query("histogram_quantile(0.99, bpftop_request_latency_seconds_bucket)")
            by_native = query("histogram_quantile(0.99, bpftop_request_latency_seconds)")
            counts = (
                query("bpftop_request_latency_seconds_count"),
                query("histogram_count(bpftop_request_latency_seconds)"),
            )
            events = query('bpftop_events_total{outcome="suppressed"}')
    p99_ns = shot.measures["request_latency"].summary.p99_ns or 0
    assert counts == ({"classic": 20_000}, {"native": 20_000})
    assert events == {"native": 6, "classic": 6}
    upper = min(bound for bound in BOUNDS_NS if bound >= p99_ns)
    lower = BOUNDS_NS[BOUNDS_NS.index(upper) - 1]
    assert lower <= by_bucket["classic"] * 1e9 <= upper, "in the same bucket"
    assert by_native["native"] * 1e9 == pytest.approx(p99_ns, rel=FACTOR - 1 + 0.008)


# --- the command ------------------------------------------------------------------------------------------------------


def test_serves_until_it_is_told_to_end() -> None:
    command = [*BPFTOP, "serve", "--simulate", "--listen", "127.0.0.1:0"]
    with ExitStack() as stack:
        url, arrived = stack.enter_context(receiver())
        with subprocess.Popen([*command, "--otlp", url], stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                match = re.search(r"serving http://127\.0\.0\.1:(\d+)/metrics", process.stderr.readline())
                assert match
                base = f"http://127.0.0.1:{match[1]}"

                def count() -> int:
                    text = urllib.request.urlopen(f"{base}/metrics", timeout=20).read().decode()
                    found = re.search(r"^bpftop_request_latency_seconds_count\S+ (\d+)", text, re.MULTILINE)
                    return int(found[1]) if found else 0

                wait_for(lambda: count() > 0, "nothing was counted")
                before = count()
                wait_for(lambda: count() > before, "it does not go on")
                wait_for(lambda: arrived, "nothing was sent")
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 143
                assert process.stderr.read() == ""
            finally:
                process.kill()


def test_a_report_as_a_textfile_is_rewritten_with_every_interval(tmp_path: Path) -> None:
    path = tmp_path / "bpftop.prom"
    words = ["report", "--simulate", "-d", "3", "-i", "1", "--prometheus-textfile", str(path)]
    with subprocess.Popen([*BPFTOP, *words], stdout=subprocess.PIPE, text=True) as process:
        seen = set()
        while process.poll() is None:
            if path.exists():
                text = path.read_text()
                assert text.endswith("\n")
                assert text.startswith("# HELP bpftop_")
                found = re.search(r"^bpftop_request_latency_seconds_count\S+ (\d+)", text, re.MULTILINE)
                seen.add(int(found[1]) if found else 0)
            time.sleep(0.02)
    assert process.returncode == 0
    assert len(seen) >= 3
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "prometheus", "-i", "1"], "--prometheus-textfile PATH is written anew"),
        (["--format", "hgrm", "-i", "1"], "hgrm has no intervals"),
        (["--measure", "request_latency"], "--measure is for --format hgrm"),
        (["--format", "hgrm", "--measure", "x", "-d", "1"], "there is no measure x; there are"),
        (["--prometheus-textfile", "/nowhere/x.prom", "-d", "1"], "there is no directory /nowhere"),
    ],
)
def test_words_of_report_that_make_no_sense(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["report", "--simulate", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_text_format_is_the_default() -> None:
    found = exporter(snapshot())
    assert found.metrics("").content_type == prometheus_text.CONTENT_TYPE
