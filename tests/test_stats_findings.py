"""The verdict: the true cause from measured rows, nothing without them, and no wavering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bpftop.model import ClientRow, Process, Recent, ScriptStatus, SlowRequest, Snapshot, State, Summary
from bpftop.stats.clause import Place
from bpftop.stats.findings import Verdict, judge
from bpftop.stats.stages import ACCEPT, READ, REQUEST, RESPONSE, UPSTREAM, stages
from tests.snapshots import measure, snapshot

MS = 1_000_000
KEYS = {
    UPSTREAM: "peer", "loop_stall": "tid", "loop_wait": "tid", "disk_latency": "device", "syscall_latency": "syscall",
    "run_queue_latency": "tid", "route_latency": "route",
}  # fmt: skip


def summary(n: int, mean_ms: float, p99_ms: float) -> Summary:
    p99 = int(p99_ms * MS)
    return Summary(n, n / 10, int(mean_ms * MS), p99, p99, p99, p99, p99 * 2, int(n * mean_ms * MS))


def row(name: str, n: int, slow: int, mean_ms: float = 1.0, p99_ms: float = 500.0) -> ClientRow:
    return ClientRow(
        name, n, n / 10, int(mean_ms * MS), int(p99_ms * MS), int(p99_ms * MS), int(n * mean_ms * MS), slow
    )


def calm(mean_ms: float = 1.0) -> Recent:
    return Recent(summary(1000, mean_ms, 4.0), summary(6000, mean_ms, 4.0), 4 * MS, 10, (row("10.0.0.1", 500, 5),))


def worse(mean_ms: float, rows: Sequence[ClientRow] = (), slow: int = 100, n: int = 1000, known: bool = True) -> Recent:
    before = summary(6000, 1.0, 4.0) if known else Summary(0, 0.0)
    return Recent(summary(n, mean_ms, 500.0), before, 40 * MS, slow, tuple(rows), risen_s=6.0)


def script(name: str, state: State = State.LIVE) -> ScriptStatus:
    return ScriptStatus(name, name.capitalize(), state)


def scene(
    recent: Mapping[str, Recent],
    events: Sequence[SlowRequest] = (),
    scripts: Sequence[ScriptStatus] = (),
    workers: int = 2,
) -> Snapshot:
    """Read queue and request latency as they always are, but for what ``recent`` says."""
    everything = {READ: calm(0.1), REQUEST: calm(), **recent}
    measures = {}
    for name, each in everything.items():
        found = measure(name, each.now)
        measures[name] = replace(found, measure=replace(found.measure, key=KEYS.get(name, "client")))
    made = snapshot(measures)
    processes = tuple(Process(pid, 1, "nginx") for pid in range(11, 12 + workers))
    target = replace(made.target, processes=processes)
    return replace(made, recent=everything, recent_slow=tuple(events), scripts=tuple(scripts), target=target)


def said(verdict: Verdict) -> list[str]:
    return [each.text for each in verdict.clauses]


def request(pid: int, queue_ms: int = 400, client: str = "10.0.0.1") -> SlowRequest:
    return SlowRequest(1, "request", (queue_ms + 1) * MS, client, {"read_queue_ns": queue_ms * MS, "pid": pid})


def test_nothing_was_observed() -> None:
    assert judge(snapshot({})) == Verdict()


def test_all_is_well() -> None:
    verdict = judge(scene({}))
    assert not verdict.trouble
    assert said(verdict) == ["nothing stands out: request latency p99 4.00 ms over 10 s, n 1,000"]
    assert verdict.clauses[0].evidence == "last 10 s: p99 4.00 ms, n 1,000; level: p99 4.00 ms, n 6,000"
    young = judge(scene({REQUEST: replace(calm(), before=Summary(0, 0.0))}))
    assert said(young)[0].startswith("nothing stands out yet: ")


def test_a_slow_upstream_without_and_with_the_script_that_tells() -> None:
    off = scene({REQUEST: worse(100.0)}, scripts=[script("upstream", State.OFF), script("eventloop", State.OFF)])
    symptom, where, offer = judge(off).clauses
    assert symptom.text == "request latency p99 500 ms, 125× its level before"
    assert symptom.evidence.startswith("100 of 1,000 in the last 10 s over 40.0 ms; for 6 s; level: p99 4.00 ms")
    assert symptom.place == Place("latency", REQUEST)
    assert where.text == "time is in the server, after the read: 100 %"
    assert (offer.text, offer.place) == ("to know more: start upstream", Place("start", "", "", "upstream"))
    rows = [row("10.1.0.9:80", 90, 90, 1000.0), row("10.1.0.8:80", 200, 0, 2.0, 4.0)]
    on = scene({REQUEST: worse(100.0), UPSTREAM: worse(310.0, rows, 90, n=290)}, scripts=[script("upstream")])
    found = judge(on).clauses[-1]
    assert found.text == "it waits for upstream 10.1.0.9:80: p99 500 ms"
    assert found.place == Place("script", UPSTREAM, "10.1.0.9:80", "upstream")
    assert "n 90; p99 of others up to 4.00 ms" in found.evidence


def test_a_script_started_in_the_middle_of_it_needs_not_ten_seconds_to_name_the_upstream() -> None:
    def after(seconds: int) -> str:
        rows = [row("10.1.0.9:80", 9 * seconds, 9 * seconds, 1000.0), row("10.1.0.8:80", 20 * seconds, 0, 2.0, 4.0)]
        found = worse(310.0, rows, 9 * seconds, n=29 * seconds)
        found = replace(found, now=replace(found.now, rate_per_s=29.0))
        return " · ".join(
            each.text
            for each in judge(scene({REQUEST: worse(100.0), UPSTREAM: found}, scripts=[script("upstream")])).clauses
        )

    for seconds in (2, 5, 10):
        assert "it waits for upstream 10.1.0.9:80" in after(seconds)


def test_upstreams_that_are_slow_alike_are_said_together_and_routes_tell_more() -> None:
    rows = [row("10.1.0.9:80", 150, 50, 330.0), row("10.1.0.8:80", 140, 40, 310.0)]
    scripts = [script("upstream"), *(script(name, State.OFF) for name in ("eventloop", "http"))]
    verdict = judge(scene({REQUEST: worse(100.0), UPSTREAM: worse(320.0, rows, 90, n=290)}, scripts=scripts))
    assert said(verdict)[2:] == ["it waits for its upstreams: p99 500 ms", "to know more: start http"]
    assert verdict.clauses[2].evidence == (
        "93 % of that time in the last 10 s, for none of them alone: 10.1.0.9:80 53 %, 10.1.0.8:80 47 %"
    )
    little = worse(60.0, rows, 90, n=290)
    assert said(judge(scene({REQUEST: worse(100.0), UPSTREAM: little}, scripts=scripts)))[2:] == [
        "to know more: start eventloop"
    ]


def test_an_upstream_that_explains_little_is_not_blamed() -> None:
    rows = [row("10.1.0.9:80", 90, 9, 100.0)]
    verdict = judge(scene({REQUEST: worse(100.0), UPSTREAM: worse(100.0, rows, 9, n=90)}, scripts=[script("upstream")]))
    assert not any("upstream" in text for text in said(verdict))


@pytest.mark.parametrize(
    ("rows", "guilty"),
    [
        ([row("10.0.0.7", 100, 92), row("10.0.0.1", 900, 8)], "92 % of the slow ones from 10.0.0.7"),
        ([row("10.0.0.7", 700, 92), row("10.0.0.1", 300, 8)], ""),
        ([row("10.0.0.7", 450, 50), row("10.0.0.1", 550, 50)], ""),
        ([row("10.0.0.7", 100, 92)], ""),
        ([row("others", 100, 92), row("10.0.0.1", 900, 8)], ""),
    ],
    ids=["one of ten", "most of the traffic", "two alike", "the only one", "others are nobody"],
)
def test_the_client_behind_the_slow_requests(rows: list[ClientRow], guilty: str) -> None:
    verdict = judge(scene({REQUEST: worse(100.0, rows)}))
    assert [text for text in said(verdict) if "slow ones" in text] == ([guilty] if guilty else [])
    if guilty:
        found = verdict.clauses[-1]
        assert found.place == Place("clients", REQUEST, "10.0.0.7/32")
        assert found.evidence.startswith("92 of 100 over 40.0 ms in the last 10 s; it has 10 % of all 1,000; its p99")


def test_too_few_slow_ones_blame_nobody() -> None:
    rows = [row("10.0.0.7", 10, 7), row("10.0.0.1", 90, 0)]
    assert not any("slow ones" in text for text in said(judge(scene({REQUEST: worse(100.0, rows, 7, n=100)}))))


def test_once_named_a_client_needs_less_to_stay_named() -> None:
    clear = scene({REQUEST: worse(100.0, [row("10.0.0.7", 100, 70), row("10.0.0.1", 900, 30)])})
    less = scene({REQUEST: worse(100.0, [row("10.0.0.7", 100, 28), row("10.0.0.1", 900, 72)])})
    gone = scene({REQUEST: worse(100.0, [row("10.0.0.7", 100, 20), row("10.0.0.1", 900, 80)])})
    first = judge(clear)
    assert any("10.0.0.7" in text for text in said(first))
    assert not any("10.0.0.7" in text for text in said(judge(less)))
    second = judge(less, first.named)
    assert any("28 % of the slow ones from 10.0.0.7" in text for text in said(second))
    assert not any("10.0.0.7" in text for text in said(judge(gone, second.named)))


def test_two_clients_share_the_guilt() -> None:
    rows = [row("10.0.0.7", 50, 40), row("10.0.0.8", 50, 38), row("10.0.0.1", 900, 22)]
    *_, first, second = judge(scene({REQUEST: worse(100.0, rows)})).clauses
    assert (first.text, second.text) == ("40 % of the slow ones from 10.0.0.7", "38 % from 10.0.0.8")
    assert second.place == Place("clients", REQUEST, "10.0.0.8/32")


def test_a_network_is_said_when_no_client_of_it_has_much() -> None:
    rows = [row("10.0.7.1", 10, 6), row("10.0.7.2", 10, 5), row("10.0.0.1", 900, 10)]
    networks = (row("10.0.7.0/24", 100, 90), row("10.0.0.0/24", 900, 10))
    found = judge(scene({REQUEST: replace(worse(100.0, rows), networks=networks)})).clauses[-1]
    assert found.text == "90 % of the slow ones from 10.0.7.0/24"
    assert found.place == Place("clients", REQUEST, "10.0.7.0/24")
    one = [row("10.0.7.1", 10, 88), *rows[1:]]
    found = judge(scene({REQUEST: replace(worse(100.0, one), networks=networks)})).clauses[-1]
    assert found.text == "88 % of the slow ones from 10.0.7.1"


def test_a_network_that_was_said_stays_while_three_of_its_clients_have_nearly_as_much() -> None:
    networks = (row("10.0.7.0/24", 250, 396), row("10.0.0.0/24", 750, 204))

    def found(each: int, named: frozenset[str] = frozenset()) -> Verdict:
        rows = [*(row(f"10.0.7.{i}", 50, each) for i in range(1, 4)), row("10.0.0.1", 500, 60)]
        return judge(scene({REQUEST: replace(worse(100.0, rows, slow=600), networks=networks)}), named)

    first = found(84)
    assert said(first)[2:] == ["66 % of the slow ones from 10.0.7.0/24"]
    assert said(found(90, first.named))[2:] == ["66 % of the slow ones from 10.0.7.0/24"]
    assert said(found(90))[2:] == ["15 % of the slow ones from 10.0.7.1", "15 % from 10.0.7.2", "15 % from 10.0.7.3"]


def test_a_worker_that_reads_late_by_single_requests() -> None:
    events = [*[request(12)] * 18, *[request(13)] * 2, *[request(13, queue_ms=1)] * 40]
    found = judge(scene({READ: worse(50.0)}, events)).clauses[2]
    assert found.text == "worker 12 reads late"
    assert (
        found.evidence
        == "18 of 20 single requests of the last 10 s that waited over 40.0 ms, 90 % of their waiting; up to 400 ms"
    )
    assert found.place == Place("slow", "", "pid=12")


def test_workers_that_read_late_alike() -> None:
    events = [*[request(12)] * 11, *[request(13)] * 9]
    assert "workers 12, 13 read late alike" in said(judge(scene({READ: worse(50.0)}, events)))
    few = [*[request(12)] * 4, *[request(13)] * 3]
    assert not any("read late" in text for text in said(judge(scene({READ: worse(50.0)}, few))))


def test_a_busy_event_loop_and_the_call_in_it() -> None:
    stall = worse(80.0, [row("nginx 12", 120, 90, 80.0), row("nginx 13", 900, 0, 0.1)], 90)
    wait = replace(calm(), rows=(row("nginx 12", 120, 0, 3.0), row("nginx 13", 900, 0, 10.0)))
    event = SlowRequest(1, "stall", 500 * MS, "", {"tid": 12, "in_syscall_ns": 490 * MS}, {"syscall": "fsync"})
    verdict = judge(scene({READ: worse(50.0), "loop_stall": stall, "loop_wait": wait}, [event]))
    found = verdict.clauses[2]
    assert found.text == "worker nginx 12 is busy, 500 ms a turn in fsync"
    assert found.evidence.startswith("96 % of its time in the last 10 s")
    assert found.place == Place("script", "loop_stall", "nginx 12", "eventloop")


def test_a_disk_and_the_call_that_waits_for_it() -> None:
    disk = worse(50.0, [row("sda read", 190, 90, 50.0)], 90, n=190)
    assert "disk" not in " ".join(said(judge(scene({READ: worse(50.0), "disk_latency": calm()}))))
    calls = worse(5.0, [row("pread64", 190, 90, 52.0), row("writev", 1000, 0, 0.01)], 90)
    verdict = judge(scene({READ: worse(50.0), "disk_latency": disk, "syscall_latency": calls}))
    assert said(verdict)[2:] == ["it waits for the disk sda read: p99 500 ms", "in pread64: p99 500 ms"]
    fast = replace(disk, before=summary(6000, 50.0, 500.0), risen_s=None)
    verdict = judge(scene({READ: worse(50.0), "disk_latency": fast, "syscall_latency": calls}))
    assert said(verdict)[2:] == ["in pread64: p99 500 ms"], "a disk as slow as ever is no news"
    noisy = replace(disk, before=summary(6000, 1.0, 500.0), risen_s=None)
    verdict = judge(scene({READ: worse(50.0), "disk_latency": noisy}))
    assert said(verdict)[2:] == ["it waits for the disk sda read: p99 500 ms"], "its mean has risen, not its tail"


def test_threads_without_a_cpu() -> None:
    queue = worse(20.0, [row("nginx 12", 1000, 90, 20.0)], 90)
    verdict = judge(scene({READ: worse(30.0), "run_queue_latency": queue}))
    assert said(verdict)[2] == "its threads wait for a CPU: p99 500 ms"


def test_the_accept_queue_is_not_counted_twice() -> None:
    """Data that comes with a connection waits for the accept: it is in both measures."""
    accept = worse(300.0, n=500)
    verdict = judge(scene({ACCEPT: accept, READ: worse(160.0)}))
    assert said(verdict)[:2] == [
        "accept queue latency p99 500 ms, 125× its level before", "time is in the accept queue: 93 %"
    ]  # fmt: skip


def test_two_stages_share_the_time() -> None:
    verdict = judge(scene({READ: worse(55.0), REQUEST: worse(50.0)}))
    assert said(verdict)[1] == "time is in the read queue: 52 %, the server, after the read: 48 %"


def test_the_stage_that_was_said_stays_while_it_is_nearly_as_bad() -> None:
    named: frozenset[str] = frozenset()
    for read_ms, worst in ((50.0, READ), (40.0, READ), (20.0, REQUEST), (30.0, REQUEST), (90.0, READ)):
        verdict = judge(scene({READ: worse(read_ms), REQUEST: worse(35.0)}), named)
        named = verdict.named
        assert verdict.clauses[0].key == f"slow {worst}", read_ms


def test_sending() -> None:
    everything = {REQUEST: calm(), RESPONSE: worse(80.0)}
    verdict = judge(scene(everything, scripts=[script("tcp", State.OFF)]))
    assert said(verdict)[1:] == ["time is in sending: 99 %", "to know more: start tcp"]


def test_a_queue_that_was_always_bad() -> None:
    late = replace(worse(50.0, known=False), risen_s=None, late_s=12.0)
    symptom = judge(scene({READ: late})).clauses[0]
    assert symptom.text == "read queue latency p99 500 ms"
    assert symptom.evidence == "100 of 1,000 in the last 10 s over 40.0 ms; for 12 s"


def test_more_requests_and_whose() -> None:
    rows = (row("10.0.0.7", 9000, 0), row("10.0.0.1", 500, 0))
    busier = replace(
        calm(), now=summary(10_000, 1.0, 4.0), busier_s=4.0, rows=rows,
        earlier_per_s={"10.0.0.7": 10.0, "10.0.0.1": 50.0},
    )  # fmt: skip
    busier = replace(busier, before=replace(busier.before, rate_per_s=100.0))
    verdict = judge(scene({REQUEST: busier}))
    assert said(verdict) == ["10× as many requests: 1000/s", "99 % of the new ones from 10.0.0.7"]
    assert verdict.clauses[1].place == Place("clients", REQUEST, "10.0.0.7/32")


def test_no_answers_any_more() -> None:
    silent = replace(calm(), now=Summary(0, 0.0), fewer_s=9.0)
    silent = replace(silent, before=replace(silent.before, rate_per_s=180.0))
    verdict = judge(replace(scene({REQUEST: silent}), quiet_s=8.0))
    assert said(verdict) == ["no request was answered for 8 s, before: 180/s"]
    few = replace(silent, now=replace(summary(200, 1.0, 4.0), rate_per_s=20.0))
    assert said(judge(scene({REQUEST: few}))) == ["fewer requests are answered: 20/s, before: 180/s"]


def failures(errors: Mapping[str, int], answered: Mapping[str, int]) -> dict[str, Recent]:
    """By route, and as many by client."""
    counted = tuple(row(name, n, n) for name, n in errors.items())
    whole = sum(errors.values())
    failed = Recent(Summary(whole, whole / 10), Summary(0, 0.0), 0, whole, counted)
    routes = replace(calm(), rows=tuple(row(name, n, 0) for name, n in answered.items()))
    return {"route_latency": routes, "route_errors_5xx": failed}


def test_many_answers_that_are_errors_are_said_though_they_are_fast_and_on_which_route() -> None:
    verdict = judge(scene(failures({"GET /a": 240, "GET /b": 10}, {"GET /a": 300, "GET /b": 700})))
    assert verdict.trouble
    assert said(verdict) == ["25 % of the answers are 5xx", "96 % of these are GET /a"]
    assert verdict.clauses[1].evidence == "240 of 250; it has 30 % of all requests"
    assert verdict.clauses[1].place == Place("script", "route_latency", "GET /a", "http")
    alike = judge(scene(failures({"GET /a": 75, "GET /b": 175}, {"GET /a": 300, "GET /b": 700})))
    assert said(alike) == ["25 % of the answers are 5xx"]
    few = scene(failures({"GET /a": 30}, {"GET /a": 300, "GET /b": 700}))
    assert not judge(few).trouble
    assert said(judge(few, verdict.named))[0] == "3.0 % of the answers are 5xx"


def test_for_whom_the_server_fails() -> None:
    found = failures({"GET /a": 100}, {"GET /a": 1000})
    mine = Recent(Summary(100, 10.0), Summary(0, 0.0), 0, 100, (row("10.0.0.7", 95, 95), row("10.0.0.1", 5, 5)))
    asked = replace(calm(), rows=(row("10.0.0.7", 100, 1), row("10.0.0.1", 900, 9)))
    verdict = judge(scene({**found, "client_errors_5xx": mine, REQUEST: asked}))
    assert said(verdict) == ["10 % of the answers are 5xx", "95 % of these for 10.0.0.7"]
    assert verdict.clauses[1].place == Place("clients", REQUEST, "10.0.0.7/32")


def old(shot: Snapshot, seconds: int = 300) -> Snapshot:
    """The same, of a watch that has lasted for longer."""
    return replace(shot, started_unix_ns=shot.unix_ns - seconds * 10**9)


def test_a_new_tail_is_a_finding_only_with_somebody_behind_it() -> None:
    tail = replace(calm(), limit_ns=300 * MS, slow=20, tail_s=9.0)
    assert not judge(old(scene({REQUEST: tail}))).trouble
    early = replace(tail, tail_s=4.0, rows=(row("10.0.0.7", 100, 19), row("10.0.0.1", 900, 1)))
    assert not judge(old(scene({REQUEST: early}))).trouble, "it is not known yet whether CPUs are scarce"
    owned = replace(tail, rows=(row("10.0.0.7", 100, 19), row("10.0.0.1", 900, 1)))
    verdict = judge(old(scene({REQUEST: owned})))
    assert verdict.trouble
    assert said(verdict) == ["the slowest 2.0 % take over 300 ms", "95 % of the slow ones from 10.0.0.7"]


def test_an_upstream_is_behind_a_new_tail() -> None:
    tail = replace(calm(100.0), limit_ns=300 * MS, slow=100, tail_s=9.0)
    rows = (row("10.1.0.9:80", 90, 90, 1000.0), row("10.1.0.8:80", 200, 0, 2.0, 4.0))
    slow = replace(worse(310.0, rows, 90, n=290), risen_s=None)
    assert said(judge(old(scene({REQUEST: tail, UPSTREAM: slow})))) == [
        "the slowest 10 % take over 300 ms", "it waits for upstream 10.1.0.9:80: p99 500 ms"
    ]  # fmt: skip


def test_a_route() -> None:
    routes = worse(100.0, [row("GET /reports", 50, 95), row("GET /", 950, 5)])
    verdict = judge(scene({REQUEST: worse(100.0), "route_latency": routes}))
    assert said(verdict)[-1] == "95 % of the slow ones are GET /reports"
    assert verdict.clauses[-1].place == Place("script", "route_latency", "GET /reports", "http")


def test_stages_add_up_and_count_a_wait_once() -> None:
    found = stages(
        {
            ACCEPT: summary(10, 3.0, 5),
            READ: summary(100, 1.0, 5),
            REQUEST: summary(100, 2.0, 5),
            RESPONSE: summary(99, 3.0, 5),
        }
    )
    assert found == {ACCEPT: 30 * MS, READ: 70 * MS, REQUEST: 200 * MS, RESPONSE: 97 * MS}
    assert RESPONSE not in stages({REQUEST: summary(100, 2.0, 5), RESPONSE: summary(100, 2.01, 5)})


def test_two_upstreams_that_share_the_time_are_both_named() -> None:
    rows = [
        row("10.1.0.9:80", 150, 150, 400.0), row("10.1.0.7:80", 250, 250, 300.0, 320.0),
        row("10.1.0.8:80", 600, 0, 2.0, 4.0), row("10.1.0.6:80", 500, 0, 2.0, 4.0),
    ]  # fmt: skip
    shared = scene({REQUEST: worse(150.0), UPSTREAM: worse(91.0, rows, 400, n=1500)}, scripts=[script("upstream")])
    assert said(judge(shared))[2:] == [
        "it waits for upstream 10.1.0.7:80: p99 320 ms", "and for upstream 10.1.0.9:80: p99 500 ms"
    ]  # fmt: skip
