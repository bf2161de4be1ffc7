"""What the probes of a script may cost, and whether they cost more: from measured seconds only.

A second is measured by the kernel (``overhead``). Three measured seconds one after the other above the budget are too
much: a burst is none, and a level is noticed within a few seconds. Afterwards three seconds below four fifths of it are
needed until it counts as kept again, so that a cost near the budget does not waver.
"""

from __future__ import annotations

from collections import deque

from bpftop import units
from bpftop.tracer.overhead import OverheadMeter

TIMES = 3
CALM = 0.8
_UNMEASURED_TICKS = 5


class Budget:
    """The budget of one bpftrace. Without one (``percent`` None) nothing is said and nothing stopped."""

    def __init__(self, percent: float | None = None, optional: bool = False) -> None:
        """``percent``: of one CPU; ``optional``: the script is stopped when it costs more, else it is only told."""
        self.percent = percent
        self.optional = optional
        self.exceeded = False
        self.told = ""
        """One sentence about the budget, for people; empty while it is kept."""
        self._last: deque[float] = deque(maxlen=TIMES)
        self._ticks = 0

    def lift(self) -> None:
        """Let it cost what it does."""
        self.percent, self.exceeded, self.told = None, False, ""

    def take(self, meter: OverheadMeter, observed: int) -> bool:
        """After a tick of the meter, in which so much was observed; True when the script has to stop now."""
        if self.percent is None:
            return False
        self._ticks += 1
        if meter.measured is None:
            meter.hurry(observed, anyway=False)
            if self._ticks == _UNMEASURED_TICKS and not meter.measures:
                self.told = "no budget is kept: the kernel does not tell what the probes cost"
            return False
        self._last.append(meter.measured)
        self._judge()
        meter.hurry(observed, anyway=meter.measured > self.percent and not self.exceeded)
        return self.exceeded and self.optional

    def _judge(self) -> None:
        assert self.percent is not None
        enough = len(self._last) == TIMES
        if enough and all(each > self.percent for each in self._last):
            self.exceeded = True
        elif enough and all(each < self.percent * CALM for each in self._last):
            self.exceeded = False
        self.told = self._words() if self.exceeded else ""

    def _words(self) -> str:
        """What it took in the last measured seconds."""
        assert self.percent is not None
        took = units.percent(sum(self._last) / len(self._last) / 100)
        most = f"{self.percent:g} %"
        if self.optional:
            return f"it took {took} of one CPU, its budget is {most}"
        return f"the probes take {took} of one CPU, the budget is {most}; what was there from the beginning goes on"
