"""Buckets and quantiles: against the kernel's own macro, against sorted lists."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop import wire
from bpftop.scripts.macros import extract
from bpftop.stats import buckets
from bpftop.stats.buckets import BUCKETS, CLIENT_BUCKETS, CLIENT_SHIFT, OCTAVES
from bpftop.stats.quantiles import QUANTILES, grouped_ranks, histogram, nearest_rank, summarize

COUNTS_BT = Path(__file__).parents[1] / "bt" / "lib" / "counts.bt"
LAST = (1 << OCTAVES) - 1
VALUES = st.one_of(
    st.integers(0, LAST),
    st.integers(0, OCTAVES - 1).flatmap(lambda p: st.integers(max(0, (1 << p) - 3), min(LAST, (1 << p) + 3))),
)


def every_kind_of_value() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The corners of all octaves and some thousand values between, each octave as often as any other."""
    corners = [v for p in range(OCTAVES) for v in range(max(0, (1 << p) - 130), (1 << p) + 130)]
    random = np.random.default_rng(7).uniform(0, OCTAVES, 20_000)
    return np.unique(np.clip(np.concatenate([corners, 2**random]).astype(np.int64), 0, LAST))


def kernel_rule() -> Callable[[int, int, int], dict[str, int]]:
    """``macro observe`` of counts.bt as a Python function: the key it counts, by map. Translated from its text."""
    macros = extract(COUNTS_BT.read_text())[1]
    code = macros["observe"].body.replace("index_of($value);", macros["index_of"].body)
    code = re.sub(r"//[^\n]*", "", code)
    code = code.replace("(uint64)", "").replace("$", "").replace(" / ", " // ")
    code = re.sub(r"@(\w+)\[(.*?)\] = count\(\)", r"found['@\1'] = \2", code)
    source, depth = ["def observe(measure, value, key, now):", " found = {}"], 1
    for token in re.findall(r"[^;{}]*[;{}]", code):
        words = token.strip()
        if words == "}":
            depth -= 1
        elif words.endswith("{"):
            source.append(" " * depth + words[:-1].strip() + ":")
            depth += 1
        elif words != ";":
            source.append(" " * depth + words[:-1].strip())
    space: dict[str, Callable[[int, int, int, int], dict[str, int]]] = {}
    exec("\n".join([*source, " return found"]), {}, space)
    observe = space["observe"]

    def both_halves(measure: int, value: int, client: int) -> dict[str, int]:
        return observe(measure, value, client, 0) | observe(measure, value, client, 10**9)  # an even and an odd second

    return both_halves


def test_the_kernel_counts_in_the_same_bucket() -> None:
    rule = kernel_rule()
    values = every_kind_of_value()
    client = wire.client_code("203.0.113.7")
    for value, index in zip(values.tolist(), buckets.bucket_of(values).tolist(), strict=True):
        key = wire.clients_key(client, 63, index >> CLIENT_SHIFT)
        assert rule(63, value, client) == {
            wire.COUNTS: wire.counts_key(63, index),
            wire.CLIENTS[0]: key,
            wire.CLIENTS[1]: key,
        }, value


@pytest.mark.parametrize("value", [1 << 40, (1 << 40) + 12345, 1 << 52, 1 << 63, (1 << 64) - 1])
def test_what_is_longer_than_the_last_bucket_spoils_no_other_measure_or_client(value: int) -> None:
    """A clock that went backwards gives nearly 2**64 ns; the kernel must keep to its own bits of the key."""
    keys = kernel_rule()(2, value, wire.client_code("2001:db8::1"))
    assert keys[wire.COUNTS] >> wire.MEASURE_SHIFT == 2
    assert keys[wire.COUNTS] & 0xFFFF >= BUCKETS
    assert keys[wire.CLIENTS[0]] >> wire.CLIENT_SHIFT == wire.client_code("2001:db8::1")
    assert keys[wire.CLIENTS[0]] >> wire.CLIENT_MEASURE_SHIFT & wire.CLIENT_MEASURE_MASK == 2


def test_every_value_is_in_its_bucket_and_order_is_kept() -> None:
    values = every_kind_of_value()
    assert [buckets.bucket_of_one(value) for value in values.tolist()] == buckets.bucket_of(values).tolist()
    index = buckets.bucket_of(values)
    assert (buckets.lower_edge(index) <= values).all()
    assert (values < buckets.upper_edge(index)).all()
    assert (np.diff(index) >= 0).all()
    assert index[0] == 0
    assert index[-1] == BUCKETS - 1


def test_buckets_follow_each_other_without_gap_or_overlap() -> None:
    index = np.arange(BUCKETS)
    assert (buckets.upper_edge(index)[:-1] == buckets.lower_edge(index)[1:]).all()
    assert (buckets.bucket_of(buckets.lower_edge(index)) == index).all()
    assert (buckets.bucket_of(buckets.upper_edge(index) - 1) == index).all()
    assert buckets.upper_edge(BUCKETS - 1) == 1 << OCTAVES
    assert CLIENT_BUCKETS <= wire.CLIENT_BUCKET_MASK + 1
    assert BUCKETS <= 1 << wire.MEASURE_SHIFT


@given(VALUES)
def test_the_middle_is_within_the_promised_error(value: int) -> None:
    index = int(buckets.bucket_of(value))
    assert abs(int(buckets.middle(index)) - value) <= value * 0.008
    assert abs(int(buckets.client_middle(index >> CLIENT_SHIFT)) - value) <= max(value * 0.032, 2)


@pytest.mark.parametrize(("value", "index"), [(-1, 0), (-(1 << 62), 0), (1 << 40, BUCKETS - 1), (1 << 62, BUCKETS - 1)])
def test_values_outside_count_in_the_end_buckets(value: int, index: int) -> None:
    assert int(buckets.bucket_of(value)) == index


def test_any_shape_goes_in_and_comes_out() -> None:
    assert buckets.bucket_of(5).shape == ()
    assert buckets.bucket_of([]).shape == (0,)
    assert buckets.bucket_of([[1, 2], [3, 4]]).shape == (2, 2)
    assert buckets.bucket_of(np.array([200], np.uint64)).dtype == np.int64


# --- quantiles ---


def rank_of(q: float, n: int) -> int:
    """The rank by whole numbers: q has at most three digits behind the point."""
    return max(1, -(-round(q * 1000) * n // 1000))


@given(st.lists(VALUES, min_size=1, max_size=300))
def test_quantiles_are_those_of_the_sorted_list(values: list[int]) -> None:
    counts = np.bincount(buckets.bucket_of(values), minlength=BUCKETS)
    found = nearest_rank(counts, (*QUANTILES, 1.0)).tolist()
    values.sort()
    expected = [values[rank_of(q, len(values)) - 1] for q in (*QUANTILES, 1.0)]
    assert found == buckets.bucket_of(expected).tolist()


def test_the_rank_is_exact_whatever_n() -> None:
    """0.999 * 1000 is not 999 in binary; a count just before and just after the rank tells the two apart."""
    for n, q in itertools.product([*range(1, 3000), 10**6, 10**9, 10**12], QUANTILES):
        rank = rank_of(q, n)
        counts = np.zeros(BUCKETS, np.int64)
        counts[10], counts[20] = rank, n - rank
        assert nearest_rank(counts, (q,)).tolist() == [10], (n, q)
        if rank > 1:
            counts[10], counts[20] = rank - 1, n - rank + 1
            assert nearest_rank(counts, (q,)).tolist() == [20], (n, q)


@given(st.lists(st.lists(VALUES, min_size=1, max_size=40), min_size=1, max_size=12), st.sampled_from(QUANTILES))
def test_grouped_ranks_are_those_of_each_list(groups: list[list[int]], q: float) -> None:
    index: list[int] = []
    counts: list[int] = []
    starts: list[int] = []
    expected: list[int] = []
    for values in groups:
        found, n = np.unique(buckets.bucket_of(values), return_counts=True)
        starts.append(len(index))
        index += found.tolist()
        counts += n.tolist()
        expected.append(int(buckets.bucket_of(sorted(values)[rank_of(q, len(values)) - 1])))
    positions = grouped_ranks(np.array(counts), np.array(starts), q)
    assert np.array(index)[positions].tolist() == expected


@given(st.lists(VALUES, max_size=200), st.floats(0.001, 1000))
def test_a_summary_says_what_the_list_says(values: list[int], span_s: float) -> None:
    counts = np.bincount(buckets.bucket_of(values), minlength=BUCKETS)
    summary = summarize(counts, span_s)
    assert summary.count == len(values)
    if not values:
        assert summary.p50_ns is None
        assert summary.max_ns is None
        return
    assert math.isclose(summary.rate_per_s, len(values) / span_s)
    assert summary.max_ns == int(buckets.middle(buckets.bucket_of(max(values))))
    figures = [summary.p50_ns, summary.p90_ns, summary.p95_ns, summary.p99_ns, summary.p999_ns, summary.max_ns]
    assert figures == sorted(figures, key=lambda f: f or 0)
    assert summarize(counts, 0).rate_per_s == 0


@given(st.lists(VALUES, max_size=200))
def test_a_histogram_holds_every_value_once(values: list[int]) -> None:
    shown = histogram(np.bincount(buckets.bucket_of(values), minlength=BUCKETS))
    assert (shown.counts > 0).all()
    for low, high, count in zip(shown.low_ns, shown.high_ns, shown.counts, strict=True):
        assert sum(low <= value < high for value in values) == count
    assert shown.counts.sum() == len(values)
