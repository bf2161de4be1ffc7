"""A bpftrace with bad habits: the figures stay true, the words are clear, nothing is left."""

from __future__ import annotations

import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bpftop import session as session_package
from bpftop.model import Accounting, Process, Snapshot, State, Target, TargetKind
from bpftop.session import Session, reading
from bpftop.tracer.supervisor import BpftraceSource
from tests.fakes import FakeBpftrace, alive, wait_for
from tests.faults.scenarios import ENDS_SOMEHOW, SCENARIOS, Scenario
from tests.recordings import program

ROUNDS = int(os.environ.get("BPFTOP_FAULT_ROUNDS", "0"))
SEEDS = range(2 * ROUNDS or 3)
TARGET = Target("nginx", TargetKind.NAME, "nginx", "nginx", (Process(11, 1, "nginx"),), (80,))
AT_ONCE = 5


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence and stubbornness are found out sooner than in life."""
    monkeypatch.setattr(reading, "_STALLED_AFTER_NS", 600_000_000)
    for module in (reading, session_package):
        monkeypatch.setattr(module, "LADDER_S", 0.5)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_whatever_bpftrace_does(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many seeds: the seed is in the name of a failure's folder."""
    raised: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    # Written first: a program that another thread's child has still open for writing cannot be started.
    fakes = [_fake(scenario, tmp_path / f"seed-{seed}", seed) for seed in SEEDS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda seed, fake: _acted(scenario, seed, fake), SEEDS, fakes))
    assert raised == []


def _fake(scenario: Scenario, folder: Path, seed: int) -> FakeBpftrace:
    folder.mkdir()
    return FakeBpftrace(folder, scenario.body, seed)


def _acted(scenario: Scenario, seed: int, fake: FakeBpftrace) -> None:
    session = Session(BpftraceSource(program(), str(fake.path)), program(), TARGET)
    session.start()
    try:
        shown = _settled(session, fake, scenario)
        _look(shown, scenario, fake, f"{scenario.name}, seed {seed}: {shown.tracer} {shown.accounting}")
    finally:
        session.stop()
    end = session.snapshot(None)
    assert end.tracer.state in (State.STOPPED, State.FAILED)
    _sums(end.accounting)
    if scenario.cut:
        assert end.accounting.rejected == end.accounting.lost == 0, f"{scenario.name}, seed {seed}: {end.accounting}"
        assert end.measures["request_latency"].summary.count == _told(fake)
    assert not session._thread.is_alive()
    pids = [note[key] for note in fake.notes for key in ("pid", "grandchild") if key in note]
    wait_for(lambda: not any(map(alive, pids)), f"{scenario.name}, seed {seed}: a process lives on", 1 + _slow_s())


def _slow_s() -> float:
    """How long thirty small programs take at this moment: on a busy machine a second is too short for anything."""
    began = time.monotonic()
    for _ in range(3):
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    return (time.monotonic() - began) * 10


def _settled(session: Session, fake: FakeBpftrace, scenario: Scenario) -> Snapshot:
    """Wait until the fake has done all, and the session has come to a state that it may end in."""
    seen = [0]

    def come() -> bool:
        shown = session.snapshot(None)
        _sums(shown.accounting)
        counts = shown.measures["request_latency"].histogram.counts
        assert (counts >= 0).all()
        assert counts.sum() >= seen[0], "counts never fall"
        seen[0] = counts.sum()
        done = shown.tracer.state is State.FAILED or any("ready" in note for note in fake.notes)
        return done and _complete(shown, scenario, fake)

    with suppress(pytest.fail.Exception):  # what is missing is said better by who looks at it
        wait_for(come, "", 20)
    return session.snapshot(None)


def _sums(accounts: Accounting) -> None:
    assert accounts.produced == accounts.shown + accounts.suppressed + accounts.lost + accounts.rejected
    assert min(accounts.produced, accounts.shown, accounts.suppressed, accounts.lost, accounts.rejected) >= 0


def _complete(shown: Snapshot, scenario: Scenario, fake: FakeBpftrace) -> bool:
    """Whether everything that the fake has told is in the figures, and the state and its words are there."""
    count = shown.measures["request_latency"].summary.count
    return (
        (not scenario.final or count == _told(fake))
        and shown.tracer.state in _states(scenario)
        and bool(re.search(scenario.said, shown.tracer.detail))
        and (not scenario.lost or shown.accounting.lost > 0)
        and (not scenario.rejected or shown.accounting.rejected > 0)
    )


def _states(scenario: Scenario) -> tuple[State, ...]:
    return (State.LIVE, State.STALLED) if scenario.state is None else (scenario.state,)


def _told(fake: FakeBpftrace) -> int:
    return max((note["count"] for note in fake.notes if "count" in note), default=0)


def _look(shown: Snapshot, scenario: Scenario, fake: FakeBpftrace, where: str) -> None:
    tracer = shown.tracer
    assert tracer.state in _states(scenario), where
    if scenario.final:
        assert shown.measures["request_latency"].summary.count == _told(fake), where
    assert tracer.exit_code == scenario.code or (scenario.code == ENDS_SOMEHOW and tracer.exit_code), where
    assert re.search(scenario.said, tracer.detail), where
    assert "Traceback" not in tracer.detail + " ".join(tracer.stderr), where
    assert "failed: " not in tracer.detail, f"a defect: {where}"
    if tracer.state is State.FAILED:
        assert tracer.hint, where
        assert "\n" not in tracer.detail, where
    assert len(tracer.stderr) <= 20
    if scenario.rejected:
        assert shown.accounting.rejected > 0, where
    if scenario.lost:
        assert shown.accounting.lost > 0, where
