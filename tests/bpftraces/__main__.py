"""``python -m tests.bpftraces [SUITE ...] [--bpftrace PATH] [--write]``: every script on every bpftrace."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bpftop import preflight
from tests.bpftraces.matrix import Result, rows, run
from tests.bpftraces.record import record
from tests.bpftraces.versions import SUITES, Version, of_path, of_suite
from tests.kernels.packages import KernelUnavailable

PAGE = Path(__file__).parents[2] / "docs" / "bpftrace.md"
_TEMPLATE = Path(__file__).with_name("page.md")


def main() -> int:
    """0 when every script does what it must on every version, 1 when one does not or a version is not to be had."""
    args = _arguments()
    preflight.mount_tracefs()
    try:
        versions = [of_suite(suite) for suite in args.suites]
        versions += [of_path(path.absolute(), "built from its sources") for path in args.bpftrace]
    except (KernelUnavailable, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    versions.sort(key=lambda version: [int(part) for part in version.number.split(".")])
    if args.record:
        for version in versions:
            record(version)
        return 0
    results = [_one(version, script, not args.no_tests) for script in args.script or rows() for version in versions]
    text = page(versions, results)
    if args.write:
        PAGE.write_text(text)
        print(f"wrote {PAGE}", file=sys.stderr)
    else:
        print(text)
    return 1 if any(result.wrong for result in results) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bpftraces", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"suites of Debian; without any: {' '.join(SUITES)}")
    parser.add_argument("--bpftrace", type=Path, action="append", default=[], metavar="PATH", help="another bpftrace")
    parser.add_argument("--script", action="append", metavar="NAME", help="only this script")
    parser.add_argument("--no-tests", action="store_true", help="attach and count only: no kernel tests")
    parser.add_argument(
        "--record", action="store_true", help="make the recordings in tests/data anew, and nothing else"
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    args = parser.parse_args()
    if not args.suites and (args.write or not args.bpftrace):
        args.suites = SUITES
    if args.write and (args.script or args.no_tests):
        parser.error("--write takes all scripts with their tests")
    return args


def _one(version: Version, script: str, tests: bool) -> Result:
    print(f"{script} on {version.number} ...", file=sys.stderr, flush=True)
    result = run(version, script, tests=tests)
    for words in result.wrong:
        print(f"  {words}", file=sys.stderr, flush=True)
    return result


def page(versions: Sequence[Version], results: Sequence[Result]) -> str:
    """The whole page."""
    numbers = [version.number for version in versions]
    cells = {(result.script, result.version): result.cell for result in results}
    scripts = list(dict.fromkeys(result.script for result in results))
    table = [f"| script | {' | '.join(numbers)} |", "|---|" + "---|" * len(numbers)]
    table += [f"| {script} | {' | '.join(cells[script, number] for number in numbers)} |" for script in scripts]
    failures = [f"- `{result.script}` on {result.version}: {words}" for result in results for words in result.wrong]
    return _TEMPLATE.read_text().format(
        versions="\n".join(f"| {version.number} | {version.origin} | {_doctor(version)} |" for version in versions),
        kernel=".".join(os.uname().release.split(".")[:2]),
        table="\n".join(table),
        failures="\n".join(failures) or "Nothing failed.",
    )


def _doctor(version: Version) -> str:
    """What ``bpftop doctor`` says about this version."""
    found = preflight.checks(preflight.Host(bpftrace=version.path))
    return next((check.problem.message for check in found if check.name == "bpftrace" and check.problem), "no warning")


if __name__ == "__main__":
    sys.exit(main())
