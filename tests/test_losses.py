"""More than 0.1 % lost makes every verdict inconclusive, wherever one is given: 0.09 % does not, 0.11 % does."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bpftop.anyscript.model import RunSnapshot
from bpftop.cli.report import judge as judge_report
from bpftop.cli.run import _judge as judge_run
from bpftop.compare import LatencyAnalyzer, Verdict, compare, read_run
from bpftop.errors import Inconclusive
from bpftop.export import to_json
from bpftop.export.bundle import summary
from bpftop.export.metrics import Rising, families
from bpftop.export.otlp import _metric
from bpftop.export.prometheus_proto import to_protobuf
from bpftop.export.prometheus_text import to_prometheus
from bpftop.export.report_text import to_text
from bpftop.export.snapshot_csv import write_snapshot
from bpftop.figures import Frame
from bpftop.latency_collector import BpftraceLatencyCollector
from bpftop.latency_collector.report import report_of
from bpftop.model import Accounting, Losses, Overhead, Snapshot, Summary, losses, recent_losses, too_much
from bpftop.recording.reader import Recording
from bpftop.recording.writer import Recorder
from bpftop.replay import Replay
from bpftop.stats.findings import judge
from bpftop.stats.tick import TickData
from tests.recorded import ChanceRun
from tests.snapshots import measure, snapshot
from tests.ui.runs import live as live_run

PRODUCED = 10_000
FEW, MANY = 9, 11
SAID = f"{MANY} of 10,000 events were lost: more than 0.1 %"


def lossy(lost: int) -> Snapshot:
    """Ten thousand requests, so many events of which were lost in the last ten seconds."""
    found = measure(summary=Summary(PRODUCED, 1e3, 7, 7, 7, 7, 7, 7, 7), buckets=[(7, 8, PRODUCED)])
    account = Accounting(PRODUCED, PRODUCED - lost, 0, lost)
    return replace(snapshot({"request_latency": found}, accounting=account), recent_accounting=account)


def unseen(missing: int) -> Snapshot:
    """The same run of 12 s without a loss, but bpftrace was started again: so many ms between its two runs."""
    account = Accounting(PRODUCED, PRODUCED, unseen_ns=missing * 10**6)
    return replace(lossy(0), accounting=account, recent_accounting=account)


def samples(lost: int, folder: Path) -> Path:
    """As bpftrace itself prints them."""
    path = folder / "samples.csv"
    rows = "\n".join(f"{n},{10**6 + n},request" for n in range(PRODUCED - lost))
    path.write_text(f"timestamp_ns,latency_ns,event\nLost {lost} events\n{rows}\n")
    return path


class LossyRun(ChanceRun):
    """A session whose kernel reports losses in its last seconds."""

    lost = 0

    def _tick(self, tick: TickData) -> None:
        part = self.figures.ingest(tick)
        books = Accounting(PRODUCED, PRODUCED - self.lost, 0, self.lost) if self.seconds > 15 else Accounting()
        for tap in self._taps:
            tap(Frame(self.unix_ns, replace(part, accounting=books), self._changed()))


def recording(lost: int, folder: Path) -> Path:
    """What ``bpftop record`` writes of it."""
    path, run, recorder = folder / "lossy.bpftop", LossyRun(), Recorder()
    run.lost = lost
    recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT), str(path))
    recorder.attach(run)
    run.run(20)
    assert recorder.end().problem == ""
    recorder.close()
    return path


# --- the one rule -----------------------------------------------------------------------------------------------------


def test_the_limit_stands_in_one_place() -> None:
    package = Path(__file__).parents[1] / "bpftop"
    holders = [path for path in package.rglob("*.py") if re.search(r"LOST_SHARE|\b0\.001 \*", path.read_text())]
    assert [path.name for path in holders] == ["incomplete.py"]
    assert (too_much(10, 10_000), too_much(11, 10_000), too_much(0, 0), too_much(1, 0)) == (False, True, False, True)


def test_every_kind_of_loss_counts_and_the_largest_share_is_told() -> None:
    found = Losses(lost=1, produced=10_000, untracked=12, observed=1_000, missed=5, hits=99_995)
    assert found.notes == ("1 of 10,000 events were lost", "5 of 100,000 hits of the probes were missed by the kernel")
    assert found.problems == ("12 connections found the kernel's table full, beside 10,000 requests: more than 0.1 %",)
    assert found.share == pytest.approx(12 / 10_000)
    assert Losses().share == 0
    assert Losses(missed=2, hits=998).problems == (
        "2 of 1,000 hits of the probes were missed by the kernel: more than 0.1 %",
    )
    assert Losses(lost=1).share == 1.0


def test_misses_are_held_against_the_hits_since_the_start() -> None:
    shot = snapshot(overhead=Overhead(200.0, 1000.0, 0.1, missed=12))
    assert losses(shot).hits == 12_000
    assert losses(shot).problems == ()
    assert losses(replace(shot, started_unix_ns=shot.unix_ns - 10**10)).problems != ()


# --- the places -------------------------------------------------------------------------------------------------------


def report(shot: Snapshot, _: Path) -> str:
    try:
        judge_report(shot)
    except Inconclusive as error:
        return error.message if error.exit_code == 4 else "another exit code"
    return ""


def collected(shot: Snapshot, _: Path) -> str:
    before = replace(lossy(0), measures={"request_latency": measure()}, accounting=Accounting())
    collector = BpftraceLatencyCollector("nginx")
    collector._report = report_of(replace(before, window=replace(before.window, span_s=0.0)), shot)
    try:
        assert collector.stats.count == PRODUCED
    except Inconclusive as error:
        return error.message
    return ""


def compared(shot: Snapshot, folder: Path) -> str:
    path = folder / "report.json"
    path.write_text(json.dumps(to_json(shot)))
    run = read_run(path)
    found = compare(run, run, {"p99": 0.2})
    assert found.verdict is (Verdict.INCONCLUSIVE if run.problems else Verdict.FINE)
    return "; ".join(run.problems)


def saved(shot: Snapshot, folder: Path) -> str:
    paths = write_snapshot(shot, folder)
    told = next(path for path in paths if path.name.endswith("accounting.csv")).read_text()
    problems = "; ".join(read_run(paths[0]).problems)
    assert f"inconclusive,{problems}" in told.replace('"', "")
    return problems


PLACES: dict[str, Callable[[Snapshot, Path], str]] = {
    "report, record": report,
    "report text": lambda shot, _: " ".join(to_text(shot).split()).partition("inconclusive: ")[2],
    "report JSON": lambda shot, _: "; ".join(to_json(shot)["inconclusive"]),
    "CSV of e": saved,
    "compare": compared,
    "E": lambda shot, _: summary(shot, []).replace("\\", "").partition("- inconclusive: ")[2],
    "pytest": collected,
    "overview": lambda shot, _: "; ".join(each.evidence for each in judge(shot).clauses if each.key == "lost "),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("run", "many", "said"), [(lossy, MANY, SAID), (unseen, 13, "no counts came from bpftrace for 0.0 of 1")]
)
def test_a_little_loss_passes_and_more_than_the_limit_is_inconclusive(
    run: Callable[[int], Snapshot], many: int, said: str, place: str, tmp_path: Path
) -> None:
    assert PLACES[place](run(FEW), tmp_path) == ""
    (tmp_path / "many").mkdir()
    assert said in PLACES[place](run(many), tmp_path / "many")


def test_time_in_which_nothing_was_seen_counts_against_the_whole_run_not_its_window(tmp_path: Path) -> None:
    shot = unseen(2000)
    assert losses(shot).problems == ("no counts came from bpftrace for 2.0 of 12.0 s: more than 0.1 %",)
    hour = replace(shot, started_unix_ns=shot.unix_ns - 3600 * 10**9)
    assert losses(hour).problems == ()
    assert losses(hour).notes == ("no counts came from bpftrace for 2.0 of 3,600.0 s",)
    (tmp_path / "report.json").write_text(json.dumps(to_json(hour)))
    assert read_run(tmp_path / "report.json").notes == losses(hour).notes
    assert "2.00 s of which no counts came from bpftrace" in to_text(hour)


def test_the_overview_never_says_that_all_is_well_of_what_it_has_not_seen() -> None:
    calm, lost = judge(lossy(FEW)), judge(lossy(MANY))
    assert (calm.inconclusive, calm.clauses[0].text[:18]) == (False, "nothing stands out")
    assert (lost.inconclusive, lost.trouble, len(lost.clauses)) == (True, True, 1)
    assert lost.clauses[0].text == "inconclusive: 0.1 % of the last 10 s is in no figure"
    old = replace(lossy(MANY), recent_accounting=Accounting(PRODUCED, PRODUCED))
    assert not judge(old).inconclusive, "what was lost long ago is in the accounts, not in this verdict"


@pytest.mark.parametrize(("lost", "ratio"), [(FEW, 0.0009), (MANY, 0.0011)])
def test_who_scrapes_or_is_told_gets_the_share(lost: int, ratio: float) -> None:
    found = families(lossy(lost), Rising())
    assert f'bpftop_loss_ratio{{target="nginx"}} {ratio}' in to_prometheus(found)
    assert b"bpftop_loss_ratio" in to_protobuf(found)
    told = next(_metric(family, 0, 1) for family in found if family.name == "loss_ratio")
    assert [getattr(point, "value", None) for point in told.data.data_points] == [pytest.approx(ratio)]


@pytest.mark.parametrize(("lost", "wrong"), [(FEW, False), (MANY, True)])
def test_files_of_samples_and_the_recipe_that_reads_one(lost: int, wrong: bool, tmp_path: Path) -> None:
    path = samples(lost, tmp_path)
    assert bool(read_run(path).problems) is wrong
    if not wrong:
        assert LatencyAnalyzer().analyze_file(path).count == PRODUCED - lost
        return
    with pytest.raises(Inconclusive, match="11 of 10,000 events were lost"):
        LatencyAnalyzer().analyze_file(path)


@pytest.mark.parametrize(("lost", "said"), [(FEW, ""), (MANY, SAID)])
def test_a_recording_played_or_compared_tells_what_was_lost(lost: int, said: str, tmp_path: Path) -> None:
    path = recording(lost, tmp_path)
    assert "; ".join(read_run(path).problems) == said
    with closing(Replay(Recording(path))) as replay:
        shot = replay.at(replay.position.end_ns, None)
        assert report(shot, tmp_path) == said
        assert recent_losses(shot).problems == ((said,) if said else ())
        assert judge(shot).inconclusive is bool(said)
        early = replay.at(replay.position.start_ns + 10 * 10**9, 10.0)
        assert not judge(early).inconclusive


@pytest.mark.parametrize(("lost", "wrong"), [(FEW, False), (MANY, True)])
def test_any_program(lost: int, wrong: bool) -> None:
    shot: RunSnapshot = replace(live_run(), lost=lost, log_lines=PRODUCED - lost)
    if not wrong:
        judge_run(shot)
        return
    with pytest.raises(Inconclusive, match="11 events were lost beside"):
        judge_run(shot)
