"""Crowds and long days: the sums stay exact, the memory does not grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.ui.ptys import ROOT

FULL = bool(os.environ.get("BPFTOP_FAULT_ROUNDS"))
MIB = 1 << 20


def _told(kind: str, size: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.faults.memory", kind, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    print(told)
    return told


@pytest.mark.parametrize(("clients", "most"), [(1_000_000, 20 * MIB)] if FULL else [(300_000, 18 * MIB)])
def test_a_crowd_of_clients_is_counted_exactly_in_bounded_memory(clients: int, most: int) -> None:
    told = _told("crowd", clients)
    assert told["total"] == clients + 100_000
    assert told["count"] == told["histogram"] == told["clients"] == told["total"]
    assert told["others"][0] > told["total"] // 2
    assert told["grown"] < most


@pytest.mark.parametrize(("seconds", "most"), [(86_400, 5 * MIB)] if FULL else [(3_000, 3 * MIB)])
def test_a_day_does_not_grow(seconds: int, most: int) -> None:
    told = _told("day", seconds)
    assert told["count"] == told["histogram"] == told["clients"] == told["total"] == (seconds + 1500) * 50
    assert told["grown"] < most
