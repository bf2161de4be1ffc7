"""What the verdict says of processes that stand still and of requests that are never answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bpftop.model import (
    Backlog,
    CpuWait,
    Held,
    Neighbour,
    Recent,
    Resender,
    Resent,
    Scarce,
    Snapshot,
    Standstill,
    State,
    Waiting,
)  # fmt: skip
from bpftop.recording.asked import Told
from bpftop.recording.codec import Damaged
from bpftop.recording.standing import standstill_of, standstill_to
from bpftop.recording.told import dump, load
from bpftop.stats.clause import Place
from bpftop.stats.findings import judge
from bpftop.stats.stages import READ, REQUEST, RESPONSE
from tests.test_stats_findings import MS, calm, old, row, said, scene, script, summary, worse

STOPPED = Held(12, "nginx", "stopped", 31.0, "do_signal_stop")
BUSY = Held(13, "nginx", "busy", 31.0)
WAITS = Standstill(
    open=12,
    unread=8,
    oldest_s=31,
    connections=100,
    clients=(Waiting("10.0.0.7", 9, 31, 10), Waiting("10.0.0.1", 3, 9, 50)),
    workers=(Waiting("12", 11, 31),),
    usual=0,
)


def silent() -> dict[str, Recent]:
    return {REQUEST: replace(calm(), now=summary(0, 0.0, 0.0), before=summary(6000, 1.0, 4.0), fewer_s=8.0)}


def with_(standstill: Standstill, recent: dict[str, Recent] | None = None, on: bool = False) -> Snapshot:
    scripts = [script(name, State.LIVE if on else State.OFF) for name in ("upstream", "scheduler")]
    return replace(old(scene(recent or {}, scripts=scripts), 900), standstill=standstill, quiet_s=8.0)


def test_of_workers_that_hang_in_the_kernel_the_disk_and_the_calls_tell_more_and_none_is_busy() -> None:
    held = Standstill(held=(Held(13, "nginx", "in the kernel", 9.0, "folio_wait_bit_common"),))
    loop = worse(800.0, (row("nginx 13", 20, 9, 800.0),), 9, n=20)
    scripts = [script(name, State.OFF) for name in ("eventloop", "disk", "syscalls")]
    shot = old(scene({READ: worse(50.0), "loop_stall": loop}, scripts=scripts), 900)
    assert said(judge(shot))[2:] == ["worker nginx 13 is busy", "to know more: start eventloop"]
    assert said(judge(replace(shot, standstill=held)))[2:] == [
        "worker 13 hangs in the kernel", "to know more: start disk"
    ]  # fmt: skip


def test_a_worker_that_was_stopped_is_said_where_something_is_slow_and_is_the_same_finding() -> None:
    was = replace(STOPPED, state="was stopped", for_s=3.0)
    clauses = judge(with_(Standstill(held=(was,)), {READ: worse(50.0)})).clauses
    assert clauses[2].text == "worker 12 was stopped"
    assert clauses[2].evidence.startswith("for 3 s: by a signal (SIGSTOP, SIGTSTP) or a debugger, until a moment ago")
    assert clauses[2].key == judge(with_(Standstill(held=(STOPPED,)))).clauses[0].key
    assert not judge(with_(Standstill(held=(was,)))).trouble


HEAVY = Recent(
    summary(1000, 20.0, 300.0), summary(6000, 1.0, 4.0), 60 * MS, 150,
    (row("10.0.0.7", 100, 90, 110.0), row("10.0.0.1", 400, 10, 10.0)),
)  # fmt: skip


def test_while_a_worker_is_busy_the_client_with_far_longer_answers_is_said_and_nobody_who_waits_behind_them() -> None:
    busy = Standstill(held=(BUSY,))
    verdict = judge(with_(busy, {READ: worse(50.0), RESPONSE: HEAVY}))
    assert said(verdict)[2:4] == ["worker 13 is busy", "answers to 10.0.0.7 take 110 ms, to others 10.0 ms"]
    assert verdict.clauses[3].place == Place("clients", RESPONSE, "10.0.0.7/32")
    lack = Standstill(scarce=Scarce(CpuWait(1.8, 1.2), 4.9, (), 5.0))
    assert verdict.clauses[3].text in said(judge(with_(lack, {READ: worse(50.0), RESPONSE: HEAVY})))
    first, second = HEAVY.rows
    at_times = replace(HEAVY, rows=(replace(first, slow=20), second))
    few = replace(HEAVY, rows=(replace(first, count=40, total_ns=40 * 110_000_000), second))
    alike = replace(HEAVY, rows=(replace(first, total_ns=100 * 25_000_000), second))
    for other in (at_times, few, alike):
        assert not any("answers to" in text for text in said(judge(with_(busy, {READ: worse(50.0), RESPONSE: other}))))
    assert not any(
        "answers to" in text for text in said(judge(with_(Standstill(), {READ: worse(50.0), RESPONSE: HEAVY})))
    )


def test_a_busy_worker_is_said_once() -> None:
    loop = worse(800.0, (row("nginx 13", 20, 9, 800.0),), 9, n=20)
    verdict = judge(with_(Standstill(held=(BUSY,)), {READ: worse(50.0), "loop_stall": loop}))
    assert said(verdict)[2:] == ["worker nginx 13 is busy", "to know more: start scheduler"]


def test_a_stopped_worker_is_said_with_who_waits_for_it() -> None:
    verdict = judge(with_(replace(WAITS, held=(STOPPED,)), silent()))
    assert verdict.trouble
    assert said(verdict) == [
        "no request was answered for 8 s, before: 600/s",
        "worker 12 is stopped",
        "12 connections waited over 5 s for an answer, oldest 31 s",
        "75 % of them from 10.0.0.7",
    ]
    _, held, waits, who = verdict.clauses
    assert held.place == Place("slow", "", "pid=12")
    assert held.evidence.startswith("for 31 s: by a signal (SIGSTOP, SIGTSTP) or a debugger, says the kernel; kill")
    assert held.evidence.endswith("in do_signal_stop; 11 connections of it waited over 5 s")
    assert waits.evidence == (
        "8 of them with data that the server has not read; usual here: 0; 10.0.0.7 (9), 10.0.0.1 (3)"
    )
    assert (who.place, who.evidence) == (
        Place("clients", REQUEST, "10.0.0.7/32"), "9 of 12; it has 10 of all 100 connections; oldest 31 s"
    )  # fmt: skip


def test_a_stopped_worker_is_said_though_others_answer() -> None:
    assert said(judge(with_(Standstill(held=(STOPPED,))))) == ["worker 12 is stopped"]
    both = replace(STOPPED, pid=13)
    assert said(judge(with_(Standstill(held=(STOPPED, both)))))[-1] == "workers 12, 13 are stopped"


def test_a_busy_worker_is_only_said_when_something_waits() -> None:
    assert not judge(with_(Standstill(held=(BUSY,)))).trouble
    assert "worker 13 is busy" in said(judge(with_(replace(WAITS, held=(BUSY,)))))
    assert "worker 13 is busy" in said(judge(with_(Standstill(held=(BUSY,)), {READ: worse(50.0)})))
    held = Held(13, "nginx", "in the kernel", 9.0, "io_schedule")
    found = judge(with_(replace(WAITS, held=(held,)))).clauses[0]
    assert found.text == "worker 13 hangs in the kernel"
    assert "in io_schedule" in found.evidence


@pytest.mark.parametrize(
    ("standstill", "trouble"),
    [
        (replace(WAITS, unread=0, usual=None), False),
        (replace(WAITS, unread=0, usual=10), False),
        (replace(WAITS, unread=0, usual=2), True),
        (replace(WAITS, open=2, unread=0, usual=0), False),
        (replace(WAITS, open=1, unread=1, usual=None), True),
        (replace(WAITS, unread=8, usual=12, usual_unread=8), False),
    ],
    ids=["not known yet", "long polls", "far more than usual", "two", "nobody reads it", "always so"],
)
def test_late_answers_are_beyond_what_is_usual(standstill: Standstill, trouble: bool) -> None:
    verdict = judge(with_(standstill))
    assert verdict.trouble is trouble
    if not trouble:
        assert verdict.clauses[0].evidence.endswith(f"{standstill.open} requests open for over 5 s")


def test_a_client_with_most_connections_is_not_blamed_for_most_waits() -> None:
    everybody = replace(WAITS, clients=(Waiting("10.0.0.7", 9, 31, 80), Waiting("10.0.0.1", 3, 9, 20)))
    assert not any("of them from" in text for text in said(judge(with_(everybody))))


def test_a_silent_upstream_is_named_among_several() -> None:
    ups = (Waiting("10.1.0.9:80", 11, 31), Waiting("10.1.0.8:80", 1, 6))
    found = judge(with_(replace(WAITS, upstreams=ups))).clauses[-1]
    assert found.text == "upstream 10.1.0.9:80 does not answer"
    assert found.evidence == "11 requests sent to it, oldest 31 s ago; also waited for: 10.1.0.8:80 (1)"
    assert found.place == Place("start", "", "", "upstream")
    assert judge(with_(replace(WAITS, upstreams=ups), on=True)).clauses[-1].place.script == "upstream"


def test_a_full_accept_queue_and_a_target_that_ended() -> None:
    assert said(judge(with_(Standstill(backlogs=(Backlog(80, 65, 64),))))) == ["the accept queue of port 80 is full"]
    ended = with_(Standstill(), silent())
    ended = replace(ended, target=replace(ended.target, processes=()))
    assert said(judge(ended))[-1] == "no process of the target is left"


def test_a_recording_keeps_it() -> None:
    known = replace(
        WAITS,
        held=(STOPPED, BUSY),
        backlogs=(Backlog(80, 65, 64),),
        upstreams=(Waiting("a:1", 1, 7),),
        scarce=Scarce(CpuWait(1.5, 0.9, 0.2, "/a"), 3.0, (Neighbour("b:1", CpuWait(0.5)),), 5.0),
        resent=Resent(9, 400, 0.001, (Resender("10.0.0.7", 8, 40),), 10.0),
    )
    assert standstill_of(load(dump(standstill_to(known)))) == known
    assert standstill_to(Standstill()) is None
    assert standstill_of(Told(None)) == Standstill()
    with pytest.raises(Damaged):
        standstill_of(Told({"open": "many"}))
