"""The words by which tests ask for the plugin. Imports nothing."""

from __future__ import annotations

MARKER = "limit_latency"
SIGNATURE = f"{MARKER}(process='nginx', port=None, measure='request_latency', min_samples=None, p99='5ms', ...)"
FIXTURE = "bpftop_latency"
COLLECTOR = "bpftop.latency_collector.collector"
"""The module that a test has imported when it brings its own collector."""
