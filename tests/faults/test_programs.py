"""The whole program on a bpftrace with bad habits: exit codes, one sentence, the terminal as it was, nothing left."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes import FakeBpftrace, alive, wait_for
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.ui.ptys import ROOT, child_in_terminal, restored

pytestmark = pytest.mark.kernel
"""Nothing is traced, but the host is asked whether it can."""
ROUNDS = int(os.environ.get("BPFTOP_FAULT_ROUNDS", "0"))
BY_NAME = {each.name: each for each in SCENARIOS}
IN_SHORT = ("crashes", "half a line", "hangs later")
ON_SCREEN = ("ignores SIGINT and SIGTERM",)
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "SUDO_UID": "", "SUDO_GID": ""}


def chosen(names: tuple[str, ...]) -> list[Scenario]:
    hang = ("hangs at the start", "hangs after the attach")  # a report waits for three minutes
    return [each for name, each in BY_NAME.items() if name in names or (ROUNDS and name not in hang)]


@pytest.fixture
def port() -> Iterator[int]:
    """Something that listens: a target."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _fake(scenario: Scenario, folder: Path, seed: int) -> FakeBpftrace:
    folder.mkdir()
    return FakeBpftrace(folder, scenario.body, seed)


def _nothing_left(fake: FakeBpftrace, name: str) -> None:
    pids = [note[key] for note in fake.notes for key in ("pid", "grandchild") if key in note]
    assert pids
    wait_for(lambda: not any(map(alive, pids)), f"{name}: a process lives on", 5)


def test_a_report_ends_with_a_documented_code_and_one_sentence(port: int, tmp_path: Path) -> None:
    scenarios = chosen(IN_SHORT)
    fakes = [_fake(each, tmp_path / each.name, 3) for each in scenarios]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda each, fake: _reported(each, port, fake), scenarios, fakes))


def _reported(scenario: Scenario, port: int, fake: FakeBpftrace) -> None:
    command = [sys.executable, "-P", "-m", "bpftop", "report", f":{port}", "-d", "9", "--format", "json"]
    done = subprocess.run(
        [*command, "--bpftrace", str(fake.path)],
        capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False,
    )  # fmt: skip
    where = f"{scenario.name}: {done.returncode} {done.stderr}"
    assert "Traceback" not in done.stderr, where
    said = [line for line in done.stderr.splitlines() if line.startswith("bpftop: ")]
    assert said, where
    # As after a suspended machine: what was counted until then is of all that time.
    codes = (0, 3, 4) if scenario.name == "a clock that jumps ahead" else (3, 4)
    assert done.returncode in codes, f"bpftrace did not report for nine seconds, so there is no verdict: {where}"
    if done.returncode in (0, 4):
        accounts = json.loads(done.stdout)["accounting"]
        parts = sum(accounts[name] for name in ("shown", "suppressed", "lost", "rejected"))
        assert accounts["produced"] == parts, where
    assert done.stderr.splitlines()[-1].startswith(("  ", "bpftop: ")), where
    _nothing_left(fake, where)


@pytest.mark.parametrize("name", [each.name for each in chosen(ON_SCREEN)])
def test_a_screen_lives_on_and_leaves_the_terminal_as_it_was(port: int, tmp_path: Path, name: str) -> None:
    scenario = BY_NAME[name]
    fake = _fake(scenario, tmp_path / "fake", 5)
    command = ["-P", "-m", "bpftop", "watch", f":{port}", "--bpftrace", str(fake.path)]
    with child_in_terminal(command, (100, 30), {"SUDO_UID": "65534", "SUDO_GID": "65534"}) as terminal:
        before = terminal.before
        terminal.until("Overview")
        wait_for(lambda: bool(fake.runs), "it was not started")
        terminal.type("0")
        terminal.until("produced")
        terminal.read(1.0)
        terminal.type("q")
        assert terminal.leave() == 0, terminal.text
        assert restored(terminal, before) == []
        assert b"Traceback" not in terminal.sent
    _nothing_left(fake, name)
