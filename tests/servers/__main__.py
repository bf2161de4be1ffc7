"""``python -m tests.servers [NAME ...] [--write]``: run the servers, print the table, write the page."""

from __future__ import annotations

import argparse
import sys

from bpftop import preflight
from tests.servers.case import Case, Missing
from tests.servers.measure import Row, run
from tests.servers.registry import ALL
from tests.servers.table import PAGE, page


def main() -> int:
    """0 when every server counted as expected, 1 when one did not or is not installed."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(case.name for case in ALL))
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}; needs all servers")
    args = parser.parse_args()
    cases = [case for case in ALL if not args.names or case.name in args.names]
    if not cases or (args.write and args.names):
        parser.error("--write takes all servers" if cases else f"no server {args.names[0]}")
    preflight.mount_tracefs()
    rows, bad = _run_all(cases)
    if not rows:
        return 1
    text = page(rows, preflight.bpftrace_version(preflight.bpftrace_path()))
    if args.write and not bad:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
        print(f"wrote {PAGE}", file=sys.stderr)
    else:
        print(text)
    for words in bad:
        print(words, file=sys.stderr)
    return 1 if bad else 0


def _run_all(cases: list[Case]) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    bad: list[str] = []
    for case in cases:
        print(f"{case.title} ...", file=sys.stderr)
        try:
            found = run(case)
        except Missing as error:
            bad.append(f"{case.title}: not installed. Type: apt-get install {error}")
            continue
        except RuntimeError as error:
            bad.append(f"{case.title}: {error}")
            continue
        rows += found
        bad += [words for row in found for words in row.wrong]
    return rows, bad


if __name__ == "__main__":
    sys.exit(main())
