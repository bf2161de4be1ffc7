"""Everything that a colleague needs of an incident, in one new folder: figures, the screen, a summary to paste."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bpftop import __version__, units
from bpftop.errors import FileError
from bpftop.export.files import NameTaken, create_all, create_folder
from bpftop.export.report_json import to_json
from bpftop.export.report_text import slow_first, to_text
from bpftop.export.snapshot_csv import file_stem, tables
from bpftop.model import MeasureSnapshot, Snapshot, losses
from bpftop.text import safe

_TRIES = 100
_ROWS = 10
_SENTENCE = 600


def write_bundle(snapshot: Snapshot, verdict: Sequence[str], screen: str, picture: str, directory: Path) -> Path:
    """Make a folder in ``directory`` with CSV files, summary.md, report.txt, report.json, screen.txt and screen.svg.

    ``verdict``: what stands out, a sentence each; ``screen`` and ``picture``: what was on it, as text and as SVG.
    Returns the folder. Nothing is left when it fails. Raises FileError.
    """
    contents = {f"{name}.csv": text for name, text in tables(snapshot).items()}
    contents |= {
        "summary.md": summary(snapshot, verdict),
        "report.txt": to_text(snapshot),
        "report.json": json.dumps(to_json(snapshot), indent=1) + "\n",
        "environment.json": json.dumps(environment(snapshot), indent=1) + "\n",
        "screen.txt": screen,
        "screen.svg": picture,
    }
    stem = file_stem(snapshot).replace("bpftop-", "bpftop-incident-", 1)
    for number in range(1, _TRIES + 1):
        folder = directory / (stem + (f"-{number}" if number > 1 else ""))
        try:
            with create_folder(folder):
                create_all(folder, contents)
        except NameTaken:
            continue
        return folder
    raise FileError(f"{directory} holds {_TRIES} incidents of this very second; nothing was written")


def summary(snapshot: Snapshot, verdict: Sequence[str]) -> str:
    """The figures that matter as Markdown, to paste into a chat or a ticket."""
    return "\n".join(
        [
            f"# {_cell(snapshot.target.name)}: {_moment(snapshot.unix_ns)}",
            "",
            *(f"- inconclusive: {_cell(each)}" for each in losses(snapshot).problems),
            *([f"- {_cell(each, _SENTENCE)}" for each in verdict] or ["Nothing was observed yet."]),
            "",
            *_percentiles(snapshot),
            *_clients(snapshot),
            *_slow(snapshot),
            *_accounts(snapshot),
            "",
        ]
    )


def environment(snapshot: Snapshot) -> dict[str, object]:
    """Versions and the target, without anything secret: no command lines, no variables."""
    return {
        "bpftop": __version__,
        "python": platform.python_version(),
        "platform": sys.platform,
        "machine": platform.machine(),
        "kernel": snapshot.kernel,
        "bpftrace": snapshot.bpftrace_version,
        "source": snapshot.tracer.source,
        "state": snapshot.tracer.state.value,
        "detail": safe(snapshot.tracer.detail, 400),
        "stderr": [safe(line, 400) for line in snapshot.tracer.stderr],
        "target": {
            "name": safe(snapshot.target.name),
            "pids": list(snapshot.target.pids),
            "ports": list(snapshot.target.ports),
        },
        "scripts": {script.name: script.state.value for script in snapshot.scripts},
    }


def _moment(unix_ns: int) -> str:
    return f"{datetime.fromtimestamp(unix_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _cell(text: str, most: int = 200) -> str:
    """Foreign words as text: nothing in them is Markdown, HTML or a mention."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#+!|~@" else char for char in safe(text, most))


def _percentiles(snapshot: Snapshot) -> Iterator[str]:
    window = f"{_cell(snapshot.window.label)} window" if snapshot.window.length_s else "since the start"
    yield f"| {window}, {units.span(snapshot.window.span_s)} | rate | n | p50 | p90 | p99 | p99.9 | max |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for each in snapshot.measures.values():
        s = each.summary
        times = (units.duration(value) for value in (s.p50_ns, s.p90_ns, s.p99_ns, s.p999_ns, s.max_ns))
        yield f"| {_cell(each.measure.title)} | {units.rate(s.rate_per_s)} | {s.count:,} | {' | '.join(times)} |"


def _clients(snapshot: Snapshot) -> Iterator[str]:
    shown = _main(snapshot)
    if shown is None or not shown.clients:
        return
    slow = max(shown.slow, sum(row.slow or 0 for row in shown.clients), 1)
    yield from ("", f"{_cell(shown.measure.title)}, clients with most of the slowest 1 %:", "")
    yield "| client | of slow | n | rate | p50 | p99 | max |"
    yield "|---|--:|--:|--:|--:|--:|--:|"
    for row in sorted(shown.clients, key=slow_first)[:_ROWS]:
        times = (units.duration(value) for value in (row.p50_ns, row.p99_ns, row.max_ns))
        figures = f"{units.percent((row.slow or 0) / slow)} | {row.count:,} | {units.rate(row.rate_per_s)}"
        yield f"| {_cell(row.client)} | {figures} | {' | '.join(times)} |"


def _slow(snapshot: Snapshot) -> Iterator[str]:
    """The slowest requests; a connection of an hour is no slow request, so other events only where there are none."""
    rows = [each for each in snapshot.slow if each.event == "request"] or snapshot.slow
    if not rows:
        return
    yield from (
        "",
        "Slowest single events:",
        "",
        "| time (UTC) | latency | event | client | |",
        "|---|--:|---|---|---|",
    )
    for slow in rows[:_ROWS]:
        moment = f"{datetime.fromtimestamp(slow.unix_ns / 1e9, UTC):%H:%M:%S.%f}"[:-3]
        more = " ".join(_cell(text) for text in slow.texts.values())
        row = (moment, units.duration(slow.latency_ns), _cell(slow.event), _cell(slow.client), more)
        yield f"| {' | '.join(row)} |"


def _accounts(snapshot: Snapshot) -> Iterator[str]:
    a, missed = snapshot.accounting, snapshot.missed
    yield ""
    yield (
        f"Events since the start: {a.produced:,} counted = {a.shown:,} shown + {a.suppressed:,} suppressed "
        f"+ {a.lost:,} lost + {a.rejected:,} rejected; {a.untracked:,} connections untracked; "
        f"{units.duration(a.unseen_ns)} without counts from bpftrace; "
        f"missed: {'unknown' if missed is None else f'{missed:,}'}."
    )
    yield from (f"- {_cell(sentence)}" for sentence in snapshot.over_budget)
    where = f"bpftop {__version__}, bpftrace {snapshot.bpftrace_version or 'none'}, Linux {snapshot.kernel or '?'}"
    yield f"{_cell(where)}; source: {_cell(snapshot.tracer.source)}."


def _main(snapshot: Snapshot) -> MeasureSnapshot | None:
    by_client = [each for each in snapshot.measures.values() if each.measure.key == "client"]
    return snapshot.measures.get("request_latency") or next(iter(by_client), None)
