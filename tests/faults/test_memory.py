"""Crowds and long days: the sums stay exact, the memory does not grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.ui.ptys import ROOT

Told = Callable[[str, object], None]
FULL = bool(os.environ.get("BPFTOP_FAULT_ROUNDS"))
MIB = 1 << 20


def _told(kind: str, size: int, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.faults.memory", kind, str(size), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    print(told)
    return told


CROWDS = [(1_000_000, 26 * MIB), (4_000_000, 26 * MIB)] if FULL else [(300_000, 18 * MIB)]
"""Clients and bytes. What the last ten minutes keep of clients and of their networks has a bound: 20 to 22 MiB."""


@pytest.mark.parametrize(("clients", "most"), CROWDS)
def test_a_crowd_of_clients_is_counted_exactly_in_bounded_memory(
    clients: int, most: int, record_property: Told
) -> None:
    told = _told("crowd", clients)
    assert told["total"] == clients + 100_000
    assert told["count"] == told["histogram"] == told["clients"] == told["total"]
    assert told["others"][0] > told["total"] // 2
    assert told["grown"] < most
    record_property("figure", f"{clients:,} clients: {told['grown'] / MIB:+.1f} MiB")


@pytest.mark.parametrize(("seconds", "words"), [(86_400, ()), (10_000, ("traced",))] if FULL else [(1_000, ())])
def test_a_day_does_not_grow(seconds: int, words: tuple[str, ...], record_property: Told) -> None:
    """From the bytes of bpftrace to the panes."""
    told = _told("day", seconds, *words)
    assert told["count"] == told["histogram"] == told["clients"] == told["total"]
    assert (told["produced"], told["shown"], told["lost"]) == (told["total"], told["total"], 0)
    assert told["grown"] < 5 * MIB or words, "tracing itself takes memory"
    assert told["allocated"] < MIB
    figures = f"{told['grown'] / MIB:+.1f} MiB" if not words else f"{told['allocated'] / 1024:+.0f} KiB of Python's"
    record_property("figure", f"{seconds:,} seconds one after the other: {figures}")
