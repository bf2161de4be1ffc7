"""What the figures of a test mean: held against its limits and against an earlier run. Text for a test that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bpftop import units
from bpftop.compare import compare
from bpftop.compare.model import Run
from bpftop.compare.reports import read_report
from bpftop.errors import BpftopError
from bpftop.latency_collector import BpftraceLatencyCollector
from bpftop.latency_collector.report import figures_text
from bpftop.latency_collector.stats import TITLES
from bpftop.pytest_plugin.limits import Limit
from bpftop.text import safe

NO_BASELINE = "the baseline has no figures for it: save them again with --bpftop-save"


def broken(limit: Limit, collected: BpftraceLatencyCollector) -> str:
    """Why a test fails by a limit, with the figures; empty when it holds."""
    try:
        stats = collected.stats
        over = []
        for name, most_ns in limit.most_ns.items():
            if (value := stats.value_ns(name)) > most_ns:
                over.append(f"{TITLES[name]} is {units.duration(value)}, the limit is {units.duration(most_ns)}")
    except BpftopError as error:
        return "\n".join([sentence(limit.target, error), *figures(collected)])
    return "\n".join([f"latency of {limit.target}: {'; '.join(over)}", *figures(collected)]) if over else ""


def sentence(label: str, error: BpftopError) -> str:
    """What went wrong with the latency of something; names of processes may be in it."""
    return f"latency of {safe(label)}: {safe(error.message)}"


def figures(collected: BpftraceLatencyCollector) -> Iterator[str]:
    """The percentiles and the histogram; nothing when there are none."""
    try:
        yield from figures_text(collected.report, collected.measure)
    except BpftopError:
        return


def grown(
    label: str,
    before: Mapping[str, Any] | None,
    collected: BpftraceLatencyCollector,
    thresholds: Mapping[str, float],
) -> str:
    """Why a test fails by comparison with an earlier run, with both distributions; empty when it does not."""
    from bpftop.compare.text import to_text

    if before is None:
        return f"latency of {label}: {NO_BASELINE}"
    try:
        base, current = _run("baseline", before), _run("current run", collected.report)
    except BpftopError as error:
        return sentence(label, error)
    sources = [run.facts.get("source", "") for run in (base, current)]
    if sources[0] != sources[1]:
        return f"latency of {label}: the baseline is from {sources[0]}, the current run from {sources[1]}"
    try:
        comparison = compare(base, current, thresholds, (collected.measure,), collected.min_samples)
    except BpftopError as error:
        return sentence(label, error)
    if not comparison.verdict.exit_code:
        return ""
    return f"latency of {label}: {comparison.verdict.value}\n{to_text(comparison)}"


def _run(side: str, report: Mapping[str, Any]) -> Run:
    return read_report(side, json.dumps(report).encode())
