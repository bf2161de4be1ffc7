"""Verdicts and their reasons; what is missing decides over everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.compare import Comparison, LatencyAnalyzer, Run, Verdict, compare
from bpftop.compare.bootstrap import figures, least_samples
from bpftop.compare.chart import MOST_ROWS, legend, overlay
from bpftop.compare.samples import histogram_of
from bpftop.compare.wording import percent, remarks
from bpftop.errors import FileError, Inconclusive, UsageError
from tests.compared import HEADER, counted, run, skewed, written

FINE, REGRESSION, INCONCLUSIVE = Verdict.FINE, Verdict.REGRESSION, Verdict.INCONCLUSIVE


def judged(
    base: Sequence[int], now: Sequence[int], thresholds: Mapping[str, float], least: int | None = None
) -> Comparison:
    return compare(run("base", m=base), run("now", m=now), thresholds, (), least)


# --- figures ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=300))
def test_percentiles_are_nearest_rank(values: list[int]) -> None:
    found = figures(histogram_of(np.array(values)))
    ordered = np.sort(values)
    assert found.count == len(values)
    assert found.max_ns == ordered[-1]
    for name, q in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        assert found.quantiles_ns[name] == ordered[-(-len(values) * q // 100) - 1]


def test_the_fewest_samples_that_bound_a_percentile() -> None:
    assert [least_samples(q) for q in (0.5, 0.9, 0.95, 0.99, 0.999)] == [30, 30, 59, 299, 2995]


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.251, "+25.1 %"), (-0.03, "-3.0 %"), (0.0004, "0 %"), (-0.0004, "0 %"), (9.99, "+999.0 %"), (12.3, "+1,230 %")],
)
def test_changes_are_percentages_with_a_sign(share: float, said: str) -> None:
    assert percent(share) == said


# --- verdicts ---------------------------------------------------------------------------------------------------------


def test_a_run_compared_with_itself_is_fine() -> None:
    for values in (skewed().tolist(), [7] * 300, [0] * 300):
        found = judged(values, values, {"p50": 0.001, "p99": 0.2})
        assert found.verdict is FINE
        assert all(each.change == 0 for each in found.measures[0].changes.values())
        assert found.reasons[1] == "m p99: the same counts on both sides, 0 %"


@pytest.mark.parametrize(
    ("times", "verdict", "said"),
    [
        (1.05, FINE, "a growth of 20 % is excluded"),
        (0.5, FINE, "a growth of 20 % is excluded"),
        (1.25, REGRESSION, "more than 20 %"),
        (3.0, REGRESSION, "more than 20 %"),
        (1.19, REGRESSION, "it has grown, and 20 % is not excluded"),
    ],
)
def test_the_verdict_follows_the_change(times: float, verdict: Verdict, said: str) -> None:
    found = judged(skewed().tolist(), skewed(times=times).tolist(), {"p99": 0.2})
    assert found.verdict is verdict
    assert found.verdict.exit_code == {FINE: 0, REGRESSION: 1}[verdict]
    (reason,) = found.reasons
    assert reason.endswith(said)
    assert " (98 % interval " in reason


def test_too_few_samples_are_inconclusive_and_how_many_would_do_is_said() -> None:
    base, current = (skewed(1000, seed=seed).tolist() for seed in (1, 2))
    found = judged(base, current, {"p99": 0.2})
    assert (found.verdict, found.verdict.exit_code) == (INCONCLUSIVE, 4)
    (reason,) = found.reasons
    assert "neither 20 % nor noise is excluded; about " in reason
    needed = int(reason.rpartition("about ")[2].partition(" samples")[0].replace(",", ""))
    assert 1500 <= needed <= 10_000
    base, current = (skewed(needed, seed=seed).tolist() for seed in (1, 2))
    assert judged(base, current, {"p99": 0.2}).verdict is FINE


@pytest.mark.parametrize(("n", "verdict"), [(298, INCONCLUSIVE), (299, FINE)])
def test_fewer_than_bound_a_percentile_prove_nothing(n: int, verdict: Verdict) -> None:
    values = list(range(1000, 1000 + n))
    found = judged(values, values, {"p99": 0.2})
    assert found.verdict is verdict
    if verdict is INCONCLUSIVE:
        assert found.reasons == ("m p99: the baseline has 298 samples, at least 299 are needed",)


def test_the_least_number_can_be_given() -> None:
    values = list(range(1000, 1100))
    assert judged(values, values, {"p99": 0.2}, least=100).verdict is FINE
    assert judged(values, values, {"p99": 0.2}, least=101).verdict is INCONCLUSIVE
    assert judged(values, [], {"p99": 0.2}, least=1).verdict is INCONCLUSIVE


def test_the_worst_check_decides_and_only_decisive_reasons_are_given() -> None:
    base, current = skewed(5000).tolist(), skewed(5000, times=1.3).tolist()
    found = judged(base, current, {"p50": 0.5, "p99": 0.2, "p999": 0.45})
    assert [check.verdict for check in found.measures[0].checks] == [FINE, REGRESSION, INCONCLUSIVE]
    assert found.verdict is REGRESSION
    assert [reason.split()[1] for reason in found.reasons] == ["p99"]


def test_a_percentile_in_a_gap_says_that_more_samples_hardly_help() -> None:
    values = [1000] * 9900 + [10**9] * 100
    found = judged(values, [*values[1:], 10**9], {"p99": 0.0001})
    assert found.reasons[0].endswith("more samples would hardly tell, another percentile may")


def test_buckets_and_samples_of_the_same_run_agree() -> None:
    values = skewed(50_000)
    exact = Run("a", "samples", {"m": histogram_of(values)})
    report = Run("b", "report", {"m": counted(values)})
    found = compare(exact, report, {"p50": 0.02, "p99": 0.05})
    assert found.verdict is FINE
    assert all(abs(each.change) < 0.008 for each in found.measures[0].changes.values())


# --- which measures ---------------------------------------------------------------------------------------------------


def test_request_latency_first_else_all_that_both_have() -> None:
    few = [1, 2, 3]
    both = run(request_latency=few, a=few), run(request_latency=few, b=few)
    found = compare(*both)
    assert [m.name for m in found.measures] == ["request_latency"]
    assert found.missing == {"b": "baseline", "a": "current"}
    found = compare(run(a=few, b=few, c=few), run(b=few, a=few))
    assert [m.name for m in found.measures] == ["a", "b"]
    assert found.missing == {"c": "current"}
    found = compare(*both, measures=["request_latency", "request_latency"])
    assert [m.name for m in found.measures] == ["request_latency"]


def test_no_requests_at_all_on_one_side_is_no_pass() -> None:
    values = skewed().tolist()
    found = compare(run(request_latency=values, a=values), run("now", a=values))
    assert found.verdict is INCONCLUSIVE
    assert found.reasons == ("the current has no request_latency",)
    found = compare(run(a=values), run("now"))
    assert found.reasons == ("current now holds no sample",)
    assert compare(run(), run()).verdict is INCONCLUSIVE


def test_nothing_in_common_is_an_error_that_names_what_there_is() -> None:
    with pytest.raises(FileError, match=r"base has a; now has b, c"):
        compare(run("base", a=[1]), run("now", b=[1], c=[1]))
    with pytest.raises(UsageError, match="there is no measure x in these files") as error:
        compare(run(a=[1]), run(a=[1]), measures=["x"])
    assert error.value.hint == "--measure a; there are a"


def test_lost_data_is_inconclusive_even_when_it_got_slower() -> None:
    base, current = run(m=skewed().tolist()), run("now", m=skewed(times=3).tolist())
    assert compare(base, current).verdict is REGRESSION
    for sides in ((replace(base, problems=("a", "b")), current), (base, replace(current, problems=("a",)))):
        found = compare(*sides)
        assert found.verdict is INCONCLUSIVE
        assert found.reasons[0].endswith(": a")


@pytest.mark.parametrize(
    ("mine", "theirs", "said"),
    [
        ("nginx", "apache", ["different targets: nginx and apache"]),
        ("nginx", "nginx", []),
        ("pid 1", "pid 2", []),
        ("", "nginx", []),
    ],
)
def test_different_targets_are_said(mine: str, theirs: str, said: list[str]) -> None:
    base, current = (replace(run(m=[1]), facts={"target": name} if name else {}) for name in (mine, theirs))
    assert list(remarks(compare(base, current))) == said


# --- one file ---------------------------------------------------------------------------------------------------------


def test_the_analyzer_of_the_recipe(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", range(1_000_000, 101_000_000, 1_000_000), event="connection")
    for name in (path, str(path)):
        stats = LatencyAnalyzer().analyze_file(name)
        assert (stats.measure, stats.count) == ("connection", 100)
        assert (stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms) == (50, 90, 95, 99)
        assert (stats.p999_ms, stats.max_ms) == (100, 100)


def test_the_analyzer_takes_no_measure_for_another(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "1,1000000,x\n2,2000000,y\n")
    with pytest.raises(FileError, match="has several measures: x, y"):
        LatencyAnalyzer().analyze_file(path)
    assert LatencyAnalyzer("y").analyze_file(path).p99_ms == 2
    with pytest.raises(FileError, match="has no z: x, y"):
        LatencyAnalyzer("z").analyze_file(path)
    path.write_text(HEADER + "1,1000000,x\n2,2000000,request_latency\n")
    assert LatencyAnalyzer().analyze_file(path).p99_ms == 2
    path.write_text(HEADER)
    with pytest.raises(Inconclusive, match="holds no sample"):
        LatencyAnalyzer().analyze_file(path)


# --- the chart --------------------------------------------------------------------------------------------------------

ranges = st.lists(st.integers(0, 10**13), min_size=1, max_size=30)


@given(base=ranges, current=ranges, ascii_only=st.booleans())
def test_the_chart_covers_both_sides_in_few_rows(base: list[int], current: list[int], ascii_only: bool) -> None:
    rows = overlay(histogram_of(np.array(base)), histogram_of(np.array(current)), 80, ascii_only)
    assert 1 <= len(rows) <= MOST_ROWS
    assert max(map(len, rows)) <= 80
    assert ("".join(rows).replace("µ", "").isascii()) == ascii_only


def test_the_chart_shows_what_only_one_side_has() -> None:
    rows = overlay(histogram_of(np.array([1000] * 3)), histogram_of(np.array([1000, 2000, 2000])), 80, True)
    assert [(row.count("#"), row.count("-") - 1, row.count("+")) for row in (rows[0], rows[-1])] == [
        (14, 27, 0),
        (0, 0, 27),
    ]
    assert (rows[0].split()[-4:], rows[-1].split()[-4:]) == (["100", "%", "33", "%"], ["0", "%", "67", "%"])
    assert "- only the baseline" in legend(True)
    assert overlay(histogram_of(np.array([], np.int64)), histogram_of(np.array([], np.int64))) == []
