"""The figures of one collection, in milliseconds. Imports nothing heavy: the figures come as a report in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bpftop.errors import Inconclusive

UNBOUNDED = {"p50": 30, "p90": 30, "p95": 59, "p99": 299, "p999": 2995, "max": 1}
"""Fewer samples do not bound a percentile: the rule of ``bpftop compare`` (bpftop.compare.bootstrap.least_samples)."""
TITLES = {"p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p999": "p99.9", "max": "max"}
"""How people write them."""


@dataclass(frozen=True, slots=True)
class CollectedStats:
    """One measure over one block. Percentiles by nearest rank, within 0.8 %, in ms.

    Each raises Inconclusive when there are too few samples for it: a limit that nothing was held against must not pass.
    """

    target: str
    measure: str
    count: int
    duration_s: float
    """From the kernel's report before the block to the one after it."""
    rate_per_s: float
    values_ns: Mapping[str, int | None]
    """By the names of TITLES, whatever the number of samples."""
    min_samples: int | None = None
    """What was asked for instead of UNBOUNDED."""

    @classmethod
    def of(cls, report: Mapping[str, Any], measure: str, min_samples: int | None) -> CollectedStats:
        """From a report in JSON."""
        found = report["measures"][measure]
        values = {name: found[f"{name}_ns"] for name in TITLES}
        target, seconds = report["target"]["name"], report["duration_s"]
        return cls(target, measure, found["count"], seconds, found["rate_per_s"], values, min_samples)

    def needed(self, name: str) -> int:
        """How many samples a percentile takes at least."""
        return max(UNBOUNDED[name] if self.min_samples is None else self.min_samples, 1)

    def value_ns(self, name: str) -> int:
        """One of TITLES in ns. Raises Inconclusive when there are too few samples."""
        found, needed = self.values_ns[name], self.needed(name)
        if found is None or self.count < needed:
            few = f"{self.count:,} samples" if self.count != 1 else "1 sample"
            message = f"{self.measure} of {self.target} has {few}: at least {needed:,} are needed for {TITLES[name]}"
            raise Inconclusive(message, f"min_samples={max(self.count, 1)}")
        return found

    @property
    def p50_ms(self) -> float:
        """Half of all were at most this."""
        return self.value_ns("p50") / 1e6

    @property
    def p90_ms(self) -> float:
        """90 of 100 were at most this."""
        return self.value_ns("p90") / 1e6

    @property
    def p95_ms(self) -> float:
        """95 of 100 were at most this."""
        return self.value_ns("p95") / 1e6

    @property
    def p99_ms(self) -> float:
        """99 of 100 were at most this."""
        return self.value_ns("p99") / 1e6

    @property
    def p999_ms(self) -> float:
        """999 of 1000 were at most this."""
        return self.value_ns("p999") / 1e6

    @property
    def max_ms(self) -> float:
        """The longest."""
        return self.value_ns("max") / 1e6
