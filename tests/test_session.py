"""One watch from start to stop over a bpftrace with bad habits: what it shows, what it survives, what it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bpftop import session as session_package
from bpftop.clock import boot_ns
from bpftop.errors import HostError
from bpftop.model import Accounting, Process, Snapshot, State, Target, TargetKind, losses
from bpftop.session import Session, reading, rescan, runs
from bpftop.tracer.simulate import SimulatedSource, simulated_target
from bpftop.tracer.supervisor import BpftraceSource
from tests.fakes import FakeBpftrace, alive, wait_for
from tests.recordings import program

EMPTY_TICKS = "while True:\n  printf(f'T {now()}')\n  printf(f't {now()}')\n  time.sleep(.02)"
TARGET = Target("nginx", TargetKind.NAME, "nginx", "nginx", (Process(11, 1, "nginx"),), (80,))

GONE = 404
"""A process that the look from outside still has."""


def ladder(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    """Shorter steps from SIGINT to SIGKILL."""
    for module in (reading, runs, session_package):
        monkeypatch.setattr(module, "LADDER_S", step_s)


@contextmanager
def watching(fake: FakeBpftrace, renews: bool = False, rescan: Callable[[], Target] | None = None) -> Iterator[Session]:
    """A session on a fake, started; whatever happens nothing of it lives on."""

    def source(_: Target) -> BpftraceSource:
        return BpftraceSource(program(), str(fake.path))

    session = Session(source(TARGET), program(), TARGET, renew=source if renews else None, rescan=rescan)
    session.start()
    try:
        yield session
    finally:
        session.stop()
        wait_for(lambda: not any(alive(run["pid"]) for run in fake.runs), "a child lives on")


def state(session: Session) -> State:
    return session.snapshot(None).tracer.state


def reaches(session: Session, wanted: State) -> Snapshot:
    wait_for(lambda: state(session) is wanted, f"never {wanted}: {session.snapshot(None).tracer}")
    return session.snapshot(None)


def count(session: Session) -> int:
    return session.snapshot(None).measures["request_latency"].summary.count


class Waits(threading.Event):
    """An event that notes how long it was waited for, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.asked.append(timeout or 0)
        return super().wait(0)


# --- a good life ---


def test_live_then_stopped_with_the_last_counts(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "ends_well(9)\nattached()\ntick(4, [11, 12])\nforever()")
    with watching(fake) as session:
        assert session.wait_live(30)
        live = session.snapshot(None)
        assert live.tracer.state is State.LIVE
        assert live.target.pids == (11, 12)
        assert live.target.processes[0].comm == "nginx"
        assert live.scripts[0].state is State.LIVE
        assert count(session) == 4
        session.stop()
        end = session.snapshot(None)
    assert (end.tracer.state, end.tracer.exit_code, end.tracer.restarts) == (State.STOPPED, 0, 0)
    assert count(session) == 9
    assert end.ticks == 1
    assert fake.signals == [signal.SIGINT]


def test_a_tick_to_wait_for(tmp_path: Path) -> None:
    with watching(FakeBpftrace(tmp_path, "live(4)")) as session:
        assert session.wait_live(30)
        before = session.snapshot(None).ticks
        assert session.wait_tick(30)
        assert session.snapshot(None).ticks >= before + 2


def test_settled_is_a_tick_later_than_the_question(tmp_path: Path) -> None:
    with watching(FakeBpftrace(tmp_path, "live(4)")) as session:
        assert session.wait_live(30)
        before = boot_ns()
        assert session.settle(30)
        assert before < session._store.settled_ns <= boot_ns()


def test_a_tick_whose_counts_were_lost_settles_nothing(tmp_path: Path) -> None:
    body = "ends_well(4)\nattached()\ntick(4)\n" + EMPTY_TICKS
    with watching(FakeBpftrace(tmp_path, body)) as session:
        assert session.wait_live(30)
        assert not session.settle(0.3)


def test_ticks_without_counts_settle_while_nothing_was_counted(tmp_path: Path) -> None:
    body = "ends_well(0)\nattached()\n" + EMPTY_TICKS
    with watching(FakeBpftrace(tmp_path, body)) as session:
        assert session.wait_live(30)
        assert session.settle(30)


def test_a_program_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    session = Session(BpftraceSource(program(), str(tmp_path / "none")), program(), TARGET)
    with pytest.raises(HostError, match="cannot start"):
        session.start()


# --- before it is live ---


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("complain(b'ERROR: no such tracepoint\\n'); sys.exit(1)", 1),
        ("attached()\ncomplain(b'ERROR: no such tracepoint\\n'); os._exit(255)", 255),
        ("complain(b'ERROR: no such tracepoint'); os.kill(os.getpid(), signal.SIGSEGV)", -11),
        ("say(b'ERROR: no such tracepoint\\n')", 0),
    ],
)
def test_an_end_before_the_first_tick_is_a_failure_with_its_words(tmp_path: Path, body: str, code: int) -> None:
    """Another start would fail in the same way."""
    fake = FakeBpftrace(tmp_path, body)
    with watching(fake, renews=True) as session:
        assert not session.wait_live(30)
        shown = reaches(session, State.FAILED)
    assert shown.tracer.exit_code == code
    assert ("segmentation fault" if code < 0 else str(code)) in shown.tracer.detail
    assert shown.tracer.hint
    assert shown.tracer.stderr == ("ERROR: no such tracepoint",)
    assert len(fake.runs) == 1
    assert shown.ticks == 0


def test_a_failure_says_its_cause_and_what_to_type(tmp_path: Path) -> None:
    body = "complain(b'ERROR: Error reading events from /x/available_events (No such file)\\n'); sys.exit(1)"
    with watching(FakeBpftrace(tmp_path, body), renews=True) as session:
        shown = reaches(session, State.FAILED).tracer
    assert shown.detail == "tracefs is not mounted (exit code 1)"
    assert shown.hint == "sudo mount -t tracefs tracefs /sys/kernel/tracing"


def test_no_word_at_all_is_said_so_and_can_be_stopped(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "ends_well(0)\nforever()")
    with watching(fake) as session:
        wait_for(lambda: fake.runs)
        assert not session.wait_live(0.3)
        shown = session.snapshot(10)
        assert (shown.tracer.state, shown.tracer.detail) == (State.ATTACHING, "starting bpftrace")
        assert shown.measures["request_latency"].summary.count == 0
    assert state(session) is State.STOPPED


def test_attaching_says_how_many_probes(tmp_path: Path) -> None:
    with watching(FakeBpftrace(tmp_path, "ends_well(0)\nattached(9)\nforever()")) as session:
        wait_for(lambda: session.snapshot(None).tracer.detail == "attaching 9 probes")


# --- bad bytes ---


@pytest.mark.parametrize(
    "habit",
    [
        "say(b'\\0\\xff\\xfe{\\n' * 100)",
        "line('map', {'@x': dict.fromkeys(range(100_000), 1)})",
        "complain(b'\\xff flood \\x1b[2J\\n' * 20000)",
        "complain(b'x' * 2000000 + b'\\n')",
        "line('printf', 'E 1 2\\n'); line('printf', 'E 1 two\\n'); line('printf', 'E 9 1 1\\n')",
        "line('map', {'@counts': {'x': 1, '131772': '99999999999999999999', '-5': -7}})",
        "line('lost_events', {'events': '7'})",
        "say(b'\\n' * 1000)",
    ],
)
def test_bad_bytes_between_ticks_cost_nothing_else(tmp_path: Path, habit: str) -> None:
    body = f"ends_well(6)\nattached()\ntick(4)\n{habit}\ntick(5)\nforever()"
    with watching(FakeBpftrace(tmp_path, body)) as session:
        wait_for(lambda: session.snapshot(None).ticks == 2)
        shown = session.snapshot(None)
        assert shown.tracer.state is State.LIVE
        assert count(session) == 5
        assert len(shown.tracer.stderr) <= 20
        assert all(len(text) <= 400 for text in shown.tracer.stderr)
        session.stop()
        accounts = session.snapshot(None).accounting
        assert accounts.produced == accounts.shown + accounts.suppressed + accounts.lost + accounts.rejected
    assert (state(session), count(session)) == (State.STOPPED, 6)


def test_lost_messages_are_said(tmp_path: Path) -> None:
    body = "ends_well(6)\nattached()\nline('lost_events', {'events': 7})\ntick(4)\nforever()"
    with watching(FakeBpftrace(tmp_path, body)) as session:
        assert session.wait_live(30)
        tracer = session.snapshot(None).tracer
        assert "7" in tracer.detail
        assert tracer.lost_messages == 7


def test_half_a_line_and_a_sudden_end_keep_what_was_counted(tmp_path: Path) -> None:
    body = 'attached()\ntick(4)\nsay(b\'{"type": "printf", "data": "E 1 12\')\nos.kill(os.getpid(), signal.SIGKILL)'
    with watching(FakeBpftrace(tmp_path, body)) as session:
        shown = reaches(session, State.FAILED)
        assert shown.tracer.exit_code == -signal.SIGKILL
        assert count(session) == 4
        assert shown.accounting.rejected == 1


# --- silence and stubbornness ---


def test_silence_is_stalled_and_a_sign_of_life_is_live_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_STALLED_AFTER_NS", 300_000_000)
    fake = FakeBpftrace(
        tmp_path,
        "ends_well(5)\nattached()\ntick(4)\nwhile not os.path.exists(FOLDER + '/go'): time.sleep(0.02)\n"
        "while True: tick(5); time.sleep(0.05)",
    )
    with watching(fake) as session:
        shown = reaches(session, State.STALLED)
        assert shown.tracer.detail
        assert shown.measures["request_latency"].summary.count == 4
        (tmp_path / "go").touch()
        reaches(session, State.LIVE)
        assert count(session) == 5


def test_a_closed_stdout_is_stalled_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_STALLED_AFTER_NS", 300_000_000)
    fake = FakeBpftrace(tmp_path, "attached()\ntick(4)\nos.close(1)\nforever()")
    with watching(fake) as session:
        reaches(session, State.STALLED)
        assert count(session) == 4
    assert not alive(fake.runs[0]["pid"])


def test_one_that_ignores_everything_is_ended_by_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder(monkeypatch, 0.4)
    fake = FakeBpftrace(tmp_path, "ignores()\nattached()\ntick(4)\nforever()")
    with watching(fake) as session:
        assert session.wait_live(30)
        session.stop()
        assert not alive(fake.runs[0]["pid"])
        assert fake.signals == [signal.SIGINT, signal.SIGTERM]
        shown = session.snapshot(None)
    assert (shown.tracer.state, shown.tracer.exit_code) == (State.STOPPED, -signal.SIGKILL)
    assert count(session) == 4


def test_one_that_closes_its_pipes_and_lives_on_is_ended_before_another_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ladder(monkeypatch, 0.3)
    fake = FakeBpftrace(
        tmp_path,
        "if RUN == 0:\n    ignores(); attached(); tick(4); os.close(1); os.close(2); forever()\n"
        'note(first_alive=os.path.exists(f\'/proc/{json.loads(open(FOLDER + "/notes").readline())["pid"]}\'))\nlive(3)',
    )
    with watching(fake, renews=True) as session:
        wait_for(lambda: len(fake.notes) >= 3)
        assert len(fake.runs) == 2
        assert fake.notes[2] == {"first_alive": False}
        wait_for(lambda: count(session) == 7)


# --- crashes ---


def test_a_crash_after_being_live_restarts_three_times_and_no_count_is_lost_or_negative(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "attached()\ntick(10 - RUN)\ntick(11 - RUN)\nos._exit(255)")
    waits = Waits()
    seen: list[int] = []
    with watching(fake, renews=True) as session:
        session._stopping = waits
        while state(session) is not State.FAILED:
            shown = session.snapshot(10).measures["request_latency"]
            assert (shown.histogram.counts >= 0).all()
            seen.append(count(session))
        shown_at_end = session.snapshot(None)
    assert len(fake.runs) == 4
    assert waits.asked == [1, 2, 4], "backoff"
    assert shown_at_end.tracer.restarts == 3
    assert shown_at_end.tracer.exit_code == 255
    assert seen == sorted(seen), "counts never fall"
    assert shown_at_end.accounting.unseen_ns > 0, "between the last tick of one and the first of the next"
    assert losses(shown_at_end).unseen_s < shown_at_end.window.span_s
    assert "no counts came from bpftrace" in losses(shown_at_end).problems[0]
    assert shown_at_end.measures["request_latency"].summary.count == 11 + 10 + 9 + 8
    assert shown_at_end.ticks == 8


def test_the_rest_of_the_snapshot_lives_on_while_it_waits_to_restart(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "attached()\ntick(4, [11])\nos._exit(255)")
    with watching(fake, renews=True) as session:
        wait_for(lambda: session.snapshot(None).tracer.exit_code == 255 and state(session) is State.ATTACHING)
        shown = session.snapshot(10)
        assert shown.measures["request_latency"].summary.count == 4
        assert shown.target.pids == (11,)
    assert state(session) is State.STOPPED, "stopped while it waited"
    assert losses(session.snapshot(None)).problems, "what came after its end was not seen"
    assert len(fake.runs) == 1


def test_counts_that_stood_behind_what_was_not_read_at_the_end_are_missed_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_TICK_NS", 100_000_000)
    body = "on_signals(lambda number: os._exit(0))\nattached()\ntick(0)\nforever()"
    with watching(FakeBpftrace(tmp_path, body)) as session:
        assert session.wait_live(30)
        time.sleep(0.3)
    assert losses(session.snapshot(None)).unseen_s > 0.2
    assert losses(session.snapshot(None)).problems, "0 requests were counted, and it is not known how many there were"


def test_a_restart_that_cannot_is_a_failure_in_words(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "attached()\ntick(4)\nos._exit(255)")

    def gone(_: Target) -> BpftraceSource:
        raise HostError("bpftrace is gone", "apt-get install bpftrace")

    session = Session(BpftraceSource(program(), str(fake.path)), program(), TARGET, renew=gone)
    session._stopping = Waits()
    session.start()
    shown = reaches(session, State.FAILED)
    assert (shown.tracer.detail, shown.tracer.hint) == ("bpftrace is gone", "apt-get install bpftrace")
    session.stop()


def test_stopping_while_another_is_started_ends_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ladder(monkeypatch, 0.5)
    fake = FakeBpftrace(tmp_path, "if RUN == 0:\n    attached(); tick(4); os._exit(255)\nlive(3)")
    renewing, go_on = threading.Event(), threading.Event()

    def slow(_: Target) -> BpftraceSource:
        renewing.set()
        go_on.wait(30)
        return BpftraceSource(program(), str(fake.path))

    session = Session(BpftraceSource(program(), str(fake.path)), program(), TARGET, renew=slow)
    session._stopping = Waits()
    session.start()
    assert renewing.wait(30)
    threading.Timer(0.2, go_on.set).start()
    session.stop()
    wait_for(lambda: not session._thread.is_alive(), "the session goes on")
    assert not any(alive(run["pid"]) for run in fake.runs)
    assert state(session) is State.STOPPED


# --- a target that changes ---


@pytest.fixture
def quick_rescan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescan, "_LOOK_S", 0.1)
    monkeypatch.setattr(rescan, "_CALM_S", 0.1)
    monkeypatch.setattr(rescan, "_alive", lambda pid: pid != GONE)


@pytest.mark.usefixtures("quick_rescan")
def test_a_process_the_kernel_does_not_follow_renews_once_and_not_for_ever(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "live(5, [11])")
    asked: list[int] = []

    def rescan() -> Target:
        asked.append(1)
        return replace(TARGET, processes=(Process(11, 1, "nginx"), Process(99, 5, "nginx")))

    with watching(fake, renews=True, rescan=rescan) as session:
        wait_for(lambda: len(fake.runs) == 2)
        so_far = len(asked)
        wait_for(lambda: len(asked) > so_far + 10)
        assert len(fake.runs) == 2
        shown = session.snapshot(None)
        assert shown.tracer.state is State.LIVE
        assert shown.tracer.restarts == 0, "nothing has crashed"
        assert shown.tracer.runs == 2
        assert count(session) == 10, "both runs"


@pytest.mark.usefixtures("quick_rescan")
def test_a_process_that_is_seen_once_or_followed_or_gone_renews_nothing(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "live(5, [11, 12])")
    asked: list[int] = []

    def rescan() -> Target:
        asked.append(1)
        passing = (Process(500 + len(asked), 1, "nginx"),)
        known = (Process(12, 1, "nginx"), Process(GONE, 1, "nginx"))
        return replace(TARGET, processes=(*TARGET.processes, *known, *passing))

    with watching(fake, renews=True, rescan=rescan):
        wait_for(lambda: len(asked) > 10)
    assert len(fake.runs) == 1


def test_whose_process_it_is_does_not_matter_to_its_life() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert [rescan._alive(pid) for pid in (os.getpid(), 1, child.pid)] == [True, True, False]


@pytest.mark.usefixtures("quick_rescan")
def test_a_process_that_the_kernel_has_not_told_of_yet_renews_nothing(tmp_path: Path) -> None:
    """On a busy host reports are late: what one that is older does not have is not missed."""
    body = "ends_well(5); attached(); tick(5, [11]); time.sleep(1)\nwhile True: tick(5, [11, 12]); time.sleep(0.05)"
    fake = FakeBpftrace(tmp_path, body)
    asked: list[int] = []

    def rescan() -> Target:
        asked.append(1)
        return replace(TARGET, processes=(Process(11, 1, "nginx"), Process(12, 1, "nginx")))

    with watching(fake, renews=True, rescan=rescan) as session:
        wait_for(lambda: 12 in session.snapshot(None).target.pids)
        so_far = len(asked)
        wait_for(lambda: len(asked) > so_far + 4)
    assert so_far > 2
    assert len(fake.runs) == 1


@pytest.mark.usefixtures("quick_rescan")
def test_a_rescan_that_fails_is_asked_again(tmp_path: Path) -> None:
    asked: list[int] = []

    def rescan() -> Target:
        asked.append(1)
        raise HostError("/proc is gone") if len(asked) % 2 else FileNotFoundError

    with watching(FakeBpftrace(tmp_path, "live(5, [11])"), renews=True, rescan=rescan) as session:
        wait_for(lambda: len(asked) > 5)
        assert state(session) is State.LIVE


# --- the past ---


def test_of_a_time_before_it_began_a_session_knows_nothing() -> None:
    """One that was started later than the others is asked for the moments that they have kept."""
    session = Session(SimulatedSource(program(), speed=40), program(), simulated_target())
    session.start()
    wait_for(lambda: count(session) > 100)
    before = session.snapshot(10.0, session.snapshot(10.0).started_unix_ns - 20 * 10**9)
    session.stop()
    assert [each.summary.count for each in before.measures.values()] == [0] * len(before.measures)
    assert before.accounting == Accounting()
    assert before.slow == ()
    assert not before.histories[0].unix_ns
    assert session.snapshot(10.0, session.snapshot(10.0).unix_ns).measures["request_latency"].summary.count > 0


# --- threads ---


def test_snapshots_taken_while_figures_come_in_are_whole() -> None:
    simulated = SimulatedSource(program(), speed=40, keep=True)
    session = Session(simulated, program(), simulated_target())
    session.start()
    wrong: list[object] = []
    taken = [0, 0]

    def look(who: int, window: float | None) -> None:
        last = 0
        while not session._stopping.is_set():
            shown = session.snapshot(window)
            accounts = shown.accounting
            if accounts.produced != accounts.shown + accounts.suppressed + accounts.lost + accounts.rejected:
                wrong.append(accounts)
            for measure in shown.measures.values():
                if measure.histogram.counts.sum() != measure.summary.count:
                    wrong.append(measure.summary)
            total = shown.measures["request_latency"].summary.count
            if window is None and total < last:
                wrong.append((last, total))
            last = total
            taken[who] += 1

    lookers = [threading.Thread(target=look, args=(i, w)) for i, w in enumerate((None, 10.0))]
    for looker in lookers:
        looker.start()
    wait_for(lambda: session.snapshot(None).ticks > 25)
    session.stop()
    for looker in lookers:
        looker.join(30)
    assert wrong == []
    assert min(taken) > 5
    assert session.snapshot(None).tracer.source == "simulation"
    truth = simulated.truth()
    assert {name: m.summary.count for name, m in session.snapshot(None).measures.items()} == {
        name: each.count for name, each in truth.figures.items()
    }


def test_a_defect_in_the_reading_shows_as_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread's end must not be a traceback across the screen, nor a screen that says LIVE for ever."""

    def broken(*_: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(runs, "pump", broken)
    fake = FakeBpftrace(tmp_path, "time.sleep(60)")
    with watching(fake) as session:
        assert "RuntimeError: no such luck" in reaches(session, State.FAILED).tracer.detail
