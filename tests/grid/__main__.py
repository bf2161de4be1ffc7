"""``python -m tests.grid [--bpftraces SUITES] [--rates 1000,0] [--at-once N] [--write]``: the books in every cell."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bpftop import preflight
from tests.bpftraces.versions import Version, of_suite
from tests.grid.cells import Cell, Outcome, all_cells, tried
from tests.kernel.watching import running_nginx

PAGE = Path(__file__).parents[2] / "docs" / "accounting.md"
_WORDS = Path(__file__).with_name("page.md")


def main() -> int:
    """0 when the books close in every cell."""
    parser = argparse.ArgumentParser(prog="python -m tests.grid", description=__doc__)
    parser.add_argument("--bpftraces", default="", metavar="SUITES", help="of Debian besides: trixie,sid")
    parser.add_argument("--rates", default="1000,10000,0", metavar="RATES", help="requests/s; 0: as much as goes")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="bpftraces beside each other")
    args = parser.parse_args()
    preflight.mount_tracefs()
    versions: list[Version | None] = [None, *map(of_suite, filter(None, args.bpftraces.split(",")))]
    cells = all_cells([int(rate) for rate in args.rates.split(",")], os.cpu_count() or 1)
    with ThreadPoolExecutor(args.at_once) as pool:
        outcomes = [each for found in pool.map(lambda version: _all(version, cells), versions) for each in found]
    if args.write:
        PAGE.write_text(page(outcomes))
        print(f"wrote {PAGE}", file=sys.stderr)
    else:
        print(table(outcomes))
    return 1 if any(outcome.wrong for outcome in outcomes) else 0


def _all(version: Version | None, cells: Sequence[Cell]) -> list[Outcome]:
    """All cells of one bpftrace, on an nginx of its own."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder, running_nginx(Path(folder)) as nginx:
        for cell in cells:
            outcomes.append(tried(cell, version, nginx.port))
            print(row(outcomes[-1]), "; ".join(outcomes[-1].wrong), file=sys.stderr, flush=True)
    return outcomes


def row(outcome: Outcome) -> str:
    """One line of the table."""
    cell, books = outcome.cell, outcome.books
    late = f"{outcome.missing_s:.1f} s" if outcome.missing_s is not None else "at the end"
    rate = f"{cell.rate_per_s:,}/s" if cell.rate_per_s else "max"
    numbers = (outcome.truth, books.produced, books.shown, books.suppressed, books.lost, books.rejected)
    cells = [outcome.version, str(cell.scripts), rate, cell.reader, str(cell.hogs), *(f"{n:,}" for n in numbers)]
    return "| " + " | ".join([*cells, late, "**no**" if outcome.wrong else "yes"]) + " |"


def table(outcomes: Sequence[Outcome]) -> str:
    """All of them."""
    head = "bpftrace | scripts | rate | reader | hogs | made | produced | shown | suppressed | lost | rejected"
    lines = [f"| {head} | missing until | exact |", "|---" * 5 + "|--:" * 7 + "|---|"]
    return "\n".join([*lines, *map(row, outcomes)])


def page(outcomes: Sequence[Outcome]) -> str:
    """The whole page."""
    wrong = [f"- {row(each)}: {'; '.join(each.wrong)}" for each in outcomes if each.wrong]
    full = [each.missing_s for each in outcomes if each.cell.reader == "full" and each.missing_s is not None]
    return _WORDS.read_text().format(
        table=table(outcomes),
        failures="\n".join(wrong) or f"In all {len(outcomes)} cells the books close and are exact.",
        kernel=".".join(os.uname().release.split(".")[:2]),
        longest=f"{max(full):.1f}" if full else "?",
        lossy=sum(bool(each.books.lost) for each in outcomes),
        cells=len(outcomes),
    )


if __name__ == "__main__":
    sys.exit(main())
