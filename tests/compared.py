"""Files for tests of the comparison: samples as CSV, distributions as runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bpftop.compare.model import Run
from bpftop.compare.samples import histogram_of
from bpftop.model import Histogram
from bpftop.stats import buckets, quantiles

HEADER = "timestamp_ns,latency_ns,event\n"


def skewed(n: int = 20_000, seed: int = 1, times: float = 1.0, spread: float = 0.5) -> NDArray[np.int64]:
    """Latencies (ns) around 1.2 ms with a long tail."""
    return (np.random.default_rng(seed).lognormal(14, spread, n) * times).astype(np.int64)


def run(path: str = "base.csv", **measures: Iterable[int]) -> Run:
    """Samples by measure, as if read from a file."""
    arrays = {name: np.asarray(list(values), np.int64) for name, values in measures.items()}
    return Run(path, "samples", {name: histogram_of(values) for name, values in arrays.items() if len(values)})


def counted(values: NDArray[np.int64]) -> Histogram:
    """The same in the buckets of a report."""
    return quantiles.histogram(np.bincount(buckets.bucket_of(values)))


def written(path: Path, values: Iterable[int], event: str = "request", header: str = HEADER) -> Path:
    """A file as the seed recipe writes it."""
    path.write_text(header + "".join(f"{i},{value},{event}\n" for i, value in enumerate(values)))
    return path
