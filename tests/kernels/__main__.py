"""``python -m tests.kernels [LABEL ...] [--scripts NAME,NAME] [--write]``: boot the kernels, try the scripts."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys

from bpftop import preflight
from tests.kernels.guest import REPOSITORY, run_in_guest
from tests.kernels.packages import SUITES, KernelUnavailable, cache_folder, kernel
from tests.kernels.rows import Row, command, rows_of
from tests.kernels.table import PAGE, page, table
from tests.kernels.truths import PROGRAMS
from tests.load.build import program

LIMIT_S = 3000


def main() -> int:
    """0 when no script failed on any kernel, 1 when one did or a kernel could not be booted."""
    parser = argparse.ArgumentParser(prog="python -m tests.kernels", description=__doc__)
    parser.add_argument("labels", nargs="*", metavar="LABEL", help=", ".join(SUITES))
    parser.add_argument("--scripts", default="", metavar="NAME,NAME", help="only these; doctor: the doctor")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}; takes all kernels and scripts")
    args = parser.parse_args()
    if args.write and (args.labels or args.scripts):
        parser.error("--write takes all kernels and scripts")
    if unknown := set(args.labels) - set(SUITES):
        parser.error(f"no kernel {sorted(unknown)[0]}; there are {', '.join(SUITES)}")
    names = tuple(filter(None, args.scripts.split(",")))
    rows, bad = _run_all(args.labels or list(SUITES), names)
    if args.write and not bad:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(rows, preflight.bpftrace_version(preflight.bpftrace_path())))
        print(f"wrote {PAGE}", file=sys.stderr)
    else:
        print(table(rows))
    for words in bad:
        print(words, file=sys.stderr)
    return 1 if bad else 0


def _run_all(labels: list[str], names: tuple[str, ...]) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    bad: list[str] = []
    for name in PROGRAMS:
        program(name)
    for label in labels:
        print(f"{label} ...", file=sys.stderr)
        kept = cache_folder() / f"rows-{label}-{_code()}"
        if not names and kept.exists():  # an earlier run of the very same code failed on another kernel
            rows += [Row(**json.loads(line)) for line in kept.read_text().splitlines()]
            continue
        try:
            run = run_in_guest(kernel(label), command(names), timeout_s=LIMIT_S)
        except (KernelUnavailable, RuntimeError) as error:
            bad.append(f"{label}: {error}")
            continue
        found = rows_of(label, run)
        print(f"  {found[0].release if found else '?'}: {run.total_s:.0f} s", file=sys.stderr)
        print("".join(f"  {row.script}: {row.state}\n" for row in found), end="", file=sys.stderr, flush=True)
        if run.code or not found:
            bad.append(f"{label}: exit code {run.code}: {run.stderr[-2000:]}")
        bad += [f"{row.release}: {row.script}: {row.detail}\n{run.stderr[-2000:]}" for row in found if row.failed]
        rows += found
        if not names and not run.code and not any(row.failed for row in found):
            kept.write_text("".join(f"{row.line()}\n" for row in found))
    return rows, bad


def _code() -> str:
    """Of all that a guest runs: it changes with every file."""
    files = sorted(path for name in ("bpftop", "bt", "tests") for path in (REPOSITORY / name).rglob("*.*"))
    content = b"".join(path.read_bytes() for path in files if path.is_file() and "__pycache__" not in path.parts)
    bpftrace = preflight.bpftrace_version(preflight.bpftrace_path())
    return hashlib.sha256(content + bpftrace.encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
