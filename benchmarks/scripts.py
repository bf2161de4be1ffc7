"""What each script costs a saturated nginx, one at a time, as ratios to no tracing.

Every script that the catalog has and this host can run, alone. The same nginx, the same load and the same caveats as in
overhead.py; how the rounds are run and compared is in paired.py.

    make bench-scripts    prints the table; ARGS="--write" puts it into benchmarks/README.md
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.overhead import WORKLOADS, saturable_nginx  # noqa: E402
from benchmarks.paired import Bench, Row, Stretch, interval_text, replaced, spread_text  # noqa: E402
from bpftop import preflight  # noqa: E402
from bpftop.scripts import catalog, compose  # noqa: E402
from bpftop.target import resolve  # noqa: E402

BEGIN, END = "<!-- scripts -->", "<!-- /scripts -->"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of load in each stretch")
    parser.add_argument("--bpftrace", default=None, help="the bpftrace to run")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    preflight.mount_tracefs()
    bpftrace = options.bpftrace or str(preflight.bpftrace_path())
    with tempfile.TemporaryDirectory(prefix="bpftop-bench-") as folder, saturable_nginx(Path(folder)) as nginx:
        target = resolve(f":{nginx.port}")
        host = preflight.Host()
        runnable = [preflight.suited(each, host) for each in catalog().values() if not preflight.missing(each, host)]
        rows = [Row(each.name, compose([each], target)) for each in runnable]
        bench = Bench(f"http://127.0.0.1:{nginx.port}{WORKLOADS['file'][1]}", target, options.seconds, bpftrace)
        untraced = bench.rounds(rows, options.rounds)
    text = table(rows, untraced, options.rounds, preflight.bpftrace_version(Path(bpftrace)) or "")
    print(text)
    if options.write:
        page = HERE / "README.md"
        page.write_text(replaced(page.read_text(), BEGIN, END, text))
    return 0


def table(rows: list[Row], untraced: list[Stretch], rounds: int, version: str) -> str:
    """One row a script."""
    lines = [
        "| | requests/s of untraced | added µs of CPU per request | CPU per request, untraced / this | ns per hit |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        told = interval_text(row.rates()), interval_text(row.added_us()), interval_text(row.times())
        lines.append(f"| {row.name} | {' | '.join(told)} | {row.hit_text()} |")
    said = f"bpftrace {version}, {rounds} rounds; {spread_text(untraced)}"
    return "\n".join([*lines, "", said])


if __name__ == "__main__":
    sys.exit(main())
