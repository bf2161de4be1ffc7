"""The plugin: what it accepts, what it says, when it skips and when it fails; on the simulation and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpftop.compare.bootstrap import least_samples
from bpftop.compare.model import QUANTILES
from bpftop.errors import BpftopError, Inconclusive, UsageError
from bpftop.latency_collector import BpftraceLatencyCollector, CollectedStats
from bpftop.latency_collector import watches as watches_module
from bpftop.latency_collector.report import report_of
from bpftop.latency_collector.stats import UNBOUNDED
from bpftop.latency_collector.watches import Watches, script_of
from bpftop.model import Accounting, MeasureSnapshot, Overhead, Snapshot, Window
from bpftop.preflight import Host
from bpftop.pytest_plugin import limits
from bpftop.pytest_plugin.limits import duration_ns, growth
from bpftop.stats import buckets, quantiles
from bpftop.tracer import simulate
from tests.snapshots import measure, snapshot


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation reports five times a second."""
    monkeypatch.setattr(simulate, "STEPS_PER_TICK", 2)


def inner(pytester: pytest.Pytester, text: str, *words: str) -> tuple[int, str]:
    """A session on a file of its own inside this process: its exit code and what it said."""
    pytester.makepyfile(test_it=text)
    pytester.makeini("[pytest]\nbpftop_target = nginx")
    done = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-rs", *words)
    return int(done.ret), "\n".join([*done.outlines, *done.errlines])


pytest_plugins = ["pytester"]


# --- what is loaded ---------------------------------------------------------------------------------------------------


def test_a_session_that_wants_no_latency_loads_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\n"
        "def test_it():\n"
        "    ours = {name for name in sys.modules if name.split('.')[0] == 'bpftop'}\n"
        "    assert ours == {'bpftop', 'bpftop.pytest_plugin', 'bpftop.pytest_plugin.names'}\n"
        "    assert not {'numpy', 'textual', 'plotext'} & set(sys.modules)\n"
    )
    done = pytester.runpytest_subprocess("-q", "-p", "no:hypothesispytest")
    assert done.ret == 0, done.outlines


def test_the_collector_can_be_imported_without_numpy() -> None:
    code = "import sys, bpftop.latency_collector; print('numpy' in sys.modules, 'pytest' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False False\n"


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "ns"), [("5ms", 5e6), ("1.5 s", 1.5e9), ("800us", 8e5), ("800µs", 8e5), ("40ns", 40.0)]
)
def test_a_limit_is_a_length_of_time(word: str, ns: float) -> None:
    assert duration_ns("p99", word) == pytest.approx(ns)


@pytest.mark.parametrize("word", [5, "5", "", "ms", "-5ms", "0ms", "5 min", None])
def test_a_limit_without_a_unit_is_refused(word: object) -> None:
    with pytest.raises(ValueError, match="'5ms'"):
        duration_ns("p99", word)


def test_a_growth_is_a_percentile_and_a_percentage() -> None:
    assert growth("p99:20%") == ("p99", 0.2)
    assert growth("p99.9:2.5%") == ("p999", 0.025)
    for word in ("p99", "p98:20%", "mean:5%", "p99:0%", "p99:20", "max:20%"):
        with pytest.raises(pytest.UsageError, match="p99:20%"):
            growth(word)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"p99": "5"}, "with its unit"),
        ({"p98": "5ms"}, "there is no p98"),
        ({}, "nothing is limited"),
        ({"": "5ms"}, "name what is meant"),
        ({"p99": "5ms", "port": 80}, "name the server once"),
        ({"p99": "5ms", "process": None}, "name the server once"),
        ({"p99": "5ms", "process": ":99999"}, "not a port"),
        ({"p99": "5ms", "process": 1.5}, "a word or a number"),
        ({"p99": "5ms", "min_samples": 0}, "min_samples"),
        ({"p99": "5ms", "measure": "request_latencies"}, "did you mean request_latency"),
    ],
)
def test_a_marker_that_makes_no_sense_is_refused(words: dict[str, Any], said: str) -> None:
    positional = words.pop("", None)
    with pytest.raises((ValueError, TypeError), match=said):
        limits._limit(() if positional is None else (positional,), {"process": "nginx", **words}, "")


def test_a_wrong_marker_ends_the_session_before_a_test_has_run(pytester: pytest.Pytester) -> None:
    text = "import pytest\n@pytest.mark.limit_latency(p99='5')\ndef test_it(): pass\n"
    code, said = inner(pytester, text)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "test_it.py::test_it: limit_latency: p99='5' is not a length of time with its unit" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bpftop-compare-fail", "p99:20%"], "--bpftop-compare FILE"),
        (["--bpftop-compare", "none.json"], "--bpftop-save makes one"),
        (["--bpftop-compare", "other.json"], "not made by --bpftop-save"),
        (["--bpftop-save", "nowhere/x.json"], "no such directory"),
        (["--bpftop=maybe"], "there are auto, require, simulate, off and simulate:SCENARIO"),
        (["--bpftop=require:x"], "there are auto, require, simulate, off and simulate:SCENARIO"),
        (["--bpftop=simulate:noisy"], "there is no scenario noisy"),
    ],
)
def test_options_that_make_no_sense_end_the_session(pytester: pytest.Pytester, words: list[str], said: str) -> None:
    (pytester.path / "other.json").write_text("{}")
    code, told = inner(pytester, "def test_it(): pass\n", *words)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert said in told


def test_the_least_samples_are_those_of_compare() -> None:
    assert {name: needed for name, needed in UNBOUNDED.items() if name != "max"} == {
        name: least_samples(q) for name, q in QUANTILES.items()
    }


# --- figures ----------------------------------------------------------------------------------------------------------


def figures(values_ns: list[int], span_s: float = 10.0) -> MeasureSnapshot:
    counts = np.bincount(buckets.bucket_of(values_ns), minlength=buckets.BUCKETS)
    found = quantiles.histogram(counts)
    rows = list(zip(found.low_ns.tolist(), found.high_ns.tolist(), found.counts.tolist(), strict=True))
    return measure(summary=quantiles.summarize(counts, span_s), buckets=rows)


def moment(values_ns: list[int], span_s: float = 10.0, **changes: Any) -> Snapshot:
    made = snapshot({"request_latency": figures(values_ns, span_s)}, accounting=Accounting())
    return replace(made, window=Window("all", None, span_s), **changes)


def stats_of(report: Mapping[str, Any], min_samples: int | None = None) -> CollectedStats:
    return CollectedStats.of(report, "request_latency", min_samples)


def test_only_what_came_between_is_in_the_figures() -> None:
    before, after = [1_000_000] * 50, [5_000_000] * 400
    stats = stats_of(report_of(moment(before), moment(before + after, 14.0)))
    assert (stats.count, stats.duration_s, stats.rate_per_s) == (400, 4.0, 100.0)
    for value_ms in (stats.p50_ms, stats.p90_ms, stats.p95_ms, stats.p99_ms, stats.max_ms):
        assert value_ms == pytest.approx(5, rel=0.008)


def test_too_few_samples_have_words_of_their_own() -> None:
    stats = stats_of(report_of(moment([]), moment([7] * 100)))
    assert stats.p50_ms > 0
    assert stats.p95_ms > 0
    with pytest.raises(Inconclusive, match="100 samples: at least 299 are needed for p99"):
        _ = stats.p99_ms
    with pytest.raises(Inconclusive, match=r"2,995 are needed for p99\.9"):
        _ = stats.p999_ms
    assert stats_of(report_of(moment([]), moment([7] * 100)), min_samples=100).p99_ms > 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"accounting": Accounting(1000, 998, 0, 2, 0, 0)}, "lost"),
        ({"accounting": Accounting(0, 0, 0, 0, 0, 3)}, "table full"),
        ({"overhead": Overhead(200.0, 10.0, 0.1, missed=5)}, "missed"),
        ({"tracer": replace(snapshot().tracer, runs=2)}, "started anew"),
        ({"tracer": replace(snapshot().tracer, lost_messages=1)}, "lost 1 of its own messages"),
    ],
)
def test_what_was_lost_makes_the_figures_worthless(changes: dict[str, Any], said: str) -> None:
    report = report_of(moment([], overhead=Overhead()), moment([7] * 400, 11.0, **{"overhead": Overhead(), **changes}))
    assert said in " ".join(report["problems"])
    collector = BpftraceLatencyCollector("nginx")
    collector._report = report
    with pytest.raises(Inconclusive, match=said):
        _ = collector.stats


def test_what_was_lost_before_is_no_problem() -> None:
    tracer = replace(snapshot().tracer, runs=3, lost_messages=9)
    lossy: dict[str, Any] = {
        "accounting": Accounting(1000, 900, 0, 100, 0, 7),
        "overhead": Overhead(missed=9),
        "tracer": tracer,
    }
    assert "problems" not in report_of(moment([], **lossy), moment([7] * 400, 11.0, **lossy))


def test_the_figures_are_there_when_the_block_has_ended() -> None:
    with pytest.raises(UsageError, match="block has ended"):
        _ = BpftraceLatencyCollector("nginx").stats
    with pytest.raises(UsageError, match="name the server once"):
        BpftraceLatencyCollector()
    with pytest.raises(UsageError, match="name the server once"):
        BpftraceLatencyCollector("nginx", port=80)
    with pytest.raises(UsageError, match="named by its port"):
        BpftraceLatencyCollector(os.getpid())
    assert BpftraceLatencyCollector(port="8080").target == BpftraceLatencyCollector(port=":8080").target == ":8080"


def test_a_measure_that_is_not_there_is_said_with_the_nearest() -> None:
    assert script_of("upstream_latency").name == "upstream"
    with pytest.raises(UsageError, match="did you mean upstream_latency"):
        script_of("upstream_latencies")


def test_a_host_that_cannot_trace_is_said_with_the_command_to_type() -> None:
    watches = Watches(arguments=("-m", "pytest", "x y"))
    watches._host = replace(watches._host, euid=1000)
    try:
        for _ in range(2):
            with pytest.raises(BpftopError, match="needs root") as caught:
                watches.watch("nginx", "request_latency", 0)
            assert caught.value.hint.endswith("-m pytest 'x y'")
    finally:
        watches.close()


# --- sessions ---------------------------------------------------------------------------------------------------------

SUITE = """
import pytest
from bpftop.compare import LatencyAnalyzer
from bpftop.errors import Inconclusive
from bpftop.latency_collector import watches as watches_module
from bpftop.latency_collector import BpftraceLatencyCollector

@pytest.mark.limit_latency(p50="60s", max="60s")
def test_holds(): pass

@pytest.mark.limit_latency(p50="1ns", process="nginx", min_samples=1)
def test_too_slow(): pass

@pytest.mark.limit_latency(p99="60s", process="nginx", min_samples=1000000)
def test_too_few(): pass

@pytest.mark.limit_latency(p99="60s", process="nginx")
def test_fails_itself():
    assert 1 == 2

def test_collects(bpftop_latency):
    with bpftop_latency() as latency:
        pass
    assert latency.stats.count > 0
    assert latency.stats.p50_ms > 0

def test_as_the_recipe_has_it():
    with BpftraceLatencyCollector("nginx") as collector:
        pass
    stats = LatencyAnalyzer().analyze_file(collector.output_path)
    assert stats.count == collector.stats.count
    assert stats.p99_ms > 0
"""


@pytest.mark.usefixtures("quick")
def test_a_session_on_the_simulation(pytester: pytest.Pytester) -> None:
    code, said = inner(pytester, SUITE, "--bpftop=simulate", "--bpftop-save=kept.json", "-v")
    assert (code, "3 failed, 3 passed" in said) == (1, True), said
    # A limit that is broken: the figures and a histogram.
    assert "latency of nginx: p50 is " in said
    assert "the limit is 1.00 ns" in said
    assert "█" in said
    assert "simulation: these figures are not from a kernel" in said
    # Too few samples.
    assert "at least 1,000,000 are needed for p99" in said
    # A test that fails itself: its own failure, and the figures.
    assert "assert 1 == 2" in said
    assert "Captured latency call" in said
    # What is kept, and the rows at the end.
    kept = json.loads((pytester.path / "kept.json").read_text())
    assert kept["schema"] == "bpftop-pytest/1"
    assert len(kept["tests"]) == 6
    report = kept["tests"]["test_it.py::test_collects"]["nginx request_latency"]
    assert report["measures"]["request_latency"]["count"] > 0
    assert "saved the figures of 6 tests: kept.json" in said
    assert "nginx, simulation" in said


GATED = """
import pytest
@pytest.mark.limit_latency(p99="60s", process="nginx", min_samples=1)
def test_{}(): pass
"""


def kept(path: Path, test: str, edges: tuple[int, int]) -> None:
    """A file as --bpftop-save makes it, of one test and one bucket."""
    report = report_of(moment([]), moment([]))
    report["measures"]["request_latency"] |= {"histogram": [[*edges, 10_000]], "count": 10_000}
    report["source"] = "simulation"
    tests = {f"test_it.py::{test}": {"nginx request_latency": report}}
    path.write_text(json.dumps({"schema": "bpftop-pytest/1", "tests": tests}))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("base", "test", "code", "said"),
    [
        ((10**11, 10**11 + 1), "test_it", 0, "1 passed"),
        ((1, 2), "test_it", 1, "latency of nginx request_latency: regression"),
        ((1, 2), "test_other", 1, "the baseline has no figures for it"),
    ],
    ids=["faster", "slower", "new"],
)
def test_compared_with_what_was_kept(
    pytester: pytest.Pytester, base: tuple[int, int], test: str, code: int, said: str
) -> None:
    kept(pytester.path / "base.json", test, base)
    options = ("--bpftop=simulate:healthy", "--bpftop-compare=base.json", "--bpftop-compare-fail=p50:20%")
    done, told = inner(pytester, GATED.format("it"), *options)
    assert done == code, told
    assert said in told


@pytest.fixture
def _no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches_module, "Host", partial(Host, euid=1000))


@pytest.mark.usefixtures("_no_root")
def test_where_nothing_can_be_traced_auto_skips_and_require_fails(pytester: pytest.Pytester) -> None:
    code, said = inner(pytester, SUITE)
    assert (code, "6 skipped" in said) == (0, True), said
    assert "6 tests were skipped: tracing needs root (sudo " in said
    code, said = inner(pytester, SUITE, "--bpftop=require")
    assert code == 1
    assert "bpftop: tracing needs root" in said
    assert "passed" not in said
    assert "Traceback" not in said
    assert "During handling" not in said


def test_off_measures_nothing_and_says_so(pytester: pytest.Pytester) -> None:
    _, said = inner(pytester, SUITE, "--bpftop=off")
    assert "1 failed, 3 passed, 2 skipped" in said, "limits are not checked, collectors have no figures"
    assert "2 tests were skipped: --bpftop=off" in said


def test_tests_that_run_at_the_same_time_are_not_measured(pytester: pytest.Pytester) -> None:
    _, said = inner(pytester, GATED.format("it"), "-n", "2")
    assert "1 skipped" in said
    assert "run these with -n 0" in said
