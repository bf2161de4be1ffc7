"""One file in milliseconds, for tests: ``assert LatencyAnalyzer().analyze_file(path).p99_ms < 100``."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from bpftop.compare.bootstrap import figures
from bpftop.compare.judging import PREFERRED
from bpftop.compare.model import Run
from bpftop.compare.reading import read_run
from bpftop.errors import FileError, Inconclusive


@dataclass(frozen=True, slots=True)
class LatencyStats:
    """The percentiles of one measure in milliseconds: nearest rank."""

    measure: str
    count: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


class LatencyAnalyzer:
    """Reads what ``bpftop compare`` reads."""

    def __init__(self, measure: str | None = None) -> None:
        """``measure``: which one, where a file has several; by default request latency."""
        self._measure = measure

    def analyze_file(self, path: str | PathLike[str]) -> LatencyStats:
        """The figures of a file. Raises FileError, and Inconclusive when it has no sample, was cut or lost too much."""
        run = read_run(Path(path))
        if run.problems:
            raise Inconclusive(f"{run.path}: {'; '.join(run.problems)}", f"bpftop compare {run.path} {run.path}")
        if not run.measures:
            raise Inconclusive(f"{run.path} holds no sample")
        name = self._chosen(run)
        found = figures(run.measures[name])
        ms = {quantile: (value or 0) / 1e6 for quantile, value in found.quantiles_ns.items()}
        return LatencyStats(
            name, found.count, ms["p50"], ms["p90"], ms["p95"], ms["p99"], ms["p999"], (found.max_ns or 0) / 1e6
        )

    def _chosen(self, run: Run) -> str:
        names = list(run.measures)
        if self._measure in names:
            return str(self._measure)
        if self._measure is None and (PREFERRED in names or len(names) == 1):
            return PREFERRED if PREFERRED in names else names[0]
        said = f"has no {self._measure}" if self._measure else "has several measures"
        raise FileError(f"{run.path} {said}: {', '.join(names)}", f'LatencyAnalyzer("{names[0]}")')
