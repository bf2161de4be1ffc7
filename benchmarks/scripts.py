"""What each script costs a saturated nginx, one at a time: interleaved rounds, ratios.

Rows: no tracing, then every script that the catalog has and this host can run, alone. The same nginx, the same load and
the same caveats as in overhead.py.

    make bench-scripts    prints the table; ARGS="--rounds 7 --write" puts it into benchmarks/README.md
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from benchmarks import overhead  # noqa: E402
from benchmarks.overhead import Row  # noqa: E402
from bpftop import preflight  # noqa: E402
from bpftop.scripts import catalog, compose  # noqa: E402
from bpftop.target import resolve  # noqa: E402

BEGIN, END = "<!-- scripts -->", "<!-- /scripts -->"
PATH = "/index.html"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="of load in each round")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    options = parser.parse_args()
    preflight.mount_tracefs()
    overhead.bpftrace = str(preflight.bpftrace_path())
    with tempfile.TemporaryDirectory(prefix="bpftop-bench-") as folder, overhead.saturable_nginx(Path(folder)) as nginx:
        target = resolve(f":{nginx.port}")
        host = preflight.Host()
        runnable = [preflight.suited(each, host) for each in catalog().values() if not preflight.missing(each, host)]
        rows = [Row("no tracing", None), *(Row(each.name, compose([each], target)) for each in runnable)]
        for number in range(options.rounds):
            for row in rows:
                print(f"round {number + 1}: {row.name}        ", end="\r", file=sys.stderr, flush=True)
                overhead.one_round(row, nginx, PATH, options.seconds, target)
    text = table(rows, options.rounds)
    print(text)
    if options.write:
        page = HERE / "README.md"
        before, _, rest = page.read_text().partition(BEGIN)
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    return 0


def table(rows: list[Row], rounds: int) -> str:
    """One row a script; the CPU time is of the least disturbed round."""
    none = rows[0]
    lines = [
        "| script | requests/s of untraced | worker CPU per request | more than untraced | of it | ns per probe hit |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = statistics.median(mine / base for mine, base in zip(row.per_s, none.per_s, strict=True))
        least, base = min(row.worker_ns), min(none.worker_ns)
        hit = f"{statistics.median(row.ns_per_hit):.0f}" if row.ns_per_hit else "–"
        more = f"{(least - base) / 1000:+.2f} µs | {(least - base) / base:+.0%}" if row is not none else "– | –"
        lines.append(f"| {row.name} | {ratio:.3f} | {least / 1000:.2f} µs | {more} | {hit} |")
    half = rounds // 2 or 1
    drift = abs(statistics.median(none.per_s[:half]) / statistics.median(none.per_s[-half:]) - 1)
    noise = f"The untraced medians of the two halves differ by {drift:.0%}"
    return "\n".join([*lines, "", f"{rounds} interleaved rounds, static file with access log. {noise}."])


if __name__ == "__main__":
    sys.exit(main())
