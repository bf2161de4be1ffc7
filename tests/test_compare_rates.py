"""How often the verdict is wrong: a thousand seeded trials, as docs/compare.md states it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from bpftop.compare.bootstrap import figures, interval
from bpftop.compare.judging import compare, decide
from bpftop.compare.model import Run, Verdict
from bpftop.model import Histogram
from tests.compared import counted

Latencies = Callable[[np.random.Generator, int], NDArray[np.float64]]
TRIALS = 1000
THRESHOLD = 0.2
REGRESSION, FINE = Verdict.REGRESSION, Verdict.FINE


def lognormal(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    return random.lognormal(14, 0.5, n)


def exponential(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    return random.exponential(1e6, n)


def two_modes(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    """A cache: one request in twenty takes twenty times as long."""
    return np.where(random.random(n) < 0.95, random.lognormal(13, 0.4, n), random.lognormal(16, 0.4, n))


def trial(random: np.random.Generator, draw: Latencies, n: int, growth: float) -> tuple[Histogram, Histogram]:
    base, current = draw(random, n), draw(random, n) * (1 + growth)
    return counted(base.astype(np.int64)), counted(current.astype(np.int64))


def verdicts(draw: Latencies, n: int, growth: float, trials: int) -> Counter[Verdict]:
    """Of p99, in buckets as a report has them."""
    random = np.random.default_rng(20)
    said: Counter[Verdict] = Counter()
    for _ in range(trials):
        base, current = trial(random, draw, n, growth)
        was, now = (figures(side).quantiles_ns["p99"] or 0 for side in (base, current))
        found = interval(base, current, "p99", now / was - 1, True)
        said[decide(found, THRESHOLD)] += 1
    return said


@pytest.mark.parametrize(("draw", "trials"), [(lognormal, TRIALS), (exponential, TRIALS // 4)])
def test_ten_thousand_samples_find_25_percent_and_pass_5_percent(draw: Latencies, trials: int) -> None:
    """Threshold 20 %: at most 1 % false alarms, at most 1 % misses; what is inconclusive counts as missed."""
    slower = verdicts(draw, 10_000, 0.25, trials)
    assert slower[REGRESSION] >= 0.99 * trials
    noise = verdicts(draw, 10_000, 0.05, trials)
    assert noise[REGRESSION] <= 0.01 * trials
    assert noise[FINE] >= 0.95 * trials


def test_with_fewer_samples_it_is_inconclusive_sooner_than_wrong() -> None:
    few = TRIALS // 4
    assert verdicts(two_modes, 500, 0.25, few)[FINE] <= 0.02 * few
    assert verdicts(two_modes, 500, 0.05, few)[REGRESSION] <= 0.02 * few


def test_a_real_20_percent_is_hardly_ever_fine_and_no_change_always() -> None:
    few = TRIALS // 4
    assert verdicts(lognormal, 10_000, 0.2, few)[FINE] <= 0.02 * few
    assert verdicts(lognormal, 10_000, 0.0, few)[FINE] == few


def test_the_interval_is_that_of_a_plain_bootstrap() -> None:
    """Drawing all values again, a thousand times, gives the same ends."""
    random = np.random.default_rng(4)
    base, current = (draw.astype(np.int64) for draw in (lognormal(random, 2000), lognormal(random, 2000) * 1.3))
    rank = int(np.ceil(0.9 * 2000)) - 1

    def again(values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.partition(random.choice(values, (2000, 2000)), rank, axis=1)[:, rank]

    plain = np.quantile(again(current) / again(base) - 1, (0.01, 0.99))
    found = interval(counted(base), counted(current), "p90", 0.3, True)
    assert np.array([found.low, found.high]) == pytest.approx(plain, abs=0.02)


def test_the_same_files_give_the_same_verdict() -> None:
    random = np.random.default_rng(9)
    base, current = trial(random, exponential, 1000, 0.15)
    sides = Run("a", "report", {"m": base}), Run("b", "report", {"m": current})
    assert compare(*sides).measures[0].checks == compare(*sides).measures[0].checks
