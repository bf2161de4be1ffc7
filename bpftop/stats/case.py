"""What all questions of a verdict are asked of: the measures of the last ten seconds and what was said before."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from bpftop.model import Measure, Recent, ScriptStatus, SlowRequest, Snapshot, State
from bpftop.stats.stages import REQUEST

MOST, STILL_MOST = 0.6, 0.45
"""The share of a time from which on it is somebody's; once said, it needs less to stay said."""
LEAST = 8
"""Fewer slow observations than this prove nothing."""
SLOW_CPU_NS = 5_000_000
"""A wait for a CPU, or a turn of an event loop, below this is no cause, whatever it has risen from."""


@dataclass(frozen=True, slots=True)
class Case:
    """What all questions are asked of."""

    snapshot: Snapshot
    named: frozenset[str]
    as_is: bool = False
    """Nothing is known to have been better: what is slow counts, not what has become slower."""

    @property
    def age_s(self) -> float:
        """How long it has been watched."""
        return (self.snapshot.unix_ns - self.snapshot.started_unix_ns) / 1e9

    @property
    def recent(self) -> Mapping[str, Recent]:
        """All measures in the last ten seconds."""
        return self.snapshot.recent

    def most(self, kind: str, about: str) -> float:
        """The share that is enough to say it."""
        return STILL_MOST if f"{kind} {about}" in self.named else MOST

    def said(self, kind: str) -> tuple[str, ...]:
        """All of this kind that the verdict before has named."""
        return tuple(key.removeprefix(f"{kind} ") for key in self.named if key.startswith(f"{kind} "))

    def measure(self, name: str) -> Measure:
        """The declaration of a measure."""
        return self.snapshot.measures[name].measure

    def title(self, name: str) -> str:
        """``request latency``."""
        return self.measure(name).title.lower() if name in self.snapshot.measures else name.replace("_", " ")

    def script(self, name: str) -> ScriptStatus | None:
        """The state of a script."""
        return next((each for each in self.snapshot.scripts if each.name == name), None)

    def runs(self, name: str) -> bool:
        """Whether its figures are there."""
        script = self.script(name)
        return script is not None and script.state is State.LIVE

    def events(self, kind: str) -> list[SlowRequest]:
        """Single events of the last ten seconds."""
        return [each for each in self.snapshot.recent_slow if each.event == kind]

    @staticmethod
    def network(client: str) -> str:
        """The filter that only this address passes."""
        try:
            return f"{client}/{ipaddress.ip_address(client).max_prefixlen}"
        except ValueError:
            return client

    def shorter(self, recent: Recent) -> float:
        """By how much the seconds of a script that was started within the last ten are fewer than those of requests."""
        request = self.recent.get(REQUEST)
        if request is None or not request.now.rate_per_s or not recent.now.rate_per_s:
            return 1.0
        return max(request.now.count / request.now.rate_per_s * recent.now.rate_per_s / max(recent.now.count, 1), 1.0)

    @property
    def work_ns(self) -> float:
        """The time of all requests after the read: what the server works or waits for something else than itself."""
        request = self.recent.get(REQUEST)
        return float((request.now.total_ns or 0) if request else 0)
