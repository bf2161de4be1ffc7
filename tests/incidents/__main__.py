"""``python -m tests.incidents [WORDS ...] [--healthy SECONDS] [--write]``: run them, print what was said.

No incident has the word ``none`` in its name: only the healthy time is run then, and the table of the page stays. A
page with a longer healthy time keeps that.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bpftop import preflight
from bpftop.stats.findings import judge
from tests.incidents.incidents import INCIDENTS
from tests.incidents.run import Health, Result, healthy, settle, suffer, text
from tests.incidents.scene import MORE, Scene, scene

PAGE = Path(__file__).parents[2] / "docs" / "incidents.md"
EACH_S = 60
START_S = 60
"""The load begins before the watches do; it must not end before them."""
BUT = """ while nginx had its CPUs. Looks at moments when others took them away (by the kernel's
own account of nginx's waiting; {:.0f} % of all looks) do not count"""
_HEADING = (
    "| incident | what happens | always | said | with scripts | said |",
    "|---|---|--:|---|--:|---|",
)


def main() -> int:
    """0 when every cause was named in time and nothing else was."""
    parser = argparse.ArgumentParser(prog="python -m tests.incidents", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="only incidents with one of these words in their name")
    parser.add_argument("--healthy", type=int, default=300, metavar="SECONDS", help="how long nothing happens first")
    parser.add_argument("--write", action="store_true", help="write docs/incidents.md when all is as it must be")
    asked = parser.parse_args()
    chosen = [each for each in INCIDENTS if not asked.names or any(word in each.name for word in asked.names)]
    with tempfile.TemporaryDirectory(prefix="bpftop-incident-") as name:
        Path(name).chmod(0o755)
        with scene(Path(name), START_S + asked.healthy + EACH_S * len(chosen)) as found:
            health = healthy(found, asked.healthy)
            print(f"healthy for {asked.healthy} s: {health.looks} looks, {health.starved} without CPUs", flush=True)
            print(
                *health.said[:9], *(f"without CPUs: {said}" for said in health.said_starved[:9]), sep="\n", flush=True
            )
            rows = [_row(found, each) for each in _tried(found, chosen)]
    table = "\n".join(rows)
    good = not health.said and "**" not in table
    if asked.write and good:
        PAGE.write_text(_page(rows, asked.healthy, health))
    return 0 if good else 1


def _tried(found: Scene, chosen: Sequence[object]) -> list[Result]:
    results = []
    for each in INCIDENTS:
        if each in chosen:
            settled = settle(found)
            result = suffer(found, each)
            print(
                f"{each.name}: {result.seconds} (calm before: {settled or text(judge(found.snapshot(True)))})",
                flush=True,
            )
            for scripts, said in result.said.items():
                print(f"  {'with scripts' if scripts else 'always'}: {said}", flush=True)
            results.append(result)
    return results


def _row(found: Scene, result: Result) -> str:
    incident = result.incident
    cells = []
    for scripts, wanted in ((False, incident.always(found)), (True, incident.scripts(found))):
        seconds = result.seconds[scripts]
        cells.append(f"{seconds:.1f} s" if seconds is not None else "**not in time**")
        cells.append("; ".join(f"“{_general(found, words)}”" for words in wanted))
    return f"| {incident.name} | {incident.what} | {' | '.join(cells)} |"


def _general(found: Scene, words: str) -> str:
    """Without the numbers of this run."""
    for pid in found.workers:
        words = words.replace(str(pid), "PID")
    for backend in found.backends:
        words = words.replace(f":{backend.port}", ":PORT")
    return words


def _page(rows: Sequence[str], healthy_s: int, health: Health) -> str:
    """The whole page; what this run has not tried is as it was."""
    before = PAGE.read_text() if PAGE.exists() else ""
    table = [line for line in before.splitlines() if line.startswith("|")] if not rows else [*_HEADING, *rows]
    longest = max(healthy_s, *map(int, re.findall(r"was healthy for (\d+) s", before)), 0)
    return (
        Path(__file__)
        .with_name("page.md")
        .read_text()
        .format(
            scripts="`, `".join(MORE),
            table="\n".join(table),
            healthy=longest,
            but=BUT.format(health.starved / max(health.looks, 1) * 100) if health.said_starved else "",
            bpftrace=preflight.bpftrace_version(preflight.bpftrace_path()),
            kernel=".".join(os.uname().release.split(".")[:2]),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
