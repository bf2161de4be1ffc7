"""Levels: silent over five minutes of every healthy server, awake within five seconds of a trouble, and back again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bpftop.stats import buckets
from bpftop.stats.levels import NOW_S, Level, Levels

MS = 1e6
REQUEST, QUEUE = "request_latency", "read_queue_latency"


class Seconds:
    """One measure, second after second."""

    def __init__(self, name: str = REQUEST) -> None:
        self.levels = Levels([name])
        self._past: list[NDArray[np.int64]] = []

    def pass_(self, values_ns: NDArray[np.float64]) -> Level:
        """A second with these observations."""
        new = np.bincount(buckets.bucket_of(values_ns.astype(np.int64)), minlength=buckets.BUCKETS)
        self._past = [*self._past, new][-NOW_S:]
        filled = np.flatnonzero(new)
        self.levels.take(len(self._past), 1.0, [(filled, new[filled])], np.sum(self._past, axis=0)[None])
        return self.levels.at()[0]


def lognormal(rng: np.random.Generator, n: int, median_ms: float, sigma: float) -> NDArray[np.float64]:
    return rng.lognormal(np.log(median_ms * MS), sigma, n)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([1, 5, 40, 300, 3000]),
    median_ms=st.sampled_from([0.05, 1.0, 20.0, 400.0]),
    sigma=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_five_healthy_minutes_are_silent(seed: int, rate: int, median_ms: float, sigma: float) -> None:
    """Poisson arrivals, log-normal latencies, and single bad seconds now and then (a pause of a whole second)."""
    rng = np.random.default_rng(seed)
    seconds = Seconds()
    for second in range(300):
        values = lognormal(rng, rng.poisson(rate), median_ms, sigma)
        if second % 37 == 30:
            values = values + rng.uniform(0, 1000 * MS, len(values))
        level = seconds.pass_(values)
        assert (level.risen_s, level.late_s, level.busier_s) == (None, None, None), second


@pytest.mark.parametrize(
    ("rate", "share"),
    [(30, 1.0), (30, 0.3), (30, 0.05), (1000, 1.0), (1000, 0.3), (1000, 0.05), (5, 1.0), (20_000, 0.05)],
)
def test_a_trouble_is_known_within_five_seconds_and_its_end_too(rate: int, share: float) -> None:
    rng = np.random.default_rng(rate)
    seconds = Seconds()
    calm = [seconds.pass_(lognormal(rng, rate, 2.0, 0.5)) for _ in range(30)]
    assert calm[-1].risen_s is None
    before = calm[-1].before
    trouble = []
    for _ in range(20):
        values = lognormal(rng, rate, 2.0, 0.5)
        slow = rng.random(rate) < share
        trouble.append(seconds.pass_(np.where(slow, values + 300 * MS, values)))
    first = next(i for i, level in enumerate(trouble) if level.risen_s is not None)
    assert first < 5
    assert all(level.risen_s is not None for level in trouble[first:])
    assert trouble[-1].before == trouble[first].before, "what is bad is no part of the level"
    assert trouble[-1].before.p99_ns == pytest.approx(before.p99_ns, rel=0.2)
    assert trouble[-1].risen_s == pytest.approx(20, abs=2)
    threshold_ns = buckets.lower_edge(trouble[-1].slow_from << buckets.CLIENT_SHIFT)
    assert 20 * MS < threshold_ns < 300 * MS, "between the level and the trouble"
    after = [seconds.pass_(lognormal(rng, rate, 2.0, 0.5)) for _ in range(10)]
    assert [level.risen_s is not None for level in after] == [True] * 4 + [False] * 6


def test_seconds_without_observations_neither_begin_nor_end_a_trouble() -> None:
    rng = np.random.default_rng(1)
    seconds = Seconds()
    for _ in range(30):
        seconds.pass_(lognormal(rng, 100, 2.0, 0.5))
    for _ in range(5):
        level = seconds.pass_(lognormal(rng, 100, 500.0, 0.5))
    assert level.risen_s is not None
    for _ in range(8):
        level = seconds.pass_(np.empty(0))
    assert level.risen_s is not None


def test_what_lasts_ten_minutes_is_the_level_from_then_on() -> None:
    rng = np.random.default_rng(2)
    seconds = Seconds()
    for _ in range(30):
        seconds.pass_(lognormal(rng, 50, 2.0, 0.5))
    states = [seconds.pass_(lognormal(rng, 50, 100.0, 0.5)).risen_s for _ in range(660)]
    assert states[590] is not None
    assert states[-1] is None


@pytest.mark.parametrize("share", [0.008, 0.012])
@pytest.mark.parametrize("rate", [25, 60, 200])
def test_slow_ones_now_and_then_are_no_rise_where_they_are_usual(share: float, rate: int) -> None:
    """With about 1 % of slow ones p99 is that of the others or theirs, as it happens."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        seconds = Seconds()
        for second in range(40):
            values = lognormal(rng, rng.poisson(rate), 3.0, 0.4)
            slow = rng.random(len(values)) < share
            level = seconds.pass_(np.where(slow, lognormal(rng, len(values), 300.0, 0.3), values))
            assert level.risen_s is None, (seed, second)


@pytest.mark.parametrize("calm_s", [5, 7, 10, 14])
@pytest.mark.parametrize("rate", [40, 200, 3000])
def test_an_incident_soon_after_the_start_is_not_taken_for_the_level(calm_s: int, rate: int) -> None:
    rng = np.random.default_rng(calm_s)
    seconds = Seconds()
    for _ in range(calm_s):
        assert seconds.pass_(lognormal(rng, rate, 2.0, 0.3)).before.count == 0
    for _ in range(40):
        level = seconds.pass_(np.append(lognormal(rng, rate // 2, 2.0, 0.3), lognormal(rng, rate // 2, 70.0, 0.05)))
    assert level.risen_s is not None
    assert level.before.p99_ns is not None
    assert level.before.p99_ns < 8 * MS
    states = [seconds.pass_(lognormal(rng, rate, 2.0, 0.3)).risen_s for _ in range(30)]
    assert states[-1] is None


def test_a_queue_is_bad_by_itself_from_the_first_seconds_on() -> None:
    rng = np.random.default_rng(3)
    queue, request = Seconds(QUEUE), Seconds(REQUEST)
    for _ in range(4):
        values = lognormal(rng, 100, 80.0, 0.5)
        of_queue, of_request = queue.pass_(values), request.pass_(values)
    assert of_queue.late_s is not None
    assert (of_request.late_s, of_request.risen_s) == (None, None), "a slow server is slow, not worse"


def test_more_traffic_than_ever() -> None:
    rng = np.random.default_rng(4)
    seconds = Seconds()
    for _ in range(30):
        level = seconds.pass_(lognormal(rng, 100, 2.0, 0.5))
    assert level.busier_s is None
    for _ in range(3):
        level = seconds.pass_(lognormal(rng, 800, 2.0, 0.5))
    assert (level.busier_s, level.risen_s) == (3.0, None)


def test_a_tail_is_long_and_far_from_the_median() -> None:
    rng = np.random.default_rng(5)
    states = []
    for tail_ms in (400.0, 15.0):
        seconds = Seconds()
        for _ in range(12):
            values = lognormal(rng, 100, 1.0, 0.2)
            values[:3] = tail_ms * MS
            level = seconds.pass_(values)
        states.append(level.tail_s is not None)
    assert states == [True, False]
