"""What tracing costs a saturated nginx: requests/s as a ratio, measured side by side in interleaved rounds.

Rows: no tracing; the same attach points with empty probes (what entering them costs, whatever they do); bpftop's
requests script (read queue, request latency, response time); its default scripts; the usual recipe, one printf per
request. nginx has one worker on the last CPU; wrk and bpftrace share the other CPUs. On a loopback every probe also
fires for the load generator's own sockets, so this is an upper bound of what a server with remote clients pays.

    make bench            prints the table; ARGS="--rounds 11 --write" puts it into benchmarks/README.md
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from bpftop import preflight  # noqa: E402
from bpftop.model import Program, Target  # noqa: E402
from bpftop.scripts import catalog, compose  # noqa: E402
from bpftop.target import resolve  # noqa: E402
from bpftop.tracer.overhead import OverheadMeter  # noqa: E402
from bpftop.tracer.supervisor import BpftraceSource  # noqa: E402
from tests.kernel.watching import Nginx, running_nginx  # noqa: E402

WORKLOADS = (
    ("fixed answer, no access log", "/fixed"),
    ("static file of 280 bytes, access log", "/index.html"),
    ("page of 10 kB compressed for each request, access log", "/page/"),
)
EMPTY = """
BEGIN { @none[(uint64)0] = (uint64)1; }
tracepoint:sock:sk_data_ready /@none[(uint64)args->skaddr]/ { @hits = count(); }
tracepoint:sock:sock_recv_length /@none[(uint64)args->sk]/ { @hits = count(); }
tracepoint:sock:sock_send_length /@none[(uint64)args->sk]/ { @hits = count(); }
interval:s:1 { printf("T %llu\\n", nsecs); }
"""
PRINTF = """
BEGIN {{ {pids} }}
tracepoint:sock:sock_recv_length /@pids[(uint64)pid] && args->ret > 0/ {{ @start[(uint64)args->sk] = nsecs; }}
tracepoint:sock:sock_send_length /@pids[(uint64)pid] && @start[(uint64)args->sk]/ {{
  printf("E 1 %llu %llu\\n", nsecs, nsecs - @start[(uint64)args->sk]);
  delete(@start[(uint64)args->sk]);
}}
interval:s:1 {{ printf("T %llu\\n", nsecs); }}
"""


bpftrace = ""
"""The path of the one that is measured."""


@dataclass
class Row:
    """One way of tracing and its rounds."""

    name: str
    program: Program | None
    per_s: list[float] = field(default_factory=list)
    worker_ns: list[float] = field(default_factory=list)
    ns_per_hit: list[float] = field(default_factory=list)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of load in each round")
    parser.add_argument("--bpftrace", default=None, help="the bpftrace to run")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    global bpftrace
    preflight.mount_tracefs()
    fatal = [problem for problem in preflight.problems() if problem.fatal]
    if fatal:
        print(f"bench: {fatal[0].message}\n  {fatal[0].hint}", file=sys.stderr)
        return 3
    bpftrace = options.bpftrace or str(preflight.bpftrace_path())
    tables = []
    for title, path in WORKLOADS:
        with tempfile.TemporaryDirectory(prefix="bpftop-bench-") as folder, saturable_nginx(Path(folder)) as nginx:
            rows = _measure(nginx, path, options.rounds, options.seconds)
        tables.append(f"nginx saturated: {title}\n\n" + _table(rows, options.rounds))
    text = "\n\n".join(tables)
    print(text)
    if options.write:
        _write(text)
    return 0


@contextlib.contextmanager
def saturable_nginx(folder: Path) -> Iterator[Nginx]:
    """One worker, pinned to the last CPU; an access log for all but the fixed answer; a page that is compressed."""
    with running_nginx(folder) as nginx:
        text = nginx.config.read_text()
        last = "1" + "0" * ((os.cpu_count() or 1) - 1)
        text = text.replace("worker_processes 2;", f"worker_processes 1; worker_cpu_affinity {last};")
        text = text.replace("access_log off;", f"access_log {folder}/access.log;")
        text = text.replace("location /fixed {", "location /page { gzip on; } location /fixed { access_log off;")
        text = text.replace("http {", "http { types { text/html html; }")
        nginx.config.write_text(text)
        words = ("latency", "queue", "request", "client", "server", "kernel")
        page = "".join(f"<li>{words[n * n % 6]} {n * 7919 % 1000}</li>\n" for n in range(450))
        (folder / "www" / "page").mkdir()
        (folder / "www" / "page" / "index.html").write_text(f"<ul>\n{page}</ul>\n")
        nginx.signal("reload")
        time.sleep(1)
        yield nginx


def _measure(nginx: Nginx, path: str, rounds: int, seconds: int) -> list[Row]:
    target = resolve(f":{nginx.port}")
    scripts = catalog()
    rows = [
        Row("no tracing", None),
        Row("the attach points, empty", Program(EMPTY, (), (), ())),
        Row("bpftop: requests", compose([scripts["requests"]], target)),
        Row("bpftop: requests, connections", compose([each for each in scripts.values() if each.default], target)),
        Row("one printf per request", _printf(target)),
    ]
    for number in range(rounds):
        for row in rows:
            print(f"round {number + 1} of {rounds}: {row.name}        ", end="\r", file=sys.stderr, flush=True)
            one_round(row, nginx, path, seconds, target)
    print(file=sys.stderr)
    return rows


def _printf(target: Target) -> Program:
    pids = " ".join(f"@pids[(uint64){pid}] = (uint64)1;" for pid in target.pids)
    return Program(PRINTF.format(pids=pids), (), (), ())


def one_round(row: Row, nginx: Nginx, path: str, seconds: int, target: Target) -> None:
    with _tracing(row) as pid:
        worker = max(target.pids)
        begun = _cpu_ns(worker)
        meter = OverheadMeter()
        sampler = threading.Timer(seconds * 0.4, lambda: (meter.tick(pid), time.sleep(0.3), meter.tick(pid)))
        sampler.start()
        url = f"http://127.0.0.1:{nginx.port}{path}"
        command = _elsewhere("wrk", "-t1", "-c32", f"-d{seconds}", "-H", "Accept-Encoding: gzip", url)
        out = subprocess.run(command, capture_output=True, text=True, check=False)
        sampler.join()
        found = re.search(r"(\d+) requests in", out.stdout)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", out.stdout)
        if not found or not rate or not int(found[1]):
            raise SystemExit(f"wrk said: {out.stdout}{out.stderr}")
        row.per_s.append(float(rate[1]))
        row.worker_ns.append((_cpu_ns(worker) - begun) / int(found[1]))
        if meter.overhead.ns_per_hit:
            row.ns_per_hit.append(meter.overhead.ns_per_hit)


def _elsewhere(*command: str) -> list[str]:
    """On all CPUs but the last."""
    cpus = (os.cpu_count() or 1) - 1
    return ["taskset", "-c", f"0-{max(0, cpus - 1)}", *command]


@contextlib.contextmanager
def _tracing(row: Row) -> Iterator[int | None]:
    if row.program is None:
        yield None
        return
    source = BpftraceSource(row.program, bpftrace)
    source.start()
    assert source.pid is not None
    subprocess.run(["taskset", "-acp", _elsewhere()[2], str(source.pid)], check=True, capture_output=True)
    ticks = threading.Event()
    readers = [threading.Thread(target=_drain, args=(fd, ticks), daemon=True) for fd in (source.stdout, source.stderr)]
    for reader in readers:
        reader.start()
    try:
        if not ticks.wait(60):
            raise SystemExit(f"{row.name}: bpftrace does not attach")
        yield source.pid
    finally:
        source.stop()
        for reader in readers:
            reader.join(30)
        source.wait(10)


def _drain(fd: int, ticks: threading.Event) -> None:
    while chunk := os.read(fd, 1 << 18):
        if b'"T ' in chunk:
            ticks.set()


def _cpu_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def _table(rows: list[Row], rounds: int) -> str:
    base = statistics.median(rows[0].per_s)
    halves = [statistics.median(part) for part in (rows[0].per_s[: rounds // 2 + 1], rows[0].per_s[rounds // 2 :])]
    lines = [
        "| | requests/s | of untraced | worker CPU per request | untraced / this | ns per probe hit |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = statistics.median(ours / none for ours, none in zip(row.per_s, rows[0].per_s, strict=True))
        hit = f"{statistics.median(row.ns_per_hit):.0f}" if row.ns_per_hit else "–"
        worker = min(row.worker_ns) / 1e3  # of the least disturbed round
        share = min(rows[0].worker_ns) / 1e3 / worker
        lines.append(
            f"| {row.name} | {statistics.median(row.per_s):,.0f} | {ratio:.3f} "
            f"| {worker:.2f} µs | {share:.3f} | {hit} |"
        )
    swing = abs(halves[0] - halves[1]) / base
    lines += [
        "",
        f"{rounds} interleaved rounds; ratios are medians of the rounds' own ratios. The untraced medians of the",
    ]
    lines += [f"two halves differ by {swing:.0%}" + ("." if swing <= 0.1 else ": **too noisy, measure again.**")]
    return "\n".join(lines)


def _write(text: str) -> None:
    """Renew the tables of this version of bpftrace, between its two marks."""
    version = preflight.bpftrace_version(Path(bpftrace))
    readme = HERE / "README.md"
    old = readme.read_text()
    begin, end = f"<!-- bpftrace {version} -->", f"<!-- /bpftrace {version} -->"
    if begin not in old:
        old = old.replace("How to read it:", f"{begin}\n{end}\n\nHow to read it:")
    new = f"{begin}\n### bpftrace {version}\n\n{text}\n{end}"
    readme.write_text(re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: new, old, flags=re.DOTALL))


if __name__ == "__main__":
    sys.exit(main())
