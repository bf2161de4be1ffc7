"""What a comparison is made of: two runs, their figures, checks against thresholds, one verdict. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bpftop.model import Histogram

QUANTILES: Mapping[str, float] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
"""The name of each percentile, as in JSON and CSV, and its quantile."""
TITLES: Mapping[str, str] = {name: name for name in QUANTILES} | {"p999": "p99.9"}
"""How people write them."""


class Verdict(Enum):
    """What a comparison says; the worst check decides, and what is missing decides over all checks."""

    FINE = "fine"
    REGRESSION = "regression"
    INCONCLUSIVE = "inconclusive"

    @property
    def exit_code(self) -> int:
        """0, 1 or 4."""
        return {Verdict.FINE: 0, Verdict.REGRESSION: 1, Verdict.INCONCLUSIVE: 4}[self]


@dataclass(frozen=True, slots=True)
class Run:
    """One file, or the files of one snapshot, as distributions by measure."""

    path: str
    kind: str
    """``samples``, ``snapshot``, ``report`` or ``recording``."""
    measures: Mapping[str, Histogram]
    """By name, in the order of the file. A single sample of v ns is a bucket from v to v + 1."""
    notes: tuple[str, ...] = ()
    """What was left out or looks odd, in sentences."""
    problems: tuple[str, ...] = ()
    """Why nothing can be proven with it: data was lost, the run is partial."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """``target``, ``source``: what the file says about itself, when it does."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measure of one run. Percentiles by nearest rank, in ns; ``None`` without a sample."""

    count: int
    quantiles_ns: Mapping[str, int | None]
    """By the names of QUANTILES."""
    max_ns: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """How one percentile differs, as shares of the baseline: 0.25 is 25 % more."""

    quantile: str
    """A name of QUANTILES."""
    change: float
    low: float
    """The ends of the 98 % interval: 1 % of the draws are below ``low``, 1 % above ``high``."""
    high: float
    enough: bool
    """There are samples enough for the interval to mean anything."""


@dataclass(frozen=True, slots=True)
class Check:
    """One threshold applied to one percentile."""

    quantile: str
    threshold: float
    """The growth that is too much, as a share: 0.2 is 20 %."""
    verdict: Verdict
    reason: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class MeasureComparison:
    """One measure of both runs."""

    name: str
    base: Figures
    current: Figures
    changes: Mapping[str, Change]
    """By the names of QUANTILES; those of too few samples are there too, the checks say so. Empty without samples."""
    checks: tuple[Check, ...]
    base_histogram: Histogram
    current_histogram: Histogram


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that a text, a JSON object or a report for CI shows."""

    base: Run
    current: Run
    measures: tuple[MeasureComparison, ...]
    missing: Mapping[str, str]
    """Measures of one run only: name and the side that lacks it, ``baseline`` or ``current``."""
    problems: tuple[str, ...]
    """Why the verdict is inconclusive whatever the checks say."""

    @property
    def verdict(self) -> Verdict:
        """The worst of all, and inconclusive where data is missing."""
        verdicts = {check.verdict for measure in self.measures for check in measure.checks}
        if self.problems or not verdicts:
            return Verdict.INCONCLUSIVE
        return next(v for v in (Verdict.REGRESSION, Verdict.INCONCLUSIVE, Verdict.FINE) if v in verdicts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """What made the verdict: sentences, the decisive ones only."""
        if self.problems:
            return self.problems
        return tuple(f"{m.name} {c.reason}" for m in self.measures for c in m.checks if c.verdict is self.verdict)
