"""Incidents of known cause on a real nginx: the verdict names each within ten seconds, and else nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.incidents.book import Health
from tests.incidents.incidents import INCIDENTS, Incident
from tests.incidents.run import WITHIN_S, healthy, settle, suffer
from tests.incidents.scene import Scene, scene

HEALTHY_S = 24
"""In this time every level becomes known."""
LONGEST_S = 420
LONG = {"all workers stopped", "stopped worker", "slow route", "slow reader", "CPU limit", "CPU hogs"}
"""Only in ``make incidents``: each takes half a minute."""
STARVED_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def calm() -> Iterator[tuple[Scene, Health]]:
    """A scene that has been well for a while, and what stood out in it."""
    with tempfile.TemporaryDirectory(prefix="bpftop-incident-") as name:
        Path(name).chmod(0o755)
        with scene(Path(name), LONGEST_S) as found:
            yield found, healthy(found, HEALTHY_S)


def test_nothing_stands_out_while_all_is_well(calm: tuple[Scene, Health]) -> None:
    """Where others take the CPUs, requests really wait; then only nobody may be blamed for it."""
    _, health = calm
    assert health.said == []
    blame = ("slow ones", "waits for upstream", "new ones")
    assert not [said for said in health.said_starved if any(words in said for words in blame)]


@pytest.mark.parametrize("incident", [pytest.param(each, id=each.name) for each in INCIDENTS if each.name not in LONG])
def test_the_cause_is_named_within_ten_seconds(calm: tuple[Scene, Health], incident: Incident) -> None:
    found, health = calm
    assert settle(found) is not None, "the trouble before does not end"
    # Where others take the CPUs everything is slow, and it takes longer until one cause stands out, if the machine is
    # not what must be named instead.
    trial = suffer(found, incident, STARVED_WITHIN_S if health.starved else WITHIN_S)
    assert not trial.wrong
    unnamed = [which for which, seconds in trial.seconds.items() if seconds is None]
    machine = all("short of CPU" in trial.said.get(which, "") for which in unnamed)
    assert not unnamed or (trial.starved and machine), (trial.wanted, trial.said)
