"""Scripts started and stopped beside a running session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from bpftop.ensemble import Ensemble, merged
from bpftop.errors import HostError
from bpftop.model import Accounting, Overhead, ScriptStatus, SlowRequest, Snapshot, State, Target, TracerStatus
from bpftop.stats.exclude import Network
from tests.snapshots import measure, snapshot

OFFER = ScriptStatus("syscalls", "System calls", State.OFF, 0, "Enter starts it", "Syscalls", ("syscall_latency",))


class FakeWatch:
    """A session whose figures are given; remembers what was done, and in which thread."""

    def __init__(self, figures: Snapshot, fails: str = "") -> None:
        self.figures, self.fails = figures, fails
        self.done: list[str] = []
        self.threads: list[threading.Thread] = []

    def start(self) -> None:
        if self.fails:
            raise HostError(self.fails)
        self.done.append("start")
        self.threads.append(threading.current_thread())

    def stop(self) -> None:
        self.done.append("stop")
        self.threads.append(threading.current_thread())

    def exclude(self, networks: Sequence[Network]) -> None:
        self.excluded = networks

    def reset(self) -> None:
        self.done.append("reset")

    def allow(self) -> None:
        self.done.append("allow")

    @property
    def covered_s(self) -> float:
        return self.figures.window.span_s

    @property
    def news(self) -> int:
        return self.snapshot(None).ticks

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        return self.figures


def main_figures() -> Snapshot:
    return snapshot({"request_latency": measure()}, slow=[SlowRequest(1, "request", 50, "10.0.0.1")])


def more_figures(state: State = State.LIVE, detail: str = "") -> Snapshot:
    own = replace(OFFER, state=state, probes=2, detail="How long system calls take.")
    more = snapshot({"syscall_latency": measure()}, slow=[SlowRequest(2, "syscall", 90, "")])
    return replace(more, scripts=(own,), tracer=TracerStatus(state, detail))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_started_script_keeps_the_words_of_its_offer() -> None:
    offer = replace(OFFER, summary="What for.", cost="1 us")
    ensemble = Ensemble(FakeWatch(main_figures()), lambda name, target: FakeWatch(more_figures()), [offer])
    ensemble.start_script("syscalls")
    wait_for(lambda: ensemble.snapshot(10.0).scripts[-1].state is State.LIVE)
    script = ensemble.snapshot(10.0).scripts[-1]
    assert (script.summary, script.cost, script.probes) == ("What for.", "1 us", 2)
    ensemble.stop()


def test_a_script_is_offered_started_and_stopped() -> None:
    main, added = FakeWatch(main_figures()), FakeWatch(more_figures())
    asked: list[tuple[str, Target]] = []

    def make(name: str, target: Target) -> FakeWatch:
        asked.append((name, target))
        return added

    whole = Ensemble(main, make, [OFFER])
    assert whole.snapshot(10).scripts[-1] == OFFER
    whole.start_script("syscalls")
    whole.start_script("syscalls")
    wait_for(lambda: "syscall_latency" in whole.snapshot(10).measures)
    assert asked == [("syscalls", main.figures.target)]
    running = whole.snapshot(10)
    assert running.scripts[-1].state is State.LIVE
    assert [event.latency_ns for event in running.slow] == [90, 50]
    assert list(running.measures) == ["request_latency", "syscall_latency"]
    assert whole.stop_script("syscalls")
    wait_for(lambda: added.done == ["start", "stop"])
    assert added.threads[0] is added.threads[1]  # bpftrace dies with the thread that started it
    assert whole.snapshot(10).scripts[-1] == OFFER
    assert list(whole.snapshot(10).measures) == ["request_latency"]
    assert main.done == []


def test_what_cannot_start_says_why_and_can_be_taken_away() -> None:
    whole = Ensemble(
        FakeWatch(main_figures()), lambda name, target: FakeWatch(more_figures(), "no such tracepoint"), [OFFER]
    )
    whole.start_script("syscalls")
    wait_for(lambda: whole.snapshot(10).scripts[-1].state is State.FAILED)
    assert whole.snapshot(10).scripts[-1].detail == "no such tracepoint"
    assert whole.stop_script("syscalls")
    assert whole.snapshot(10).scripts[-1] == OFFER


def test_a_script_that_fails_later_shows_its_reason() -> None:
    whole = Ensemble(
        FakeWatch(main_figures()), lambda *_: FakeWatch(more_figures(State.FAILED, "bpftrace ended")), [OFFER]
    )
    whole.start_script("syscalls")
    wait_for(lambda: whole.snapshot(10).scripts[-1].state is State.FAILED)
    assert whole.snapshot(10).scripts[-1].detail == "bpftrace ended"


def test_unknown_names_and_those_from_the_beginning_stay_as_they_are() -> None:
    main = FakeWatch(main_figures())
    whole = Ensemble(main, lambda *_: FakeWatch(more_figures()), [OFFER])
    whole.start_script("zzz")
    assert not whole.stop_script("zzz")
    assert not whole.stop_script("requests")
    whole.stop()
    assert main.done == ["stop"]


def test_the_end_ends_all() -> None:
    main, added = FakeWatch(main_figures()), FakeWatch(more_figures())
    whole = Ensemble(main, lambda *_: added, [OFFER])
    whole.start_script("syscalls")
    wait_for(lambda: added.done == ["start"])
    whole.stop()
    assert (main.done, added.done) == (["stop"], ["start", "stop"])


def test_accounts_and_costs_add_up() -> None:
    one = replace(
        main_figures(), accounting=Accounting(10, 4, 6, 0, 0, 1), overhead=Overhead(100.0, 1000.0, 0.01, missed=2)
    )
    two = replace(
        more_figures(), accounting=Accounting(20, 15, 2, 2, 1, 0), overhead=Overhead(400.0, 500.0, 0.02, missed=3)
    )
    whole = merged(one, [two], ())
    assert whole.accounting == Accounting(30, 19, 8, 2, 1, 1)
    assert whole.overhead == Overhead(200.0, 1500.0, 0.03, missed=5)
    assert merged(replace(one, overhead=Overhead()), [replace(two, overhead=Overhead())], ()).overhead == Overhead()
