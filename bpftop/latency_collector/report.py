"""The difference of two moments as a report, and as text for a test that fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bpftop import units
from bpftop.compare.buckets import Accounting
from bpftop.export import to_json
from bpftop.export.bars import histogram_lines
from bpftop.latency_collector.stats import TITLES
from bpftop.model import Histogram, Snapshot
from bpftop.stats.difference import between
from bpftop.text import safe

WIDTH = 80


def report_of(before: Snapshot, after: Snapshot) -> dict[str, Any]:
    """The figures between two moments as JSON; ``problems`` says in sentences why they prove nothing, if so."""
    spent = between(before, after)
    report = to_json(spent)
    observed = sum(measure.summary.count for measure in spent.measures.values())
    told = {
        **report["accounting"],
        "missed": spent.missed,
        "overhead_hits_per_s": spent.overhead.hits_per_s,
        "window_s": spent.window.span_s,
    }
    problems = list(Accounting.of(told, observed, spent.target.name).problems)
    if after.tracer.runs != before.tracer.runs:
        problems.append("bpftrace was started anew meanwhile, and between two runs nothing is counted")
    if lost := after.tracer.lost_messages - before.tracer.lost_messages:
        problems.append(f"bpftrace lost {lost} of its own messages")
    return report | ({"problems": problems} if problems else {})


def figures_text(report: Mapping[str, Any], measure: str) -> Iterator[str]:
    """The percentiles in two lines and the histogram, at most 80 columns."""
    found = report["measures"][measure]
    yield (
        f"{measure} of {safe(report['target']['name'], 30)}: n {found['count']:,} in {report['duration_s']:.1f} s "
        f"({units.rate(found['rate_per_s'])})"
    )
    if report["source"] != "bpftrace":
        yield f"{report['source']}: these figures are not from a kernel"
    if not found["count"]:
        return
    yield "  " + "  ".join(f"{title} {units.duration(found[f'{name}_ns'])}" for name, title in TITLES.items())
    rows = np.array(found["histogram"], np.int64).reshape(-1, 3)
    yield from histogram_lines(Histogram(rows[:, 0], rows[:, 1], rows[:, 2]), WIDTH)
