"""Two measurements side by side: read from files, compared percentile by percentile, judged. Nothing here prints."""

from bpftop.compare.analyzer import LatencyAnalyzer, LatencyStats
from bpftop.compare.judging import compare
from bpftop.compare.model import Comparison, Run, Verdict
from bpftop.compare.reading import read_run

__all__ = ["Comparison", "LatencyAnalyzer", "LatencyStats", "Run", "Verdict", "compare", "read_run"]
