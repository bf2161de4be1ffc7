"""Every scenario: what the store says is the truth, within stated bounds; and it tells what it promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpftop import scenarios
from bpftop.cli.simulation import settled
from bpftop.errors import UsageError
from bpftop.export.truth import check, truth_json, truth_text
from bpftop.model import ClientRow, Snapshot
from bpftop.scenarios import NAMES
from bpftop.stats import findings
from bpftop.stats.buckets import bucket_of
from bpftop.tracer.simulate import SimulatedSource, Truth, scenario_of
from tests.scenarios import EVERYTHING, watched

SCRIPTED = ("requests", "connections", "http", "upstream")
WITHIN_CLIENT = 3.125
"""Percent: half of a bucket, 16 in an octave."""


@pytest.fixture(scope="module")
def told() -> dict[str, tuple[Snapshot, Truth]]:
    """Ten seconds of each scenario with every script; of the flood three, of the demo a whole cycle."""
    lengths = {"flood": 3.0, "demo": 30.0}
    return {name: watched(name, lengths.get(name, 10.0)) for name in NAMES}


def rows(snapshot: Snapshot, measure: str) -> dict[str, ClientRow]:
    return {row.client: row for row in snapshot.measures[measure].clients}


def p99(snapshot: Snapshot, measure: str) -> int:
    return snapshot.measures[measure].summary.p99_ns or 0


def tail_of(rows_: dict[str, ClientRow], part: str) -> int:
    return max(row.p99_ns or 0 for name, row in rows_.items() if part in name)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_is_the_truth(told: dict[str, tuple[Snapshot, Truth]], name: str) -> None:
    snapshot, truth = told[name]
    checked = check(snapshot, truth)
    assert {each.measure.name for each in checked} == {*snapshot.measures, *snapshot.counters} == truth.figures.keys()
    for each in checked:
        assert each.said["count"] == each.true["count"]
        for figure, true in each.true.items():
            if figure != "count":
                said = each.said[figure]
                assert (said is None) == (true is None)
                assert true is None or said is None or bucket_of(said) == bucket_of(true)
        assert each.wrong_counts == 0
        assert all(error <= WITHIN_CLIENT + 0.001 for error in each.worst.values())
        assert name == "flood" or each.partial == 0
    accounts = snapshot.accounting
    assert (accounts.lost, accounts.rejected, accounts.untracked) == (0, 0, 0)
    assert accounts.shown == sum(truth.sent.values()) > 0


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(1, 10_000), name=st.sampled_from([name for name in NAMES if name != "flood"]))
def test_any_seed_is_told_truly(seed: int, name: str) -> None:
    snapshot, truth = watched(name, 2.0, SCRIPTED, seed)
    for each in check(snapshot, truth):
        assert each.said["count"] == each.true["count"]
        assert each.wrong_counts == each.partial == 0
        assert all(error <= WITHIN_CLIENT + 0.001 for error in each.worst.values())


# --- one story across all scripts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_scripts_agree_about_the_same_requests(told: dict[str, tuple[Snapshot, Truth]], name: str) -> None:
    snapshot, truth = told[name]
    count = {figure: observed.count for figure, observed in truth.figures.items()}
    assert count["route_latency"] == count["request_latency"]
    assert sorted(truth.figures["route_latency"].values_ns) == sorted(truth.figures["request_latency"].values_ns)
    assert count["loop_wait"] == count["waiting_latency"]
    assert count["smoothed_rtt"] == count["request_latency"]
    for figure in ("4xx", "5xx"):
        assert count[f"route_errors_{figure}"] == count[f"client_errors_{figure}"]
    assert count["disk_latency"] <= count["disk_queue_latency"]
    slow = [event for event in snapshot.slow if event.event == "request" and "route" in event.texts]
    assert len(slow) > 30
    assert {event.texts["route"].split()[0] for event in slow} <= {"GET", "POST"}
    assert all(event.fields["status"] in (200, 503, 504) and event.fields["pid"] for event in slow)
    workers = scenario_of(name).workers
    assert {row.client for row in snapshot.measures["loop_stall"].clients} == {
        f"{scenario_of(name).server} {worker}" for worker in workers
    }


def test_healthy_has_nothing_to_report(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    snapshot = told["healthy"][0]
    assert p99(snapshot, "read_queue_latency") < 1e6
    assert p99(snapshot, "loop_stall") < 1e6
    assert p99(snapshot, "run_queue_latency") < 1e6
    assert all(counter.count == 0 for counter in snapshot.counters.values())


def test_nothing_stands_out_in_the_healthy_one_for_minutes() -> None:
    snapshot, _ = watched("healthy", 120.0, ("requests",))
    verdict = findings.judge(snapshot)
    assert [each.key for each in verdict.clauses] == ["calm request_latency"]
    assert verdict.clauses[0].text.startswith("nothing stands out: request latency p99 ")


def test_a_slow_upstream_is_slow_and_nothing_else(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    slow, healthy = told["slow-upstream"][0], told["healthy"][0]
    upstreams = rows(slow, "upstream_latency")
    assert (upstreams["10.0.0.21:9000"].p50_ns or 0) > 10 * (upstreams["10.0.0.22:9000"].p50_ns or 0)
    assert p99(slow, "request_latency") > 5 * p99(healthy, "request_latency")
    for measure in ("read_queue_latency", "loop_stall", "run_queue_latency", "connect_latency"):
        assert p99(slow, measure) < 2 * p99(healthy, measure)
    routes = rows(slow, "route_latency")
    assert tail_of(routes, "/api/items/:id") > 5 * tail_of(routes, "/api/search")
    assert {row.client for row in slow.counters["failed_connects"].rows} == {"10.0.0.21:9000"}
    assert slow.counters["route_errors_5xx"].count > 0
    assert slow.counters["route_unanswered"].count == slow.counters["resets_received"].count > 0


def test_a_noisy_client_has_most_requests_and_most_slow_ones(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    snapshot = told["noisy-client"][0]
    shown = snapshot.measures["request_latency"]
    assert shown.clients[0].client == "203.0.113.66"
    assert shown.clients[0].count > 5 * shown.clients[1].count
    assert (shown.clients[0].slow or 0) > 0.9 * shown.slow > 0
    assert "client 203.0.113.66" in findings.judge(snapshot).named
    recent = snapshot.recent["request_latency"]
    network = next(row for row in recent.networks if row.client == "203.0.113.0/24")
    assert (network.count, network.slow) == (recent.rows[0].count, recent.rows[0].slow)
    assert p99(snapshot, "read_queue_latency") < 1e6


def test_a_stalled_worker_keeps_its_requests_waiting(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    snapshot, healthy = told["stalled-worker"][0], told["healthy"][0]
    queue = snapshot.measures["read_queue_latency"].summary
    assert (queue.p99_ns or 0) > 100e6 > 1e6 > (queue.p50_ns or 0)
    loops = rows(snapshot, "loop_stall")
    stalled = loops.pop("nginx 4244")
    assert (stalled.max_ns or 0) > 300e6 > 2e6 > max(row.max_ns or 0 for row in loops.values())
    longest = next(event for event in snapshot.slow if event.event == "stall")
    assert longest.texts["syscall"] == "fsync"
    assert longest.fields["in_syscall_ns"] / longest.latency_ns == pytest.approx(0.98, abs=0.01)
    assert (rows(snapshot, "syscall_latency")["fsync"].p50_ns or 0) > 300e6
    assert (rows(snapshot, "disk_latency")["vda flush"].p50_ns or 0) > 300e6
    for measure in ("run_queue_latency", "upstream_latency"):
        assert p99(snapshot, measure) < 2 * p99(healthy, measure)


def test_a_cache_has_two_humps(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    snapshot, truth = told["bimodal"]
    values = truth.figures["request_latency"].values_ns
    between = ((values > 2e6) & (values < 10e6)).sum()
    assert between < 0.01 * len(values)
    assert (values < 2e6).sum() > (values > 10e6).sum() > 0.2 * len(values)
    asked = truth.figures["upstream_latency"].count
    assert asked < 0.5 * len(values)
    routes = rows(snapshot, "route_latency")
    p50 = {name: routes[f"GET /{name}/:id"].p50_ns or 0 for name in ("products", "compare")}
    assert p50["compare"] > 50 * p50["products"]


def test_a_flood_has_more_clients_than_can_be_kept_and_everybody_waits(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    snapshot, truth = told["flood"]
    assert sum(group.count for group in scenario_of("flood").clients) > 100_000
    assert len(truth.by_key("request_latency")) > 15_000
    last = snapshot.measures["request_latency"].clients[-1]
    assert last.client == "others"
    assert last.count > 0.8 * truth.figures["request_latency"].count
    assert p99(snapshot, "read_queue_latency") > 2e6
    assert p99(snapshot, "run_queue_latency") > 3 * p99(told["healthy"][0], "run_queue_latency")
    assert all(snapshot.counters[name].count > 50 for name in ("retransmits", "resets_received", "route_errors_5xx"))


def test_the_demo_has_a_spell_and_its_database(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    snapshot = told["demo"][0]
    assert rows(snapshot, "upstream_latency").keys() == {"127.0.0.1:5432"}
    assert "GET /reports" in rows(snapshot, "route_latency")
    assert p99(snapshot, "loop_stall") < 200e6 < (snapshot.measures["loop_stall"].summary.max_ns or 0)


# --- the truth, told --------------------------------------------------------------------------------------------------


def test_a_wrong_figure_is_seen(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    """The check can fail."""
    snapshot, truth = told["healthy"]
    shown = snapshot.measures["request_latency"]
    summary = replace(shown.summary, count=shown.summary.count + 1, p99_ns=(shown.summary.p99_ns or 0) * 2)
    first = replace(shown.clients[0], count=shown.clients[0].count + 1)
    wrong = replace(shown, summary=summary, clients=(first, *shown.clients[1:]))
    checked = {each.measure.name: each for each in check(replace(snapshot, measures={"request_latency": wrong}), truth)}
    found = checked["request_latency"]
    assert (found.error("count") or 0) > 0
    assert found.error("p99_ns") == pytest.approx(100, abs=2)
    assert found.wrong_counts == 1
    counters = {"route_unanswered": replace(snapshot.counters["route_unanswered"], count=7)}
    assert "true 0, said 7: DIFFERENT" in truth_text(replace(snapshot, counters=counters), truth, 1)


def test_the_truth_in_words_and_in_json(told: dict[str, tuple[Snapshot, Truth]]) -> None:
    snapshot, truth = told["slow-upstream"]
    text = truth_text(snapshot, truth, 3)
    assert text.startswith("Truth of slow-upstream, seed 3")
    assert max(map(len, text.splitlines())) <= 80
    assert "Failed connects" in text
    assert "DIFFERENT" not in text
    found = truth_json(snapshot, truth, 3)
    assert (found["scenario"], found["seed"]) == ("slow-upstream", 3)
    latency = found["figures"]["request_latency"]
    assert latency["true"]["count"] == latency["said"]["count"] == truth.figures["request_latency"].count
    assert latency["error_percent"]["count"] == 0
    assert abs(latency["error_percent"]["p99_ns"]) <= 0.8
    assert latency["keys"] | {"p50_error_percent": 0, "p99_error_percent": 0} == {
        "compared": len(snapshot.measures["request_latency"].clients), "wrong_counts": 0, "partial": 0,
        "p50_error_percent": 0, "p99_error_percent": 0,
    }  # fmt: skip
    assert found["figures"]["route_unanswered"]["true"] == found["figures"]["route_unanswered"]["said"]


# --- the word after --simulate ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--simulate", "--simulate=demo"),
        ("--simulate nginx", "--simulate=demo nginx"),
        ("nginx --simulate", "nginx --simulate=demo"),
        ("--simulate flood", "--simulate=flood"),
        ("--simulate flood nginx", "--simulate=flood nginx"),
        ("flood --simulate", "flood --simulate=demo"),
        ("--simulate -d 1", "--simulate=demo -d 1"),
        ("--simulate :80", "--simulate=demo :80"),
        ("--simulate 1234", "--simulate=demo 1234"),
        ("--simulate=bimodal nginx", "--simulate=bimodal nginx"),
        ("--simulate=nonsense", "--simulate=nonsense"),
        ("--sim healthy -d 1", "--simulate=healthy -d 1"),
        ("--simulate list", "--simulate=list"),
        ("--simulate -- flood", "--simulate=demo -- flood"),
        ("-- --simulate flood", "-- --simulate flood"),
        ("-d 3 --save flood", "-d 3 --save flood"),
    ],
)
def test_the_target_is_never_taken_for_a_scenario(given: str, meant: str) -> None:
    assert settled(given.split()) == meant.split()


@pytest.mark.parametrize("word", ["floood", "slow-upsteam", "noisy", "stalled_worker"])
def test_a_slip_is_no_target(word: str) -> None:
    if scenarios.near(word):
        with pytest.raises(UsageError, match=f"there is no scenario {word}; did you mean {scenarios.near(word)}?"):
            settled(["--simulate", word])
    else:
        assert settled(["--simulate", word]) == ["--simulate=demo", word]


def test_every_scenario_is_described_in_a_line_and_in_steps() -> None:
    assert set(EVERYTHING) >= {"requests", "http", "disk"}
    for name in NAMES:
        scenario = scenario_of(name)
        assert scenario.name == name
        assert len(scenarios.SUMMARIES[name]) <= 60
        assert len(scenario.look) >= 3
        for group in scenario.clients:
            assert sum(group.routes.values()) == pytest.approx(1)
            assert set(group.routes) <= {route.line for route in scenario.routes}
        assert {route.upstream for route in scenario.routes} <= {"", *(each.name for each in scenario.upstreams)}


def test_the_page_about_simulation_has_every_scenario_and_its_python_runs() -> None:
    page = (Path(__file__).parents[1] / "docs" / "simulation.md").read_text()
    assert [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")] == list(NAMES)
    code = page.partition("```python\n")[2].partition("```")[0]
    found: dict[str, object] = {}
    exec(code, found)
    assert isinstance(found["source"], SimulatedSource)


def test_a_slow_request_has_its_route_though_it_was_slow_only_to_be_read() -> None:
    """The slowest of ``requests`` are not the slowest of ``http``, whose clock begins with the read: it sends these."""
    snapshot, truth = watched("stalled-worker", 40.0, ("requests", "http"))
    assert truth.sent["http"] == truth.sent["request"] > 100
    measured = [event for event in snapshot.slow if event.event == "request" and "read_queue_ns" in event.fields]
    assert len(measured) == truth.sent["request"]
    assert all("route" in event.texts for event in measured)
