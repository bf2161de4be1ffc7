"""Figures for other tools: Prometheus' formats, exponential buckets, HdrHistogram's distribution; read by others."""

from __future__ import annotations

import io
import math
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from bpftop.export.classic import BOUNDS_NS, bounds_s, cumulative
from bpftop.export.exponential import FACTOR, SCHEMA, exponential
from bpftop.export.hgrm import to_hgrm
from bpftop.export.metrics import Rising, families
from bpftop.export.prometheus_proto import accepted, to_protobuf
from bpftop.export.prometheus_text import to_prometheus
from bpftop.model import (
    Accounting,
    ClientRow,
    CounterSnapshot,
    Histogram,
    Measure,
    MeasureSnapshot,
    Overhead,
    Snapshot,
)
from bpftop.stats import buckets, quantiles
from tests.compared import counted, skewed
from tests.snapshots import busy, measure, snapshot

values = st.lists(st.integers(0, (1 << 40) - 1), min_size=1, max_size=60)


def of(samples: list[int]) -> MeasureSnapshot:
    """Samples (ns) as a measure."""
    counts = np.bincount(buckets.bucket_of(samples), minlength=buckets.BUCKETS)
    return replace(measure(summary=quantiles.summarize(counts, 10.0)), histogram=quantiles.histogram(counts))


def page(shot: Snapshot, clients: int = 0) -> str:
    return to_prometheus(families(shot, Rising(), shot, clients))


# --- buckets ----------------------------------------------------------------------------------------------------------


def test_the_bounds_are_few_and_close() -> None:
    ratios = np.array(BOUNDS_NS[1:]) / np.array(BOUNDS_NS[:-1])
    assert len(BOUNDS_NS) == 43
    assert (BOUNDS_NS[0], BOUNDS_NS[-1]) == (10_000, 10_000_000_000)
    assert 1 < ratios.min() < ratios.max() <= 1.5
    assert bounds_s()[-1] == 10


@given(values)
def test_a_classic_bound_is_right_within_a_bucket(samples: list[int]) -> None:
    found = cumulative(of(samples).histogram)
    for bound, count in zip(BOUNDS_NS, found, strict=True):
        low, high = (sum(value <= bound * edge for value in samples) for edge in (1 - 1 / 64, 1 + 1 / 64))
        assert low <= count <= high
    assert found == sorted(found)


@given(values)
def test_an_exponential_bucket_holds_its_values_within_one_of_ours(samples: list[int]) -> None:
    found = exponential(of(samples).histogram)
    assert sum(found.counts) + found.zeros == len(samples)
    assert found.zeros == samples.count(0)
    if found.counts:
        assert found.counts[0] > 0
        assert found.counts[-1] > 0
    uppers = [FACTOR**i * 1e9 for i in range(found.first, found.first + len(found.counts))]
    theirs = np.repeat(uppers, found.counts)
    for value, upper in zip(sorted(value for value in samples if value), theirs, strict=True):
        assert value <= upper * 1.008
        assert value >= upper / FACTOR / 1.008


def test_an_empty_histogram_has_no_buckets() -> None:
    found = exponential(measure().histogram)
    assert (found.counts, found.zeros) == ((), 0)
    assert SCHEMA == 4


# --- Prometheus, text -------------------------------------------------------------------------------------------------


def test_a_page_of_prometheus() -> None:
    counter = CounterSnapshot(Measure("retransmits", "Retransmits", "", "", unit="count"), 7, 0.7)
    shot = replace(snapshot(name='a"b\\c\nd'), counters={"retransmits": counter})
    said = page(shot)
    target = 'target="a\\"b\\\\c?d"'
    for line in (
        "# HELP bpftop_request_latency_seconds Request latency: from when it begins to when it ends.",
        "# TYPE bpftop_request_latency_seconds histogram",
        f'bpftop_request_latency_seconds_bucket{{{target},le="0.00075"}} 0',
        f'bpftop_request_latency_seconds_bucket{{{target},le="0.001"}} 3',
        f'bpftop_request_latency_seconds_bucket{{{target},le="0.0015"}} 3',
        f'bpftop_request_latency_seconds_bucket{{{target},le="0.002"}} 4',
        f'bpftop_request_latency_seconds_bucket{{{target},le="+Inf"}} 4',
        f"bpftop_request_latency_seconds_count{{{target}}} 4",
        f"bpftop_retransmits_total{{{target}}} 7",
        f"bpftop_tracing{{{target}}} 1",
        f'bpftop_events_total{{{target},outcome="suppressed"}} 6',
        f"bpftop_probe_cpu_ratio{{{target}}} 0.00026",
    ):
        assert line in said.splitlines()
    assert said.endswith("\n")
    assert "10.0.0.1" not in said, "no client unless it was asked for"


def test_clients_are_bounded_and_only_there_when_asked_for() -> None:
    rows = [ClientRow(f"10.0.0.{i}", 1, 0.1, 1_000_000, 2_000_000, 3_000_000) for i in range(9)]
    shot = snapshot({"request_latency": replace(busy(), clients=(*rows, replace(rows[0], client="others")))})
    said = page(shot, 3)
    keys = re.findall(r'^bpftop_keyed_p99_seconds\{.*kind="client",key="([^"]+)"\} 0\.002$', said, re.MULTILINE)
    assert keys == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]
    assert "others" not in page(shot, 100)


def test_promtool_has_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    counter = CounterSnapshot(Measure("retransmits", "Retransmits", "", "", unit="count"), 7, 0.7)
    shot = replace(snapshot(), counters={"retransmits": counter})
    run = subprocess.run(
        [promtool, "check", "metrics"], input=page(shot, 5), capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_counters_never_go_back() -> None:
    rising = Rising()

    def told(shot: Snapshot) -> dict[str, float]:
        lines = to_prometheus(families(shot, rising)).splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if "_total{" in line}

    first = told(snapshot(accounting=Accounting(10, 4, 6, 0, 0, 2), overhead=Overhead(missed=5)))
    # An event that was suppressed turns out to be lost; bpftrace is started anew and counts its misses from 0.
    again = snapshot(accounting=Accounting(10, 4, 5, 1, 0, 1), overhead=Overhead(missed=2))
    second = told(replace(again, tracer=replace(again.tracer, runs=2)))
    assert first.keys() == second.keys()
    assert all(second[name] >= before for name, before in first.items())
    assert second['bpftop_probe_misses_total{target="nginx"}'] == 7
    assert second['bpftop_bpftrace_starts_total{target="nginx"}'] == 2


# --- Prometheus, protobuf ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
            "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            True,
        ),
        ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited;q=0.6", True),
        ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited;q=0", False),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
        ("", False),
    ],
)
def test_protobuf_is_for_those_who_ask_for_it(accept: str, wanted: bool) -> None:
    assert accepted(accept) is wanted


def test_protobuf_is_a_message_a_family_in_the_same_order() -> None:
    data, names = to_protobuf(families(snapshot(), Rising())), []
    while data:
        length, shift, at = 0, 0, 0
        while True:
            byte, at = data[at], at + 1
            length, shift = length | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                break
        message, data = data[at : at + length], data[at + length :]
        assert len(message) == length
        names.append(message[2 : 2 + message[1]].decode())
    assert names == re.findall(r"^# TYPE (\S+)", page(snapshot()), re.MULTILINE)


# --- HdrHistogram -----------------------------------------------------------------------------------------------------

ROW = re.compile(r" *(\d+\.\d+) +([01]\.\d{12}) +(\d+)(?: +(\d+\.\d\d))?")


def parsed(text: str) -> tuple[list[tuple[float, float, int, float]], list[str]]:
    """The rows and the footer of a .hgrm file, by the columns that HdrHistogram writes; anything else is an error."""
    lines = text.splitlines()
    assert lines[0].split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    assert lines[1] == ""
    rows, footer = [], [line for line in lines if line.startswith("#[")]
    for line in lines[2 : len(lines) - len(footer)]:
        match = ROW.fullmatch(line)
        assert match, line
        rows.append((float(match[1]), float(match[2]), int(match[3]), float(match[4] or math.inf)))
    return rows, footer


def test_a_distribution_says_what_hdrhistogram_says_of_the_same_values() -> None:
    samples = skewed(5_000)
    theirs = HdrHistogram(1, 1 << 40, 3)
    for value in samples.tolist():
        theirs.record_value(value)
    written = io.BytesIO()
    theirs.output_percentile_distribution(written, 1e6)
    their_rows, their_footer = parsed(written.getvalue().decode())
    found = replace(measure(), histogram=counted(samples))
    rows, footer = parsed(to_hgrm(found))
    assert len(rows) > 50
    assert [row[2] for row in rows] == sorted(row[2] for row in rows)
    assert (rows[-1][1:3], their_rows[-1][1:3]) == ((1.0, 5000), (1.0, 5000))
    for value_ms, level, running, _ in rows:
        rank = max(math.ceil(level * 5000 - 1e-6), 1)  # theirs rounds, ours is the nearest rank: ask for that one
        assert value_ms == pytest.approx(theirs.get_value_at_percentile(rank / 50) / 1e6, rel=0.017)
        assert running >= level * 5000 - 1e-6
    names = [re.findall(r"(\w+(?: \w+)?) *=", line) for line in footer]
    assert names == [["Mean", "StdDeviation"], ["Max", "Total count"], ["Buckets", "SubBuckets"]]
    mean = float(re.findall(r"= *(\d+\.\d+)", footer[0])[0])
    assert mean == pytest.approx(float(re.findall(r"= *(\d+\.\d+)", their_footer[0])[0]), rel=0.01)


def test_a_distribution_of_nothing_has_no_rows() -> None:
    rows, footer = parsed(to_hgrm(replace(measure(), histogram=Histogram(*(np.zeros(0, np.int64),) * 3))))
    assert rows == []
    assert len(footer) == 3


@given(values)
def test_a_distribution_ends_with_the_largest_value(samples: list[int]) -> None:
    rows, _ = parsed(to_hgrm(of(samples)))
    assert rows[-1][2] == len(samples)
    assert rows[-1][0] == pytest.approx(max(samples) / 1e6, rel=0.016, abs=1e-6)
