"""The lines at the end of a test session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bpftop import units
from bpftop.errors import BpftopError
from bpftop.text import both_ends, safe

if TYPE_CHECKING:
    from bpftop.latency_collector import BpftraceLatencyCollector
    from bpftop.pytest_plugin.gate import Gate


def lines(gate: Gate, *, verbose: bool) -> Iterator[str]:
    """A row for each collection, the reasons of what was skipped, the file that was written."""
    if gate.rows and verbose:
        yield f"{'':42} {'n':>6} {'p50':>8}{'p99':>8}{'max':>8}"
        for nodeid, collector in gate.rows:
            yield _row(nodeid, collector)
    for why, number in gate.skipped.items():
        tests = "1 test was" if number == 1 else f"{number} tests were"
        yield f"{tests} skipped: {safe(why)}"
    if gate.said:
        yield gate.said


def _row(nodeid: str, collector: BpftraceLatencyCollector) -> str:
    name = both_ends(nodeid, 42)
    try:
        found = collector.report["measures"][collector.measure]
    except BpftopError as error:
        return f"{name:42} {safe(error.message, 100)}"
    times = "".join(f"{units.duration(found[key]):>8}" for key in ("p50_ns", "p99_ns", "max_ns"))
    made_up = "" if collector.report["source"] == "bpftrace" else f", {collector.report['source']}"
    mark = "" if collector.measure == "request_latency" else f" {collector.measure}"
    return f"{name:42} {units.count(found['count']):>6} {times}  {safe(collector.target, 30)}{mark}{made_up}"
