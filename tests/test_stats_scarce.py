"""A lack of CPUs and a network that loses packets: said where they are the reason, and nobody is blamed for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpftop.model import (
    Backlog,
    CpuWait,
    Neighbour,
    Recent,
    Resender,
    Resent,
    Scarce,
    Snapshot,
    Standstill,
    State,
    Summary,
)
from bpftop.stats.clause import Place
from bpftop.stats.findings import judge
from bpftop.stats.stages import ACCEPT, READ, REQUEST, UPSTREAM
from tests.test_stats_findings import calm, request, row, said, scene, script, worse

MACHINE = "the machine is short of CPU: it waited for one 1.80 s in 5 s"
BACKEND = "127.0.0.1:9000"


def scarce(
    wait_s: float = 0.0,
    longest_s: float = 0.0,
    near: Iterable[Neighbour] = (),
    throttled_s: float = 0.0,
    group: str = "",
) -> Standstill:
    return Standstill(scarce=Scarce(CpuWait(wait_s, longest_s, throttled_s, group), 4.9, tuple(near), 5.0))


def with_(standstill: Standstill, recent: dict[str, Recent] | None = None, *scripts: str) -> Snapshot:
    on = [script(name, State.LIVE if name in scripts else State.OFF) for name in ("upstream", "scheduler", "tcp")]
    return replace(scene(recent or {}, [request(12)] * 9, on), standstill=standstill)


SHORT = scarce(1.8, 1.2)
EVEN = (row(BACKEND, 300, 9, 100.0),)
ONE_OF_THREE = (row("127.0.0.1:1", 100, 96, 400.0), row("127.0.0.1:2", 100, 2, 9.0), row("127.0.0.1:3", 100, 2, 9.0))


def test_the_machine_is_named_only_when_something_is_slow() -> None:
    assert not judge(with_(SHORT)).trouble
    found = judge(with_(SHORT, {READ: worse(50.0)})).clauses
    assert [each.text for each in found][2:] == [MACHINE, "to know more: start scheduler"]
    assert found[2].place == Place("start", "", "", "scheduler")
    assert found[2].evidence == (
        "ready to run and without a CPU (schedstat): all threads together 1.80 s, one of them 1.20 s; something on "
        "this machine waited for a CPU in 98 % of the time (/proc/pressure/cpu)"
    )
    found = judge(with_(SHORT, {READ: worse(50.0)}, "scheduler")).clauses
    assert found[2].place == Place("script", "run_queue_latency", "", "scheduler")


def test_many_threads_that_wait_a_little_are_short_when_it_is_the_requests_time() -> None:
    """1.0 s of waiting in 5 s, no thread for long: of a second or of a minute of requests' time."""
    many = scarce(1.0, 0.1)
    assert MACHINE.partition(":")[0] in " ".join(said(judge(with_(many, {READ: worse(5.0)}))))
    assert not any("CPU" in text for text in said(judge(with_(many, {READ: worse(500.0)}))))


@pytest.mark.parametrize(
    ("waits", "told"), [(scarce(0.4, 0.3), False), (scarce(2.0, 1.2), True)], ids=["a bit", "long"]
)
def test_few_are_answered_for_want_of_cpus_only_when_a_thread_waits_for_long(waits: Standstill, told: bool) -> None:
    """Whatever part of the little time of the few requests that is."""
    fewer = replace(calm(), now=Summary(20, 2.0, 10**6, 10**6, 10**6, 10**6, 10**6, 10**6, 20 * 10**6), fewer_s=8.0)
    found = said(judge(with_(waits, {REQUEST: fewer})))
    assert found[0].startswith("fewer requests are answered")
    assert any("short of CPU" in text for text in found) is told


def test_who_is_slow_like_all_others_is_not_blamed_for_a_machine_without_cpus() -> None:
    rows = [row("10.0.0.7", 100, 92, 30.0), row("10.0.0.1", 900, 8, 20.0)]
    routes = worse(30.0, [row("GET /reports", 50, 95, 90.0), row("GET /", 950, 5, 1.0)])
    slow = {REQUEST: worse(30.0, rows), UPSTREAM: worse(100.0, EVEN, 9, n=300), "route_latency": routes}
    assert not any("from 10.0.0.7" in text for text in said(judge(with_(SHORT, slow, "upstream"))))
    told = said(judge(with_(SHORT, slow, "upstream")))
    assert told[2:] == [MACHINE, "to know more: start scheduler"]
    assert any("from 10.0.0.7" in text for text in said(judge(with_(Standstill(), slow, "upstream"))))
    assert not any("reads late" in text for text in said(judge(with_(SHORT, {READ: worse(50.0)}))))
    assert any("reads late" in text for text in said(judge(with_(Standstill(), {READ: worse(50.0)}))))


def _pressed(pressure_s: float, waits: Standstill | None = None) -> Standstill:
    return Standstill(scarce=replace((waits or scarce()).scarce, pressure_s=pressure_s))


@pytest.mark.parametrize(
    ("waits", "told"),
    [
        (_pressed(0.2, scarce(0.5, 0.5)), False),
        (_pressed(0.2, scarce(near=[Neighbour(BACKEND, CpuWait(0.6, 0.6))])), False),
        (_pressed(4.9), False),
        (_pressed(0.2), True),
    ],
    ids=["half of the evidence", "half of that of an upstream here", "others wait", "nobody does"],
)
def test_no_route_is_blamed_while_cpus_may_be_scarce(waits: Standstill, told: bool) -> None:
    """Those of most steps suffer most, and it takes seconds until the lack is known."""
    routes = worse(30.0, [row("GET /reports", 50, 95, 90.0), row("GET /", 950, 5, 1.0)])
    found = said(judge(with_(waits, {REQUEST: worse(30.0), "route_latency": routes})))
    assert any("GET /reports" in text for text in found) is told
    assert not any("short of CPU" in text for text in found)


def test_who_is_far_slower_than_all_others_is_named_all_the_same() -> None:
    rows = [row("10.0.0.7", 100, 92, 300.0), row("10.0.0.1", 900, 8, 20.0)]
    slow = {REQUEST: worse(48.0, rows), UPSTREAM: worse(140.0, ONE_OF_THREE, 100, n=300)}
    near = [Neighbour(each.client, CpuWait(4.0, 4.0)) for each in ONE_OF_THREE]
    told = said(judge(with_(scarce(1.8, 1.2, near=near), slow, "upstream")))
    assert told[2:5] == [
        "the machine is short of CPU: upstream 127.0.0.1:1 waited for one 4.00 s in 5 s",
        "it waits for upstream 127.0.0.1:1: p99 500 ms",
        "92 % of the slow ones from 10.0.0.7",
    ]


@pytest.mark.parametrize(
    ("near", "name", "blamed"),
    [
        ([Neighbour(BACKEND, CpuWait(2.0, 2.0))], BACKEND, False),
        ([Neighbour(BACKEND, CpuWait(0.4, 0.4))], BACKEND, True),
        ([], BACKEND, False),
        ([], "unix:/run/php.sock", False),
        ([Neighbour(BACKEND, CpuWait(2.0, 2.0))], "10.1.0.9:9000", True),
    ],
    ids=["it has none", "it has them", "not known which process", "nor of a unix socket", "another machine"],
)
def test_an_upstream_on_this_machine_waits_for_cpus_like_others(near: list[Neighbour], name: str, blamed: bool) -> None:
    slow = {REQUEST: worse(30.0), UPSTREAM: worse(100.0, [row(name, 300, 9, 100.0)], 9, n=300)}
    told = said(judge(with_(scarce(0.3, 0.2, near=near), slow, "upstream")))
    assert any("waits for upstream" in text for text in told) is blamed
    starved = "the machine is short of CPU: upstream 127.0.0.1:9000 waited for one 2.00 s in 5 s"
    assert (starved in told) is any(each.cpu.longest_s > 1 for each in near)


def test_a_cpu_limit_is_named_with_its_group() -> None:
    [*_, found, _] = judge(with_(scarce(2.0, 1.0, throttled_s=3.0, group="/web.slice"), {READ: worse(50.0)})).clauses
    assert found.text == "its CPU limit holds it back"
    assert found.evidence.startswith("control group /web.slice was throttled for 3.00 s in 5 s (cpu.stat, all CPUs")
    near = [Neighbour(BACKEND, CpuWait(0.1, 0.1, 4.0, "/app.slice"))]
    told = said(judge(with_(scarce(near=near), {REQUEST: worse(50.0)})))
    assert f"the CPU limit of upstream {BACKEND} holds it back" in told


def lossy(again: int, sent: int, usual: float | None = 0.0, *clients: Resender) -> Standstill:
    return Standstill(resent=Resent(again, sent, usual, clients, 10.0))


@pytest.mark.parametrize(
    ("again", "sent", "usual", "trouble"),
    [
        (20, 1000, 0.0, True),
        (7, 300, 0.0, False),
        (20, 4000, 0.0, False),
        (20, 1000, 0.01, False),
        (20, 1000, None, False),
        (60, 1000, None, True),
        (60, 1000, 0.06, True),
    ],
    ids=[
        "more than usual",
        "few",
        "a small part",
        "nearly usual",
        "not known",
        "far too many",
        "always far too many",
    ],
)
def test_packets_that_are_sent_again(again: int, sent: int, usual: float | None, trouble: bool) -> None:
    assert judge(with_(lossy(again, sent, usual))).trouble is trouble


def test_the_network_is_named_and_the_client_behind_it() -> None:
    client = Resender("10.0.0.7", 38, 200)
    found = judge(with_(lossy(40, 2000, 0.001, client, Resender("10.0.0.1", 2, 900)))).clauses
    assert [each.text for each in found] == [
        "2.0 % of packets to clients are sent again: the network loses some", "95 % of these to 10.0.0.7"
    ]  # fmt: skip
    assert (
        found[0].evidence
        == "40 of 2,000 segments in 10 s, by the kernel's counts of each connection; usual here: 0.1 %"
    )
    assert found[0].place == Place("start", "", "", "tcp")
    assert found[1].place == Place("clients", REQUEST, "10.0.0.7/32")
    assert found[1].evidence == "38 of 40 segments sent again; it gets 200 of all 2,000"
    alone = judge(with_(lossy(40, 2000, 0.001, replace(client, segments=40)), None, "tcp")).clauses
    assert [each.text for each in alone][1:] == ["100 % of these to 10.0.0.7"]
    assert alone[0].place.pane == "script"
    everybody = [Resender(f"10.0.0.{i}", 10, 500) for i in range(4)]
    assert len(judge(with_(lossy(40, 2000, 0.001, *everybody))).clauses) == 1
    only = judge(with_(lossy(40, 2000, 0.001, Resender("10.0.0.7", 40, 2000)))).clauses
    assert len(only) == 1, "all there is goes to it"


def _cpu(level: float) -> Snapshot:
    return with_(scarce(5 * level, 5 * level), {READ: worse(50.0), REQUEST: calm(50.0)})


def _limit(level: float) -> Snapshot:
    return with_(scarce(throttled_s=2.5 * level, group="/a"), {READ: worse(50.0)})


def _near(level: float) -> Snapshot:
    return with_(scarce(near=[Neighbour(BACKEND, CpuWait(5 * level, 5 * level))]), {REQUEST: worse(50.0)})


def _resent(level: float) -> Snapshot:
    again = round(level * 500)
    return with_(lossy(again, 10_000, 0.0, Resender("10.0.0.7", again, 1000)))


@pytest.mark.parametrize("of", [_cpu, _limit, _near, _resent], ids=["cpu", "limit", "upstream", "resent"])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_no_clause_wavers_near_its_limit(of: Callable[[float], Snapshot], seed: int) -> None:
    """The measured share is noise of a fifth around its limit, minute after minute: what is once said stays."""
    levels = 0.2 * np.random.default_rng(seed).uniform(0.85, 1.25, 60)
    named: frozenset[str] = frozenset()
    turns = 0
    for level in levels:
        verdict = judge(of(float(level)), named)
        turns += len({key for key in named ^ verdict.named if key.startswith(("cpu", "limit", "resent", "lossy"))})
        named = verdict.named
    assert turns <= 2  # each comes once


@given(
    waits=st.floats(0, 0.19), share=st.floats(0, 0.009), pressure=st.floats(0, 5), throttled=st.floats(0, 0.09),
    clients=st.integers(1, 8),
)  # fmt: skip
def test_what_is_ordinary_is_never_said(
    waits: float, share: float, pressure: float, throttled: float, clients: int
) -> None:
    """Nothing is slow: whatever waits for CPUs, and what few packets are sent again."""
    sent = 2000
    resent = Resent(int(share * sent), sent, 0.0, tuple(Resender(f"10.0.0.{i}", 2, 9) for i in range(clients)), 10.0)
    near = (Neighbour(BACKEND, CpuWait(5 * waits, 5 * waits)),)
    busy = Scarce(CpuWait(5 * waits, 5 * waits, 5 * throttled, "/a"), pressure, near, 5.0)
    assert not judge(with_(Standstill(scarce=busy, resent=resent))).trouble


def test_a_network_that_always_loses_a_little_is_silent() -> None:
    """Two hours of looks at each of many servers, of all sizes, that lose up to 2 % at random: hardly ever a word."""
    random = np.random.default_rng(4)
    said_once = 0
    for _ in range(200):
        usual, sent = random.uniform(0, 0.02), int(random.choice([100, 300, 1000, 10_000]))
        again = random.binomial(sent, usual, 720)
        said_once += any(Resent(int(n), sent, usual, (), 10.0).unusual() for n in again)
    assert said_once <= 2


def test_every_clause_leads_somewhere() -> None:
    near = [Neighbour(BACKEND, CpuWait(2.0, 2.0))]
    short = replace(scarce(1.8, 1.2, near), resent=lossy(40, 2000, 0.001, Resender("10.0.0.7", 38, 200)).resent)
    limited = scarce(2.0, 1.0, throttled_s=3.0, group="/a")
    for standstill in (short, limited, scarce(near=near)):
        for scripts in ((), ("upstream", "scheduler", "tcp")):
            keys = [each.key for each in judge(with_(standstill, {REQUEST: worse(50.0)}, *scripts)).clauses]
            assert keys == sorted(keys, key=lambda key: key.startswith("offer ")), "offers come last"
            for clause in judge(with_(standstill, {REQUEST: worse(50.0)}, *scripts)).clauses:
                place = clause.place
                assert place.pane in {"latency", "clients", "slow"} or place.script in {"scheduler", "tcp", "upstream"}
                assert (place.pane == "start") is (place.script != "" and place.script not in scripts)


@pytest.mark.parametrize(("mean_ms", "told"), [(30.0, True), (300.0, False)], ids=["a tenth of it", "a hundredth"])
def test_a_lack_of_cpus_is_no_reason_for_what_takes_far_longer(mean_ms: float, told: bool) -> None:
    """One thread waited for a quarter of 5 s, all together 3.6 s in ten: of 30 s or of 300 s of requests' time."""
    verdict = judge(with_(SHORT, {REQUEST: worse(mean_ms)}))
    assert any("short of CPU" in text for text in said(verdict)) is told


def test_handshakes_that_a_full_accept_queue_makes_the_kernel_send_again_are_no_loss() -> None:
    lost = lossy(40, 2000, 0.001, Resender("10.0.0.7", 38, 200))
    full = replace(lost, backlogs=(Backlog(80, 65, 64),))
    assert said(judge(with_(full))) == ["the accept queue of port 80 is full"]
    late = {ACCEPT: replace(worse(300.0, n=500), risen_s=None, late_s=9.0)}
    assert not any("the network" in text for text in said(judge(with_(lost, late))))
