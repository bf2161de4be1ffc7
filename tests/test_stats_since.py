"""Started in the middle of it: what is so since the start is told, with who has it, and nothing is said to be wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpftop.model import (
    ClientRow,
    CpuWait,
    Held,
    Recent,
    Resender,
    Resent,
    Scarce,
    Snapshot,
    Standstill,
    State,
    Summary,
    Waiting,
)
from bpftop.stats.findings import judge
from bpftop.stats.stages import READ, REQUEST, RESPONSE, UPSTREAM
from tests.test_stats_findings import MS, calm, old, row, said, scene, script, summary, worse
from tests.test_stats_levels import Seconds, lognormal

OFF = [script(name, State.OFF) for name in ("upstream", "eventloop", "tcp")]
BACKENDS = (row("10.1.0.9:80", 90, 90, 1000.0), row("10.1.0.8:80", 200, 0, 2.0, 4.0))


def ever(
    mean_ms: float, rows: tuple[ClientRow, ...] = (), slow: int = 100, known: bool = True, n: int = 1000
) -> Recent:
    """As slow as ever: the level is what it is now."""
    now = summary(n, mean_ms, 500.0)
    return Recent(now, replace(now, count=6000) if known else Summary(0, 0.0), 300 * MS, slow, rows)


def middle(recent: Mapping[str, Recent], standstill: Standstill | None = None, seconds: int = 35) -> Snapshot:
    return old(replace(scene(recent, scripts=OFF), standstill=standstill or Standstill()), seconds)


@pytest.mark.parametrize("known", [False, True], ids=["no level yet", "the level is of the incident"])
def test_a_slow_upstream_without_and_with_the_script_that_tells(known: bool) -> None:
    verdict = judge(middle({REQUEST: ever(100.0, known=known)}))
    assert not verdict.trouble
    assert said(verdict) == [
        "since the start 35 s ago: request latency p99 500 ms",
        "time is in the server, after the read: 100 %",
        "to know more: start upstream",
    ]
    told = middle({REQUEST: ever(100.0, known=known), UPSTREAM: ever(310.0, BACKENDS, 90, known, 290)})
    assert "it waits for upstream 10.1.0.9:80: p99 500 ms" in said(judge(told))


def test_who_has_the_slow_ones_is_told_by_comparison_with_the_others() -> None:
    rows = (row("10.0.0.7", 100, 92), row("10.0.0.1", 900, 8))
    assert "92 % of the slow ones from 10.0.0.7" in said(judge(middle({REQUEST: ever(100.0, rows)})))
    reader = {REQUEST: calm(), RESPONSE: ever(100.0, rows)}
    assert said(judge(middle(reader)))[1:3] == ["time is in sending: 99 %", "92 % of the slow ones from 10.0.0.7"]


@pytest.mark.parametrize("usual", [None, 0.018], ids=["nothing is usual yet", "what is usual was learnt meanwhile"])
def test_a_client_that_the_network_loses_packets_of_is_told_by_comparison_with_the_others(usual: float | None) -> None:
    cut, whole = Resender("10.0.0.7", 60, 400), Resender("10.0.0.1", 2, 900)
    lossy = Resent(62, 3400, usual, (cut, whole), 10.0)
    verdict = judge(middle({REQUEST: calm()}, Standstill(resent=lossy)))
    assert not verdict.trouble
    assert said(verdict)[1:] == [
        "1.8 % of packets to clients are sent again: the network loses some",
        "97 % of these to 10.0.0.7",
    ]
    somebody = (replace(cut, sent=1300), whole, *(Resender(f"10.0.1.{i}", 9, 100) for i in range(4)))
    for other in (somebody, (replace(cut, sent=3000), whole), (replace(cut, segments=15), whole)):
        few = replace(lossy, clients=other, segments=sum(each.segments for each in other))
        assert "again" not in " ".join(said(judge(middle({REQUEST: calm()}, Standstill(resent=few))))), other
    ten_minutes = middle({REQUEST: calm()}, Standstill(resent=lossy), seconds=700)
    assert "again" not in " ".join(said(judge(ten_minutes)))


def test_a_disk_that_was_slow_from_the_start_on_stays_named_when_its_level_is_known() -> None:
    disk = replace(worse(300.0, (row("sda read", 190, 90, 300.0),), 90, n=190), risen_s=None)
    disk = replace(disk, before=replace(disk.now, count=6000))
    assert "it waits for the disk sda read: p99 500 ms" in said(
        judge(middle({REQUEST: ever(50.0), "disk_latency": disk}))
    )
    late = replace(ever(50.0), late_s=30.0)
    assert "it waits for the disk sda read: p99 500 ms" in said(judge(middle({READ: late, "disk_latency": disk})))


def test_a_queue_beside_most_of_the_time_elsewhere() -> None:
    late = replace(ever(20.0), late_s=30.0)
    verdict = judge(middle({READ: late, REQUEST: ever(100.0), UPSTREAM: ever(310.0, BACKENDS, 90, n=290)}))
    assert verdict.trouble
    assert said(verdict) == [
        "read queue latency p99 500 ms",
        "time is in the read queue: 17 %",
        "since the start 35 s ago: request latency p99 500 ms",
        "time is in the server, after the read: 83 %",
        "it waits for upstream 10.1.0.9:80: p99 500 ms",
        "to know more: start eventloop",
    ]


SILENT = Standstill(
    open=20, oldest_s=47, connections=60, clients=(Waiting("10.0.0.1", 4, 47, 12), Waiting("10.0.0.2", 4, 47, 12)),
    upstreams=(Waiting("10.1.0.9:80", 20, 47),), usual=20,
)  # fmt: skip


def test_a_silent_upstream_is_told_in_figures() -> None:
    assert said(judge(middle({}, SILENT)))[1:] == [
        "20 connections waited over 5 s for an answer, oldest 47 s",
        "upstream 10.1.0.9:80 has not answered 20 requests",
    ]
    polls = replace(calm(), now=replace(summary(1000, 100.0, 4000.0), max_ns=30_000 * MS))
    assert not any("not answered" in text for text in said(judge(middle({REQUEST: polls}, SILENT)))), (
        "answers take long"
    )
    few = replace(SILENT, connections=900)
    assert said(judge(middle({}, few)))[0].startswith("nothing stands out")


def test_connections_of_a_stopped_worker_are_told_also_when_they_are_usual() -> None:
    stopped = replace(SILENT, held=(Held(12, "nginx", "stopped", 31.0),), unread=20, usual_unread=20, upstreams=())
    verdict = judge(middle({}, stopped))
    assert verdict.trouble
    assert said(verdict) == ["worker 12 is stopped", "20 connections waited over 5 s for an answer, oldest 47 s"]


def test_a_busy_worker_is_told_where_something_is_slow() -> None:
    busy = Standstill(held=(Held(13, "nginx", "busy", 31.0),))
    assert "worker 13 is busy" in said(judge(middle({REQUEST: ever(100.0)}, busy)))
    assert "worker 13 is busy" not in said(judge(middle({}, busy)))


def test_a_client_that_asks_far_more_than_any_other() -> None:
    others = tuple(row(f"10.0.0.{i}", 180, 0) for i in range(1, 7))
    much = Recent(
        summary(15_000, 1.0, 4.0), summary(15_000, 1.0, 4.0), 4 * MS, 10, (row("10.0.9.9", 13_800, 0), *others)
    )
    found = judge(middle({REQUEST: much})).clauses[1]
    assert found.text == "92 % of all requests from 10.0.9.9"
    assert found.evidence == "13,800 of 15,000 in the last 10 s; the next, 10.0.0.1: 180"
    balancer = replace(much, rows=(row("10.0.9.9", 13_800, 0), *others[:2]))
    assert said(judge(middle({REQUEST: balancer})))[0].startswith("nothing stands out")


def test_a_client_that_has_just_begun_to_ask_so_much_has_not_since_the_start() -> None:
    others = tuple(row(f"10.0.0.{i}", 180, 0) for i in range(1, 7))
    much = replace(calm(), now=summary(15_000, 1.0, 4.0), rows=(row("10.0.9.9", 13_800, 0), *others))
    rare = replace(much, before=replace(much.before, rate_per_s=120.0))
    assert said(judge(middle({REQUEST: rare})))[0].startswith("nothing stands out")
    ever = replace(much, before=replace(much.before, rate_per_s=1500.0))
    assert "92 % of all requests from 10.0.9.9" in said(judge(middle({REQUEST: ever})))


def test_a_lack_of_cpus_is_told_though_no_stage_is_slow() -> None:
    lacks = Standstill(scarce=Scarce(CpuWait(1.8, 1.2), 4.9, (), 5.0))
    verdict = judge(middle({}, lacks))
    assert not verdict.trouble
    assert said(verdict)[1:] == ["the machine is short of CPU: it waited for one 1.80 s in 5 s"]
    little = replace(lacks, scarce=replace(lacks.scarce, cpu=CpuWait(1.8, 0.4)))
    assert said(judge(middle({}, little)))[0].startswith("nothing stands out")


def test_what_has_lasted_for_ten_minutes_is_how_it_is() -> None:
    rows = (row("10.0.0.7", 100, 92), row("10.0.0.1", 900, 8))
    always = {REQUEST: replace(ever(100.0, rows), tail_s=600.0)}
    assert len(said(judge(middle(always, SILENT, 590)))) > 2
    assert len(said(judge(middle(always, SILENT, 610)))) == 1


def test_what_becomes_worse_is_said_as_always() -> None:
    assert judge(middle({REQUEST: worse(100.0)})).trouble
    assert not any("since the start" in text for text in said(judge(middle({REQUEST: worse(100.0)}))))


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    rate=st.sampled_from([5, 40, 300]),
    kind=st.sampled_from(["long polls", "downloads", "even", "one slow route"]),
)
def test_servers_that_are_slow_by_nature_are_never_accused(seed: int, rate: int, kind: str) -> None:
    """Every client is alike: none is named, and whatever is told, nothing is said to be wrong."""
    rng = np.random.default_rng(seed)
    seconds = Seconds()
    for _ in range(30):
        values = lognormal(rng, rng.poisson(rate), 2.0, 0.5)
        slow = (
            rng.random(len(values)) < {"long polls": 0.5, "downloads": 0.1, "even": 0.0, "one slow route": 0.05}[kind]
        )
        level = seconds.pass_(np.where(slow, rng.uniform(200 * MS, 30_000 * MS, len(values)), values))
    now = summary(rate * 10, 100.0, 500.0)
    slow_ones = max(rate // 2, 1)
    of = rng.multinomial(slow_ones, [0.1] * 10)
    rows = tuple(row(f"10.0.0.{i}", rate, int(n)) for i, n in enumerate(of))
    shot = Recent(now, level.before, 300 * MS, slow_ones, rows, risen_s=level.risen_s, tail_s=level.tail_s)
    for measure in (REQUEST, RESPONSE):
        verdict = judge(middle({measure: shot}))
        assert not verdict.trouble
        assert not any(word in text for text in said(verdict) for word in ("slow ones", "waits for", "does not answer"))
