"""A measure as HdrHistogram's percentile distribution (``.hgrm``), which its plotters read. Values in ms."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from bpftop.model import Histogram, MeasureSnapshot
from bpftop.stats.buckets import BITS, OCTAVES

TICKS = 5
"""Lines for each half of the distance to 100 %."""


def to_hgrm(measure: MeasureSnapshot) -> str:
    """The distribution, ended by a line feed; heading and footer only when there is nothing."""
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for value_ns, level, running in steps(measure.histogram):
        line = f"{value_ns / 1e6:12.6f} {level / 100:2.12f} {running:10d}"
        lines.append(line if level == 100 else f"{line} {1 / (1 - level / 100):14.2f}")
    return "\n".join([*lines, *_footer(measure.histogram)]) + "\n"


def steps(histogram: Histogram) -> Iterator[tuple[int, float, int]]:
    """Value (ns, the largest of its bucket), percentile, and how many are at most that.

    The percentiles are those of HdrHistogram's iterator: their distance to 100 halves every TICKS lines.
    """
    total, running, level, highest = int(histogram.counts.sum()), 0, 0.0, 0
    for high, count in zip(histogram.high_ns.tolist(), histogram.counts.tolist(), strict=True):
        running, highest = running + count, high - 1
        while 100.0 * running / total >= level:
            yield highest, level, running
            level += _step(level)
            if running == total:
                break
    if total:
        yield highest, 100.0, total


def _step(level: float) -> float:
    halves = math.floor(math.log2(100 / (100 - level))) + 1
    return 100.0 / float(TICKS * 2**halves)


def _footer(histogram: Histogram) -> Iterator[str]:
    middles = (histogram.low_ns + histogram.high_ns - 1) / 2e6
    total = int(histogram.counts.sum())
    mean = float(np.average(middles, weights=histogram.counts)) if total else 0.0
    spread = math.sqrt(np.average((middles - mean) ** 2, weights=histogram.counts)) if total else 0.0
    most = (int(histogram.high_ns[-1]) - 1) / 1e6 if total else 0.0
    yield f"#[Mean    = {mean:12.6f}, StdDeviation   = {spread:12.6f}]"
    yield f"#[Max     = {most:12.6f}, Total count    = {total:12d}]"
    yield f"#[Buckets = {OCTAVES - BITS + 1:12d}, SubBuckets     = {2 << BITS:12d}]"
