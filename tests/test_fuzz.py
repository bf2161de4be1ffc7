"""A moment of ``make fuzz`` in every test run: mutated lines, every reader, and all that was ever found.

The seed is fixed, so that a failure is the same one again; BPFTOP_FUZZ_SEED takes another.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fuzz import blind, lines
from tests.fuzz.__main__ import FINDS
from tests.fuzz.targets import FOLDER, TARGETS
from tests.ui.ptys import ROOT

SEED = int(os.environ.get("BPFTOP_FUZZ_SEED", "20261122"))
FOUND = sorted(path for path in FINDS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_is_mended(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())


def test_every_find_is_of_a_target() -> None:
    assert {path.parent.name for path in FOUND} <= set(TARGETS)
    assert len(FOUND) > 10


def test_mutated_lines_raise_nothing_and_every_one_is_accounted_for() -> None:
    """A broken line may cost its own figures, never the reader's thread; a million of them are in ``make fuzz``."""
    books = lines.run(SEED, 1_000_000, 4)
    assert books.problems() == []
    assert books.lines > 500
    assert min(books.read, books.refused, books.oversize, books.records, books.shown, books.misfits) > 0, books
    assert {"Attached", "Heartbeat", "MapPrint", "Record", "Rejected", "Text", "Tick"} <= set(books.kinds)
    assert books.grown_kb < 64 << 10, "the process does not grow with what it reads"


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_each_reader(name: str) -> None:
    assert blind.run(name, SEED, 0.2) >= len(TARGETS[name].seeds())


@pytest.mark.skipif(find_spec("atheris") is None, reason="there is no atheris for this Python or machine")
def test_atheris_runs_a_target(tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for number, data in enumerate(TARGETS["config"].seeds()):
        (inputs / str(number)).write_bytes(data)
    command = [sys.executable, "-m", "tests.fuzz.guided", "config", "-runs=500", f"-seed={SEED}", str(inputs)]
    where = {**os.environ, FOLDER: str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=where, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr[-3000:]
    reached = [int(found) for found in re.findall(r"cov: (\d+)", done.stderr)]
    assert reached[-1] > 20, "it sees which code it reaches"
