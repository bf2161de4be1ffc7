"""What probes may cost: measured seconds decide, optional scripts stop and say so, the first ones are only told."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, redirect_stderr
from dataclasses import replace
from pathlib import Path

import pytest

from bpftop.cli import main
from bpftop.cli.parser import parse
from bpftop.cli.report import Teller, raise_if_failed
from bpftop.ensemble import Ensemble, merged
from bpftop.errors import HostError
from bpftop.export import csv_header, csv_rows, to_json
from bpftop.export.metrics import Rising, families
from bpftop.export.prometheus_text import to_prometheus
from bpftop.export.report_text import to_text
from bpftop.model import Process, ScriptStatus, Snapshot, State, Summary, Target, TargetKind, TracerStatus
from bpftop.recording.reader import Recording
from bpftop.recording.writer import Recorder
from bpftop.replay import Replay
from bpftop.session import Session
from bpftop.tracer.budget import TIMES, Budget
from bpftop.tracer.overhead import OverheadMeter
from bpftop.tracer.supervisor import BpftraceSource
from tests.fakes import FakeBpftrace, alive, wait_for
from tests.recorded import StoryRun
from tests.recordings import program
from tests.snapshots import measure, snapshot

TARGET = Target("nginx", TargetKind.NAME, "nginx", "nginx", (Process(11, 1, "nginx"),), (80,))
TOOK = "stopped after 4 s: it took 14 % of one CPU, its budget is 5 %"


class Costs:
    """A meter whose seconds cost what they are told to, and that can be asked each of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refuse: bool = False) -> None:
        self.now = self.run_ns = self.runs = self.asked = 0
        monkeypatch.setattr("bpftop.tracer.overhead.time.monotonic", lambda: float(self.now))
        self.meter = OverheadMeter(lambda _: (self.run_ns, self.runs, 0), lambda: -1 if refuse else self._enable())

    def _enable(self) -> int:
        self.asked += 1
        return os.open("/dev/null", os.O_RDONLY)

    def second(self, percent: float) -> None:
        self.now += 1
        self.run_ns += int(percent * 1e7)
        self.runs += 1000
        self.meter.tick(1)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Costs]:
    found = Costs(monkeypatch)
    yield found
    found.meter.close()


def feed(budget: Budget, costs: Costs, percents: Sequence[float], load: int = 100) -> list[bool]:
    out = []
    for percent in percents:
        costs.second(percent)
        out.append(budget.take(costs.meter, load))
    return out


# --- the rule ---------------------------------------------------------------------------------------------------------


def test_three_measured_seconds_one_after_the_other_are_too_much(costs: Costs) -> None:
    budget = Budget(5.0, optional=True)
    # The first tick begins a measurement; each that is over is followed by another at once.
    assert feed(budget, costs, [20.0] * 4) == [False, False, False, True]
    assert budget.told == "it took 20 % of one CPU, its budget is 5 %"


def test_a_burst_is_none(costs: Costs) -> None:
    budget = Budget(5.0, optional=True)
    assert not any(feed(budget, costs, [1, 50, 50, 1, 1, 50, 50, 1] * 5))
    assert budget.told == ""


def test_what_was_there_from_the_beginning_is_told_and_goes_on_and_does_not_waver(costs: Costs) -> None:
    budget = Budget(5.0)
    assert not any(feed(budget, costs, [8.0] * 6))
    assert (
        budget.told == "the probes take 8.0 % of one CPU, the budget is 5 %; what was there from the beginning goes on"
    )
    assert not any(feed(budget, costs, [4.5] * 60))
    assert budget.exceeded, "4.5 is below the budget and not yet four fifths of it"
    assert not any(feed(budget, costs, [3.9] * 60))
    assert budget.told == ""


def test_measuring_is_rare_while_the_budget_is_kept_and_does_not_grow_for_what_goes_on(costs: Costs) -> None:
    feed(Budget(5.0, optional=True), costs, [4.9] * 100)
    assert costs.asked <= 5 + 9
    asked = costs.asked
    feed(Budget(5.0), costs, [9.0] * 100)
    assert costs.asked - asked <= 3 + 10


def test_a_load_that_jumps_is_measured_at_once(costs: Costs) -> None:
    budget = Budget(5.0, optional=True)
    assert not any(feed(budget, costs, [1.0] * 23))
    assert feed(budget, costs, [40.0] * 5, load=5000).index(True) <= 4


def test_without_a_budget_or_without_a_measurement_nothing_is_stopped(
    costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = Budget(None, optional=True)
    assert not any(feed(off, costs, [99.0] * 20))
    unknown = Budget(5.0, optional=True)
    assert not any(feed(unknown, Costs(monkeypatch, refuse=True), [99.0] * 20))
    assert (off.told, unknown.told) == ("", "no budget is kept: the kernel does not tell what the probes cost")
    lifted = Budget(5.0, optional=True)
    lifted.lift()
    assert not any(feed(lifted, costs, [99.0] * 20))


# --- a session --------------------------------------------------------------------------------------------------------


class Dear(OverheadMeter):
    """Every second was measured, and took so much."""

    def __init__(self, percent: float) -> None:
        super().__init__(lambda _: (0, 0, 0), lambda: -1)
        self.percent = percent

    def tick(self, pid: int | None) -> None:
        self.measured = self.percent


@pytest.mark.parametrize("ending", ["ends_well(9)", "ignores()"])
def test_an_optional_script_ends_its_bpftrace_and_keeps_its_figures(tmp_path: Path, ending: str) -> None:
    ticks = "\n".join("tick(4, [11]); time.sleep(0.02)" for _ in range(TIMES + 2))
    fake = FakeBpftrace(tmp_path, f"{ending}\nattached()\n{ticks}\nforever()")
    session = Session(
        BpftraceSource(program(), str(fake.path)),
        program(),
        TARGET,
        meter=Dear(14.0),
        budget=Budget(5.0, optional=True),
    )
    session.start()
    try:
        wait_for(lambda: session.snapshot(None).tracer.state is State.STOPPED, "it does not stop")
        found = session.snapshot(None)
        assert found.tracer.budget == "it took 14 % of one CPU, its budget is 5 %"
        assert found.tracer.detail.startswith("stopped after ")
        assert sum(each.summary.count for each in found.measures.values()) == (9 if ending == "ends_well(9)" else 4)
        wait_for(lambda: not any(alive(run["pid"]) for run in fake.runs), "bpftrace lives on")
    finally:
        session.stop()


def test_the_first_scripts_go_on(tmp_path: Path) -> None:
    ticks = "\n".join("tick(4, [11]); time.sleep(0.02)" for _ in range(TIMES + 2))
    fake = FakeBpftrace(tmp_path, f"ends_well(9)\nattached()\n{ticks}\nforever()")
    session = Session(
        BpftraceSource(program(), str(fake.path)), program(), TARGET, meter=Dear(14.0), budget=Budget(5.0)
    )
    session.start()
    try:
        wait_for(lambda: bool(session.snapshot(None).tracer.budget), "nothing is told")
        assert session.snapshot(None).tracer.state is State.LIVE
    finally:
        session.stop()


# --- beside others ----------------------------------------------------------------------------------------------------


def stopped() -> Snapshot:
    """A watch with a script that was stopped."""
    calls = measure("syscall_latency", Summary(7, 0.7, *[5] * 7))
    own = ScriptStatus("syscalls", "Syscalls", State.STOPPED, 3, "d", "Syscalls", ("syscall_latency",), budget=TOOK)
    part = replace(
        snapshot({"syscall_latency": calls}, slow=()),
        tracer=TracerStatus(State.STOPPED, TOOK, budget="it took"),
        recent={"syscall_latency": None},  # type: ignore[dict-item]
    )
    return merged(snapshot(), [part], [own])


def test_what_has_stopped_keeps_its_figures_and_costs_nothing_now() -> None:
    found = stopped()
    assert found.measures["syscall_latency"].summary.count == 7
    assert found.overhead.hits_per_s == 1000.0
    assert "syscall_latency" not in found.recent
    assert list(found.running().measures) == ["request_latency"]
    whole = snapshot()
    assert whole.running() is whole


def test_everybody_says_it() -> None:
    found = stopped()
    said = f"syscalls {TOOK}"
    assert found.over_budget == (said,)
    assert said in " ".join(to_text(found).split())
    assert to_json(found)["over_budget"] == [said]
    column = list(csv_header()).index("over_budget")
    assert {row[column] for row in csv_rows(found)} == {said}
    assert 'bpftop_script_stopped{target="nginx",script="syscalls"} 1' in to_prometheus(families(found, Rising()))
    heard = io.StringIO()
    with redirect_stderr(heard):
        teller = Teller()
        teller.tell(found)
        teller.tell(found)
    assert heard.getvalue() == f"bpftop: {said} (--budget SHARE or off)\n"
    raise_if_failed(found)


def test_a_script_beside_that_fails_ends_a_report() -> None:
    failed = ScriptStatus("tcp", "TCP", State.FAILED, 0, "no such tracepoint")
    with pytest.raises(HostError, match="tcp: no such tracepoint"):
        raise_if_failed(replace(snapshot(), scripts=(failed,)))


class Backing:
    """A session that has backed off."""

    covered_s = 1.0

    def __init__(self) -> None:
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: self.done.append(name)

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        own = ScriptStatus("syscalls", "Syscalls", State.STOPPED, 3, "d", "Syscalls", ("syscall_latency",))
        tracer = TracerStatus(State.STOPPED, TOOK, budget="it took")
        return replace(snapshot({"syscall_latency": measure()}), scripts=(own,), tracer=tracer)


def test_it_begins_anew_within_the_budget_or_over_it() -> None:
    made: list[Backing] = []

    def make(*_: object) -> Backing:
        made.append(Backing())
        return made[-1]

    offer = ScriptStatus("syscalls", "Syscalls", State.OFF, pane="Syscalls")
    whole = Ensemble(Backing(), make, [offer])
    whole.start_script("syscalls")
    wait_for(lambda: whole.snapshot(10.0).scripts[-1].budget == TOOK, "nothing is told")
    whole.start_script("syscalls")
    wait_for(lambda: len(made) == 2 and "start" in made[1].done, "it does not start anew")
    whole.start_script("syscalls", free=True)
    wait_for(lambda: len(made) == 3 and "start" in made[2].done, "it does not start anew")
    assert ["allow" in each.done for each in made] == [False, False, True]
    wait_for(lambda: "stop" in made[0].done, "the first one is not let go")
    whole.stop()


def test_a_recording_keeps_a_script_that_was_stopped_until_it_begins_anew(tmp_path: Path) -> None:
    """Two tracks of one name: the first goes when the second comes, so that no pane is there twice."""
    path, recorder = tmp_path / "x.bpftop", Recorder()
    recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT), str(path))
    first, again = (StoryRun(0.02, scripts=("http",)) for _ in range(2))
    for run, name in ((StoryRun(0.02), ""), (first, "http")):
        recorder.attach(run, name)
        run.run(12)
    first._status = replace(first._status, tracer=TracerStatus(State.STOPPED, TOOK, budget="it took"))
    first.run(8)
    recorder.attach(again, "http")
    again.run(30)
    assert recorder.end().problem == ""
    recorder.close()
    with closing(Replay(Recording(path))) as replay:
        names = [script.name for script in replay.at(replay.position.end_ns, None).scripts]
        assert names == ["requests", "connections", "http"]


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "percent"), [("", 5.0), ("--budget 1%", 1.0), ("--budget 0.5", 0.5), ("--budget off", None)]
)
@pytest.mark.parametrize("verb", ["watch", "report", "record", "serve", "demo"])
def test_a_share_of_one_cpu(verb: str, words: str, percent: float | None) -> None:
    target = [] if verb == "demo" else ["nginx"]
    assert parse([verb, *target, *words.split()]).budget == percent


@pytest.mark.parametrize("word", ["-1", "abc", "200", "0", "", "1e9", "101%", "5 %%"])
def test_nonsense_is_exit_code_2(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "nginx", "--budget", word]) == 2
    said = capsys.readouterr().err
    assert "--budget" in said
    assert "Traceback" not in said


def test_the_configuration_file_has_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("SUDO_UID", raising=False)
    (tmp_path / "bpftop").mkdir()
    file = tmp_path / "bpftop/config.toml"
    for text, percent in (('budget = "2%"', 2.0), ("budget = 3", 3.0), ('budget = "off"', None)):
        file.write_text(text)
        assert parse(["watch", "nginx"]).budget == percent
        assert parse(["watch", "nginx", "--budget", "9%"]).budget == 9.0
    file.write_text("budget = true")
    assert main(["watch", "nginx"]) == 2


@pytest.mark.parametrize("keep", [False, True])
def test_a_script_beside_others_is_in_the_file_when_all_has_ended(tmp_path: Path, keep: bool) -> None:
    """On the screen (``keep``) a script that has ended was stopped by the user, and its figures go."""
    path, recorder = tmp_path / "x.bpftop", Recorder(keep=keep)
    recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT), str(path))
    run = StoryRun(0.02, scripts=("http",))
    first = StoryRun(0.02)
    recorder.attach(first)
    recorder.attach(run, "http")
    first.run(14)
    run.run(9)
    run._status = replace(run._status, tracer=TracerStatus(State.STOPPED))
    run.run(3)
    recorder.end()
    recorder.close()
    with closing(Replay(Recording(path))) as replay:
        shot = replay.at(replay.position.end_ns, None)
    assert ("route_latency" in shot.measures) is not keep
