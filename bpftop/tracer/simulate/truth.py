"""What a simulated run really was: every value that was observed, before any bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bpftop.model import Counts, Measure
from bpftop.stats.keys import KeyNames
from bpftop.stats.routes import route_of
from bpftop.stats.tick import Keys


@dataclass(frozen=True, slots=True)
class Observed:
    """All observations of one measure or counter, in the order of the run. Arrays of one shape (n,)."""

    measure: Measure
    values_ns: Counts
    """All 0 for a counter."""
    keys: Keys

    @property
    def count(self) -> int:
        """How many there were."""
        return len(self.values_ns)


@dataclass(frozen=True, slots=True)
class Truth:
    """The observations of a run by the name of the measure, and the events that were sent by stream."""

    figures: Mapping[str, Observed]
    sent: Mapping[str, int]
    names: KeyNames

    def by_key(self, name: str) -> dict[str, Counts]:
        """The values of a figure by the name of their key, as a table shows it; ids in routes are folded."""
        observed = self.figures[name]
        codes, inverse = np.unique(observed.keys, return_inverse=True)
        order = np.argsort(inverse, kind="stable")
        groups = np.split(observed.values_ns[order], np.cumsum(np.bincount(inverse, minlength=len(codes)))[:-1])
        out: dict[str, list[Counts]] = {}
        for code, values in zip(codes.tolist(), groups, strict=True):
            out.setdefault(self._name(observed.measure, code), []).append(values)
        return {key: np.concatenate(parts) for key, parts in out.items()}

    def _name(self, measure: Measure, code: int) -> str:
        if measure.key == "route":
            return route_of(self.names.routes.line(code))
        return self.names.name(measure, code)


def quantile(values_ns: Counts, q: float) -> int:
    """The ceil(q n)-th smallest of n > 0 values (nearest rank), exactly."""
    # 0.999 * 1000 is 999.0000000000001 in binary: without the small step back its ceiling would be 1000.
    rank = max(1, int(np.ceil(q * len(values_ns) * (1 - 1e-12))))
    return int(np.partition(values_ns, rank - 1)[rank - 1])
