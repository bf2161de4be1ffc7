"""What each script costs a saturated nginx, one at a time, as ratios to no tracing.

Every script that the catalog has and this host can run, alone, on the static file of overhead.py; those of CLOSED
with one request a connection, where they have most to do. How the rounds are run and compared is in paired.py.

    make bench-scripts    prints the table; ARGS="--write" keeps it: bt/costs.json, and all that is made from it
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.overhead import WORKLOADS, saturable_nginx  # noqa: E402
from benchmarks.paired import Bench, Row, interval, spread_text  # noqa: E402
from bpftop import preflight  # noqa: E402
from bpftop.model import Cost  # noqa: E402
from bpftop.scripts import catalog, compose, costs, page  # noqa: E402
from bpftop.scripts.catalog import script_folder, shipped  # noqa: E402
from bpftop.target import resolve  # noqa: E402

CLOSED = ("connections",)
LOADS = {"keep-alive": (), "one request a connection": ("Connection: close",)}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1, help="of load in each stretch")
    parser.add_argument("--bpftrace", default=None, help="the bpftrace to run")
    parser.add_argument("--write", action="store_true", help="keep it, and make the tables of the documentation anew")
    options = parser.parse_args()
    preflight.mount_tracefs()
    bpftrace = options.bpftrace or str(preflight.bpftrace_path())
    with tempfile.TemporaryDirectory(prefix="bpftop-bench-") as folder, saturable_nginx(Path(folder)) as nginx:
        found = _measured(f"http://127.0.0.1:{nginx.port}{WORKLOADS['file'][1]}", nginx.port, bpftrace, options)
    print(page.cost_table(found))
    if options.write:
        costs.write(script_folder(), found)
        shipped.cache_clear()
        page.write(HERE.parent)
    return 0


def _measured(url: str, port: int, bpftrace: str, options: argparse.Namespace) -> costs.Costs:
    target = resolve(f":{port}")
    host = preflight.Host()
    version = preflight.bpftrace_version(Path(bpftrace)) or ""
    runs, found = [], {}
    for load, headers in LOADS.items():
        names = CLOSED if headers else [name for name in catalog() if name not in CLOSED]
        runnable = [each for name, each in catalog().items() if name in names and not preflight.missing(each, host)]
        rows = [Row(each.name, compose([preflight.suited(each, host)], target)) for each in runnable]
        bench = Bench(url, target, options.seconds, bpftrace, headers)
        untraced = bench.rounds(rows, options.rounds)
        found |= {row.name: _cost(row) for row in rows}
        runs.append(f"{load}: bpftrace {version}, {options.rounds} rounds; {spread_text(untraced)}")
    return costs.Costs(tuple(runs), {name: found[name] for name in catalog() if name in found})


def _cost(row: Row) -> Cost:
    hit = round(float(np.median(row.ns_per_hit))) if row.ns_per_hit else None
    medians = (costs.rounded(interval(each)) for each in (row.rates(), row.added_us(), row.times()))
    return Cost(*medians, hit)


if __name__ == "__main__":
    sys.exit(main())
