"""A run of bpftrace that never was: a scenario as the very bytes, for hosts that cannot trace and for tests.

Decoder, store and screen cannot tell the difference, except that the label says ``simulation``.
"""

from __future__ import annotations

import math
import os
import select
import threading
import time
from collections.abc import Callable

from bpftop import scenarios
from bpftop.clock import boot_ns
from bpftop.demo.story import Story
from bpftop.model import Process, Program, Target, TargetKind
from bpftop.scenarios import Scenario
from bpftop.tracer.simulate.acted import from_story
from bpftop.tracer.simulate.figures import Observer
from bpftop.tracer.simulate.kernel import device_of
from bpftop.tracer.simulate.probes import Probes, attached, printf
from bpftop.tracer.simulate.traffic import Traffic
from bpftop.tracer.simulate.truth import Observed, Truth, quantile

__all__ = [
    "Observed",
    "SimulatedSource",
    "Telling",
    "Truth",
    "comm_of",
    "device_of",
    "quantile",
    "scenario_of",
    "simulated_target",
]

PROBES = 9
STEP_S = 0.1
STEPS_PER_TICK = 10
FIRST_TICK_STEP = 2
"""The first tick comes early, so that a screen has something to show at once."""
STEPS_PER_HEARTBEAT = 5
CPUS = 2
HEARTBEAT_S = 0.5
LATE_S = 5.0
"""Behind by more than this (a suspended laptop, a reader that stopped reading), the story skips the gap."""


def scenario_of(name: str = scenarios.DEFAULT, seed: int = 1) -> Scenario:
    """What a scenario consists of. Raises UsageError for an unknown name."""
    return scenarios.named(name) or from_story(Story(seed))


def simulated_target(scenario: Scenario | None = None) -> Target:
    """The server that a simulation pretends to watch."""
    shown = scenario or scenario_of()
    processes = tuple(Process(pid, 0, shown.server) for pid in shown.pids)
    return Target(shown.name, TargetKind.NAME, shown.server, shown.server, processes, (shown.port,))


def comm_of(scenario: Scenario) -> Callable[[int], str]:
    """What the processes of a scenario are called; empty for all others."""
    return lambda pid: scenario.server if pid in scenario.pids else ""


class Telling:
    """The bytes of a run, step by step; the first call begins it. Pure but for its chance.

    Args:
        program: its figures are filled by name, the fields of its streams too; what is not known stays empty.
        keep: keep every value, so that ``truth`` has them: 24 bytes an observation.
    """

    def __init__(self, program: Program, scenario: Scenario, seed: int = 1, *, keep: bool = False) -> None:
        self._traffic = Traffic(scenario, seed)
        figures = frozenset(measure.name for measure in program.measures)
        self._observer = Observer(self._traffic.site, figures, seed)
        self._probes = Probes(program, self._traffic.site, simulated_target(scenario), keep=keep)
        self._step = 0

    @property
    def told_s(self) -> float:
        """How much of the story has been told."""
        return round(self._step * STEP_S, 3)

    def step(self, origin_ns: int) -> bytes:
        """The lines of the next tenth of a second. ``origin_ns``: boot time of the beginning of the story."""
        self._step += 1
        begin_s, end_s = (self._step - 1) * STEP_S, self._step * STEP_S
        text = self._probes.observe(self._observer.observe(self._traffic.advance(begin_s, end_s), end_s), origin_ns)
        self._probes.adapt()
        if self._step % STEPS_PER_HEARTBEAT == 0:
            text += b"".join(printf(f"H {cpu}") for cpu in range(CPUS))
        if self._step == FIRST_TICK_STEP or self._step % STEPS_PER_TICK == 0:
            text += self._probes.tick(origin_ns + int(end_s * 1e9))
        return text

    def end(self) -> bytes:
        """What a run prints when it is stopped."""
        return self._probes.end()

    def truth(self) -> Truth:
        """What has been observed so far."""
        return self._probes.truth()


class SimulatedSource:
    """A ``Source`` (see ``bpftop.tracer.source``): a thread writes into a pipe what bpftrace would print.

    Args:
        scenario: the demo's story when there is none.
        speed: story seconds per second; infinite: as fast as it is read. Ticks stay one story second apart, and
            ``boot_ns`` follows the story.
        length_s: so much is told; then it is silent until it is stopped.
        keep: keep every value for the truth.
    """

    label = "simulation"
    pid: int | None = None

    def __init__(
        self,
        program: Program,
        scenario: Scenario | None = None,
        *,
        seed: int = 1,
        speed: float = 1.0,
        length_s: float = math.inf,
        keep: bool = False,
    ) -> None:
        self.stdout = -1
        self.stderr = -1
        self._speed = speed
        # To the end of a tick: who waits for a part of a second would wait for ever.
        self._length_s = math.ceil(length_s) if math.isfinite(length_s) else length_s
        self._telling = Telling(program, scenario or scenario_of(seed=seed), seed, keep=keep)
        self.silent = threading.Event()
        """Set when everything was told."""
        self._ask_stop = threading.Event()
        self._killed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulation", daemon=True)
        self._out = -1
        self._err = -1

    def start(self) -> None:
        """Begin; returns at once."""
        self.stdout, self._out = os.pipe()
        self.stderr, self._err = os.pipe()
        os.set_blocking(self._out, False)
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; the last counts still arrive before end of file."""
        self._ask_stop.set()

    def wait(self, timeout_s: float) -> int | None:
        """0 after the end, -9 after ``kill``, ``None`` when it still runs."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                return None
        return -9 if self._killed.is_set() else 0

    def kill(self) -> None:
        """End now, without the last counts."""
        self._killed.set()
        self._ask_stop.set()

    def truth(self) -> Truth:
        """What was observed, once the run is over; before, it may be ahead of what was printed."""
        return self._telling.truth()

    def _run(self) -> None:
        try:
            self._tell()
        except BrokenPipeError:
            pass  # nobody reads: over
        finally:
            os.close(self._out)
            os.close(self._err)

    def _tell(self) -> None:
        self._write(attached(PROBES))
        origin_ns = boot_ns()
        began_s = time.monotonic()
        while not self._ask_stop.is_set() and self._telling.told_s < self._length_s:
            due_s = began_s + (self._telling.told_s + STEP_S) / self._speed
            late_s = time.monotonic() - due_s
            if late_s > LATE_S and self._speed < math.inf:
                began_s += late_s
                origin_ns += int(late_s * self._speed * 1e9)
            elif late_s < 0 and self._ask_stop.wait(-late_s):
                break
            self._write(self._telling.step(origin_ns))
        self.silent.set()
        while not self._ask_stop.wait(HEARTBEAT_S):
            self._write(b"".join(printf(f"H {cpu}") for cpu in range(CPUS)))
        self._write(self._telling.end())

    def _write(self, text: bytes) -> None:
        """All of it, waiting for a slow reader unless killed."""
        view = memoryview(text)
        while len(view) and not self._killed.is_set():
            if select.select([], [self._out], [], 0.1)[1]:
                view = view[os.write(self._out, view) :]
