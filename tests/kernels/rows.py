"""What one script did on one kernel, as a value and on the wire between the guest and this host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tests.kernels.guest import GuestRun, python

MISSED = "all but"
"""A state: all but so many observations, which the kernel kept from every tracing program and mostly counts itself."""


@dataclass(frozen=True, slots=True)
class Row:
    """One script on one kernel."""

    label: str
    """Of the kernel, see packages.SUITES; empty in the guest, which does not know it."""
    release: str
    script: str
    variant: str
    state: str
    """``exact``, ``all but N`` (MISSED), ``unavailable``, ``failed``, ``attached`` (it has no workload here), or
    ``agrees``: the doctor."""
    detail: str
    """What was counted, or why not: one sentence."""

    @property
    def failed(self) -> bool:
        """It should have run and did not, or counted wrong."""
        return self.state not in ("exact", "attached", "unavailable", "agrees") and not self.state.startswith(MISSED)

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))


def command(names: Sequence[str]) -> list[str]:
    """What to run in the guest for these scripts; all when there are none."""
    return python("tests.kernels.inside", *names)


def rows_of(label: str, run: GuestRun) -> list[Row]:
    """The rows that a guest printed."""
    found = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return [Row(**{**values, "label": label}) for values in found]
