"""The bpftraces in the supervisor's hands: begun, asked to end, let go of, and none left at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bpftop.anyscript.attached import held
from bpftop.errors import HostError
from bpftop.supervision.allowance import Allowance
from bpftop.tracer.programs import ProgramCosts
from bpftop.tracer.supervisor import BpftraceSource

MOST_RUNS = 16
"""bpftraces at a time: one and each script of the catalog."""
Answer = tuple[object, Sequence[int]]
"""A value for the other process, and descriptors for it."""
_STARTS = (0.5, 24.0)
_AT_ONCE_S = 30.0
"""A run that fails within so long may be tried with more rights."""
_REAP_S = 3.0
_STEPS = {"interrupt": BpftraceSource.stop, "terminate": BpftraceSource.terminate, "kill": BpftraceSource.kill}


@dataclass(slots=True)
class _Run:
    key: str
    source: BpftraceSource
    born: float
    costs: ProgramCosts = field(default_factory=ProgramCosts)
    code: int | None = None

    def ended(self) -> int | None:
        """The exit code, once there is one."""
        if self.code is None:
            self.code = self.source.wait(0)
            if self.code is not None:
                self.costs.close()
        return self.code


class Runs:
    """Runs by their numbers, in the order of their starts."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._starts = Allowance(*_STARTS)
        self._over = False

    def check_start(self) -> None:
        """Raise HostError when there are too many runs, or too many were started of late, or all is over."""
        living = sum(run.ended() is None for run in self._runs)
        if living >= MOST_RUNS:
            raise HostError(f"{living} bpftraces run already", "bpftop scripts")
        if self._over:
            raise HostError("everything is being ended")
        if not self._starts.take():
            raise HostError("too many starts of bpftrace in a short time", "bpftop scripts")

    def begin(self, key: str, facts: object, source: BpftraceSource | None) -> Answer:
        """Start a run; its facts, number and process id and what is to be said of its rights, and the pipes to read."""
        if source is None:
            return (facts, -1, None, ""), ()
        source.start()
        self._runs.append(_Run(key, source, time.monotonic()))
        return (facts, len(self._runs) - 1, source.pid, source.rights), (source.stdout, source.stderr)

    def key(self, number: int) -> str:
        """What a run was started for. Raises HostError when there is no such run, as all below."""
        return self._known(number).key

    def relaxed(self, number: int) -> Answer:
        """The same program with more capabilities, when it failed at once with few."""
        run = self._known(number)
        code = run.ended()
        failed = code is not None and code > 0 and time.monotonic() - run.born < _AT_ONCE_S
        return self.begin(run.key, None, run.source.relaxed() if failed else None)

    def tell(self, number: int, word: str) -> Any:
        """Ask a run to end, or ask after it."""
        run = self._known(number)
        match word:
            case "ended":
                return run.ended()
            case "costs":
                return run.costs(run.source.pid or 0) if run.code is None else (0, 0, 0)
            case "held":
                return held(run.source.pid)
            case _:
                return _STEPS[word](run.source)

    def _known(self, number: int) -> _Run:
        if not 0 <= number < len(self._runs):
            raise HostError(f"there is no run {number}")
        return self._runs[number]

    def kill(self) -> None:
        """End them now, all at once; none is started any more."""
        self._over = True
        for run in self._living():
            run.source.kill()

    def end(self) -> None:
        """Nobody reads them any more: end them and wait until they are gone."""
        self.kill()
        end = time.monotonic() + _REAP_S
        for run in self._living():
            run.code = run.source.wait(max(end - time.monotonic(), 0.0))

    def _living(self) -> list[_Run]:
        return [run for run in self._runs if run.code is None]

    def let_go(self, descriptors: Sequence[int]) -> None:
        """Close our ends of what was handed over: pipes of a run, or others."""
        for run in self._runs:
            if run.source.stdout in descriptors:
                run.source.let_go()
                return
        for descriptor in descriptors:
            os.close(descriptor)
