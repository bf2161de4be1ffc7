"""From two runs to a verdict. The 98 % interval of a percentile's growth is held against a threshold:

* **fine**: the interval ends below the threshold (a non-inferiority test with the threshold as its margin).
* **regression**: it reaches the threshold and begins above a third of it. Smaller growth counts as noise.
* **inconclusive**: it reaches the threshold and begins below that third: too few samples to tell.

So, whatever the number of samples, at most about 1 % of the runs that grew by the threshold are fine, and at most about
1 % of those that grew by a third of it or less are a regression. tests/test_compare_rates.py measures it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bpftop import units
from bpftop.compare.bootstrap import figures, interval, least_samples, same
from bpftop.compare.model import QUANTILES, TITLES, Change, Check, Comparison, Figures, MeasureComparison, Run, Verdict
from bpftop.compare.wording import percent, plain
from bpftop.errors import FileError, UsageError
from bpftop.model import Histogram

NOISE = 1 / 3
"""The part of a threshold that is not worth an alarm: growth of 6.7 % where 20 % is too much."""
PREFERRED = "request_latency"
DEFAULT_THRESHOLDS: Mapping[str, float] = {"p99": 0.2}
_EMPTY = Histogram(*(np.zeros(0, np.int64),) * 3)
_MOST_NEEDED = 10**8


def compare(
    base: Run,
    current: Run,
    thresholds: Mapping[str, float] = DEFAULT_THRESHOLDS,
    measures: Sequence[str] = (),
    min_samples: int | None = None,
) -> Comparison:
    """Compare ``measures`` of two runs: by default request latency, where one has none all that both have.

    ``thresholds``: the name of a percentile and the growth that is too much, as a share. ``min_samples`` replaces the
    rule of ``least_samples``. Raises UsageError for a measure that neither run has, FileError when they share none.
    """
    names = _chosen(base, current, measures)
    missing = {name: "baseline" for name in current.measures if name not in base.measures}
    missing |= {name: "current" for name in base.measures if name not in current.measures}
    compared = [
        _measure(name, base.measures.get(name, _EMPTY), current.measures.get(name, _EMPTY), thresholds, min_samples)
        for name in names
    ]
    return Comparison(base, current, tuple(compared), missing, tuple(_problems(base, current, names, missing)))


def _chosen(base: Run, current: Run, asked: Sequence[str]) -> list[str]:
    known = list(dict.fromkeys([*base.measures, *current.measures]))
    for name in asked:
        if known and name not in known:
            hint = f"--measure {known[0]}; there are {', '.join(known)}"
            raise UsageError(f"there is no measure {name} in these files", hint)
    if asked:
        return list(dict.fromkeys(asked))
    common = [name for name in base.measures if name in current.measures]
    if not common and base.measures and current.measures:
        have = [f"{run.path} has {', '.join(run.measures)}" for run in (base, current)]
        raise FileError(f"these files have no measure in common: {'; '.join(have)}", "bpftop compare --help")
    # On one side only it is chosen too: that no request came to the other must not pass.
    return [PREFERRED] if PREFERRED in known else common


def _problems(base: Run, current: Run, names: Sequence[str], missing: Mapping[str, str]) -> list[str]:
    """What makes any verdict worthless."""
    found = []
    for side, run in (("baseline", base), ("current", current)):
        found += [f"{side} {run.path}: {why}" for why in run.problems]
        found += [] if run.measures else [f"{side} {run.path} holds no sample"]
    if base.measures and current.measures:
        found += [f"the {missing[name]} has no {name}" for name in names if name in missing]
    return found


def _measure(
    name: str, base: Histogram, current: Histogram, thresholds: Mapping[str, float], min_samples: int | None
) -> MeasureComparison:
    before, after = figures(base), figures(current)
    judge = _Judge(base, current, before, after, min_samples)
    checks = tuple(judge.check(quantile, threshold) for quantile, threshold in thresholds.items())
    return MeasureComparison(name, before, after, judge.changes, checks, base, current)


def decide(found: Change, threshold: float) -> Verdict:
    """The verdict on a change with samples enough, as the head of this module has it."""
    if found.high < threshold:
        return Verdict.FINE
    return Verdict.INCONCLUSIVE if found.low < threshold * NOISE else Verdict.REGRESSION


class _Judge:
    """Applies thresholds to one measure."""

    def __init__(self, base: Histogram, current: Histogram, before: Figures, after: Figures, least: int | None) -> None:
        self._before, self._after = before, after
        self._unchanged = same(base, current)
        self._count = min(before.count, after.count)
        self._needed = {name: max(least_samples(q) if least is None else least, 1) for name, q in QUANTILES.items()}
        self.changes: dict[str, Change] = {}
        for name in QUANTILES if self._count else ():
            was, now = (max(side.quantiles_ns[name] or 0, 1) for side in (before, after))
            self.changes[name] = interval(base, current, name, now / was - 1, self._count >= self._needed[name])

    def check(self, quantile: str, threshold: float) -> Check:
        """The verdict on one percentile, with its reason."""
        title, needed = TITLES[quantile], self._needed[quantile]
        if self._count < needed:
            side = "the baseline" if self._before.count == self._count else "the current run"
            why = f"{title}: {side} has {self._count:,} samples, at least {needed:,} are needed"
            return Check(quantile, threshold, Verdict.INCONCLUSIVE, why)
        if self._unchanged:
            return Check(quantile, threshold, Verdict.FINE, f"{title}: the same counts on both sides, 0 %")
        found = self.changes[quantile]
        verdict = decide(found, threshold)
        why = f"{title} {self._told(quantile)}: {self._why(found, threshold, verdict)}"
        return Check(quantile, threshold, verdict, why)

    def _why(self, found: Change, threshold: float, verdict: Verdict) -> str:
        limit = plain(threshold)
        if verdict is Verdict.FINE:
            return f"a growth of {limit} is excluded"
        if verdict is Verdict.INCONCLUSIVE:
            return f"neither {limit} nor noise is excluded; {self._more(found, threshold)}"
        return f"more than {limit}" if found.change > threshold else f"it has grown, and {limit} is not excluded"

    def _told(self, quantile: str) -> str:
        found = self.changes[quantile]
        was, now = (units.duration(side.quantiles_ns[quantile]) for side in (self._before, self._after))
        return f"{was} → {now}, {percent(found.change)} (98 % interval {percent(found.low)} to {percent(found.high)})"

    def _more(self, found: Change, threshold: float) -> str:
        """How many samples would tell, were nothing changed: an interval narrows with the root of their number."""
        wide = math.log1p(found.high) - math.log1p(max(found.low, -0.999))
        needed = max(self._count * (wide / math.log1p(threshold)) ** 2, self._count * 1.5)
        if needed > _MOST_NEEDED:
            return "more samples would hardly tell, another percentile may"
        unit = 10 ** max(len(f"{needed:.0f}") - 2, 0)
        return f"about {math.ceil(needed / unit) * unit:,} samples a side would tell"
