"""Scenarios as snapshots, faster than they happen, with the truth about them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bpftop.model import Program, Snapshot
from bpftop.scenarios import Scenario
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.tracer import simulate
from bpftop.tracer.simulate import SimulatedSource, Truth

EVERYTHING = tuple(catalog())


def program_of(scenario: Scenario, scripts: Sequence[str]) -> Program:
    """These scripts on the server of a scenario."""
    return compose([catalog()[name] for name in scripts], simulate.simulated_target(scenario))


def session_of(scenario: Scenario, source: SimulatedSource, program: Program) -> Session:
    """A session on a simulation, not started."""
    target = simulate.simulated_target(scenario)
    return Session(source, program, target, comm_of=simulate.comm_of(scenario), device_of=simulate.device_of)


def watched(
    scenario: str | Scenario, length_s: float, scripts: Sequence[str] = EVERYTHING, seed: int = 1
) -> tuple[Snapshot, Truth]:
    """The last snapshot of so many seconds of a scenario, over all of them, and the truth."""
    told = simulate.scenario_of(scenario, seed) if isinstance(scenario, str) else scenario
    program = program_of(told, scripts)
    source = SimulatedSource(program, told, seed=seed, speed=math.inf, length_s=length_s, keep=True)
    session = session_of(told, source, program)
    session.start()
    try:
        while not source.silent.wait(0.05):
            assert source.wait(0) is None
    finally:
        session.stop()
    return session.snapshot(None), source.truth()
