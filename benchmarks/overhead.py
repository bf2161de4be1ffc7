"""What tracing costs a saturated nginx: requests/s and CPU time per request as ratios to no tracing.

Rows: the same attach points with empty probes (what entering them costs, whatever they do); bpftop's default scripts;
the usual recipe, one printf per request. nginx has one worker on the last CPU; wrk and bpftrace share the other CPUs.
On a loopback every probe also fires for the load generator's own sockets, so this is an upper bound of what a server
with remote clients pays. How the rounds are run and compared is in paired.py.

    make bench            prints the tables; ARGS="--write" puts them into benchmarks/README.md
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.paired import Bench, Row, Stretch, interval_text, replaced, spread_text  # noqa: E402
from bpftop import preflight  # noqa: E402
from bpftop.model import Program, Target  # noqa: E402
from bpftop.scripts import catalog, compose  # noqa: E402
from bpftop.target import resolve  # noqa: E402
from tests.kernel.watching import Nginx, running_nginx  # noqa: E402

WORKLOADS = {
    "file": ("a static file of 280 bytes, access log, sendfile (Debian's nginx as it is installed)", "/index.html"),
    "fixed": ("`return 200 ok`, no access log (as little as nginx can do)", "/fixed"),
    "page": ("a page of 10 kB, compressed for each request, access log", "/page/"),
}
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


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=1, help="of load in each stretch")
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help="of file, fixed, page")
    parser.add_argument("--bpftrace", default=None, help="the bpftrace to run")
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks/README.md")
    options = parser.parse_args()
    preflight.mount_tracefs()
    fatal = [problem for problem in preflight.problems() if problem.fatal]
    if fatal:
        print(f"bench: {fatal[0].message}\n  {fatal[0].hint}", file=sys.stderr)
        return 3
    bpftrace = options.bpftrace or str(preflight.bpftrace_path())
    for name in options.workloads.split(","):
        title, path = WORKLOADS[name]
        with tempfile.TemporaryDirectory(prefix="bpftop-bench-") as folder, saturable_nginx(Path(folder)) as nginx:
            target = resolve(f":{nginx.port}")
            bench = Bench(f"http://127.0.0.1:{nginx.port}{path}", target, options.seconds, bpftrace)
            rows = _rows(target)
            untraced = bench.rounds(rows, options.rounds)
        text = f"nginx saturated: {title}\n\n" + _table(rows, untraced, options.rounds)
        print(text + "\n")
        if options.write:
            _write(text, preflight.bpftrace_version(Path(bpftrace)) or "", name)
    return 0


@contextlib.contextmanager
def saturable_nginx(folder: Path) -> Iterator[Nginx]:
    """One worker, pinned to the last CPU; an access log for all but the fixed answer; a page that is compressed."""
    with running_nginx(folder) as nginx:
        text = nginx.config.read_text()
        last = "1" + "0" * ((os.cpu_count() or 1) - 1)
        text = text.replace("worker_processes 2;", f"worker_processes 1; worker_cpu_affinity {last};")
        text = text.replace("access_log off;", f"sendfile on; tcp_nopush on; access_log {folder}/access.log;")
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


def _rows(target: Target) -> list[Row]:
    pids = " ".join(f"@pids[(uint64){pid}] = (uint64)1;" for pid in target.pids)
    return [
        Row("the attach points, empty", Program(EMPTY, (), (), ())),
        Row("bpftop", compose([each for each in catalog().values() if each.default], target)),
        Row("one printf per request", Program(PRINTF.format(pids=pids), (), (), ())),
    ]


def _table(rows: list[Row], untraced: list[Stretch], rounds: int) -> str:
    lines = [
        "| | requests/s of untraced | added µs of CPU per request | CPU per request, untraced / this | ns per hit |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        told = interval_text(row.rates()), interval_text(row.added_us()), interval_text(row.times())
        lines.append(f"| {row.name} | {' | '.join(told)} | {row.hit_text()} |")
    faster = [mine / printf for mine, printf in zip(rows[1].rates(), rows[2].rates(), strict=True)]
    said = f"{rounds} rounds; {spread_text(untraced)}"
    return "\n".join([*lines, "", said, f"bpftop leaves {interval_text(faster, 1)} times the requests/s of printf."])


def _write(text: str, version: str, workload: str) -> None:
    """Renew one table of this version of bpftrace, between its two marks."""
    readme = HERE / "README.md"
    old = readme.read_text()
    begin, end = f"<!-- {workload} {version} -->", f"<!-- /{workload} {version} -->"
    if f"### bpftrace {version}\n" not in old:
        marks = "\n\n".join(f"<!-- {name} {version} -->\n<!-- /{name} {version} -->" for name in WORKLOADS)
        old = old.replace("How to read it:", f"### bpftrace {version}\n\n{marks}\n\nHow to read it:", 1)
    readme.write_text(replaced(old, begin, end, text))


if __name__ == "__main__":
    sys.exit(main())
