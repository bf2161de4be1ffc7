"""What stands out, and above all what does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpftop.model import ClientRow, SlowRequest, Summary, Trend
from bpftop.stats.findings import culprit, risen
from tests.snapshots import measure, snapshot

MS = 1_000_000


def trend(p99_ms: list[float]) -> Trend:
    """One second after the other, the last one now."""
    p99 = np.array(p99_ms) * 1e6
    age = np.arange(len(p99), dtype=np.float64)[::-1]
    return Trend(age, np.full(len(p99), 100.0), p99 / 2, p99)


def test_a_risen_p99_is_said_with_how_much() -> None:
    assert risen(trend([5.0] * 60 + [40.0] * 10)) == pytest.approx(8)


def test_one_bad_second_is_no_change_and_one_good_one_does_not_end_it() -> None:
    assert risen(trend([5.0] * 65 + [90.0] * 4)) is None
    assert risen(trend([5.0] * 60 + [40.0, 40.0, 40.0, 5.0, 40.0, 5.0, 40.0, 40.0, 40.0, 5.0])) == pytest.approx(8)


def test_too_little_is_no_news() -> None:
    assert risen(trend([5.0] * 8 + [50.0] * 10)) is None
    assert risen(trend([])) is None
    assert risen(trend([float("nan")] * 60 + [40.0] * 10)) is None


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_a_steady_server_is_left_alone(seed: int) -> None:
    """p99 of each second from 200 log-normal latencies of one distribution, five minutes of them."""
    rng = np.random.default_rng(seed)
    p99 = np.quantile(rng.lognormal(1.0, 0.8, (300, 200)), 0.99, axis=1)
    assert all(risen(trend(p99[: now + 1].tolist())) is None for now in range(0, 300, 7))


def slow(client: str, n: int, latency_ms: int = 500) -> list[SlowRequest]:
    return [SlowRequest(i, "request", latency_ms * MS, client) for i in range(n)]


def shown(counts: dict[str, int]) -> object:
    rows = tuple(ClientRow(name, n, n / 10, MS, MS, MS) for name, n in counts.items())
    total = sum(counts.values())
    return measure(summary=Summary(total, total / 10, MS, MS, MS, 400 * MS, 450 * MS, 500 * MS), clients=rows)


@pytest.mark.parametrize(
    ("events", "counts", "guilty"),
    [
        ([*slow("10.0.0.7", 46), *slow("10.0.0.1", 4)], {"10.0.0.7": 100, "10.0.0.1": 900}, ("10.0.0.7", 0.92, 50)),
        ([*slow("10.0.0.7", 46), *slow("10.0.0.1", 4)], {"10.0.0.7": 900, "10.0.0.1": 100}, None),
        ([*slow("10.0.0.7", 25), *slow("10.0.0.1", 25)], {"10.0.0.7": 100, "10.0.0.1": 900}, None),
        (slow("10.0.0.7", 9), {"10.0.0.7": 100, "10.0.0.1": 900}, None),
        (slow("10.0.0.7", 50, latency_ms=300), {"10.0.0.7": 100, "10.0.0.1": 900}, None),
    ],
    ids=["one of ten", "most of the traffic", "two alike", "too few", "not slower than p99"],
)
def test_the_client_behind_the_slow_requests(
    events: list[SlowRequest], counts: dict[str, int], guilty: tuple[str, float, int] | None
) -> None:
    found = culprit(snapshot(slow=events), shown(counts))  # type: ignore[arg-type]
    assert (found and (found.client, found.share, found.events)) == guilty
