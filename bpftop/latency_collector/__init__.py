"""Latency while a block of Python runs: ``with BpftraceLatencyCollector("nginx") as collector: ...``."""

from bpftop.latency_collector.collector import BpftraceLatencyCollector
from bpftop.latency_collector.stats import CollectedStats

__all__ = ["BpftraceLatencyCollector", "CollectedStats"]
