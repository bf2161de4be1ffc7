"""A baseline out of a file: the run of another day behind the figures of now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from bpftop.model import Measure, MeasureSnapshot, Trend
from bpftop.stats import buckets
from bpftop.stats.quantiles import histogram, summarize
from bpftop.ui.view import Baseline

if TYPE_CHECKING:
    from bpftop.compare.model import Run


def baseline_of_run(run: Run) -> Baseline:
    """The distributions of a run as figures to compare with; they have no rates and no clients."""
    nothing = np.zeros(0)
    measures = {}
    for name, each in run.measures.items():
        dense = np.zeros(buckets.BUCKETS, np.int64)
        np.add.at(dense, np.minimum(buckets.bucket_of(each.low_ns), buckets.BUCKETS - 1), each.counts)
        trend = Trend(nothing, nothing, nothing, nothing)
        measures[name] = MeasureSnapshot(
            Measure(name, name, "", ""), summarize(dense, 0.0), histogram(dense), (), trend
        )
    try:
        written_ns = os.stat(run.path).st_mtime_ns
    except OSError:
        written_ns = 0
    return Baseline(written_ns, os.path.basename(run.path), measures, from_file=True)
