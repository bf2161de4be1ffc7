"""``bpftop compare`` under the name of the recipe that it grew from.

``python -m bpftop.latency_analyzer --baseline A.csv --current B.csv --threshold-p99 20`` is ``bpftop compare`` with the
same options and exit codes; ``from bpftop.latency_analyzer import LatencyAnalyzer`` reads one file.
"""

from __future__ import annotations

import sys

from bpftop.compare import LatencyAnalyzer

__all__ = ["LatencyAnalyzer"]

if __name__ == "__main__":
    from bpftop.cli import main

    sys.exit(main(["compare", *sys.argv[1:]]))
