"""Running sessions, one for each target and script, that many collections share. Imports nothing heavy by itself."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bpftop.errors import BpftopError, HostError, Inconclusive, TargetError, UsageError
from bpftop.preflight import Host, missing, mount_tracefs, require, require_numpy, suited

if TYPE_CHECKING:
    from bpftop.model import Script, Snapshot
    from bpftop.session import Session

ATTACH_S = 30.0
SETTLE_S = 10.0
"""The kernel reports once a second; a machine that is busy may take its time."""
SETTLE = "the kernel did not report in time: what came at the end is not known"


class CannotTrace(HostError):
    """No session could be started here; one that fails later is a HostError."""


class Watches:
    """Opens sessions when they are first asked for, keeps them for all who come later, closes them together."""

    def __init__(self, scenario: str = "", arguments: Sequence[str] = ()) -> None:
        """``scenario``: simulate this one instead of tracing.

        ``arguments``: of the program that runs, for the command that does the same again as root.
        """
        self._scenario = scenario
        self._host = Host(command=shlex.join([sys.executable, *arguments]))
        self._open: dict[tuple[str, str], Watch] = {}
        # bpftrace dies with the thread that started it (PR_SET_PDEATHSIG): this one lives until the end.
        self._keeper = ThreadPoolExecutor(1, "bpftop-watches")
        self._refused: CannotTrace | None = None
        self._asked = bool(scenario)

    def available(self) -> None:
        """Raises CannotTrace with the doctor's reason when this host cannot trace; the host is asked once."""
        if not self._asked:
            self._asked = True
            try:
                mount_tracefs(self._host)
                require(self._host)
            except HostError as error:
                self._refused = CannotTrace(error.message, error.hint)
        if self._refused is not None:
            raise self._refused

    def refuse(self, why: str) -> None:
        """Say of this host that it cannot trace."""
        self._asked, self._refused = True, CannotTrace(why)

    def watch(self, spec: str, measure: str, asked_ns: int) -> Watch:
        """The session on a target that has this measure, live, with all that was before the boot time ``asked_ns``.

        Raises CannotTrace, TargetError and UsageError.
        """
        self.available()
        script = script_of(measure)
        found = self._open.get((spec, script.name))
        if found is not None and found.stale(asked_ns):
            self._close(self._open.pop((spec, script.name)))
            found = None
        if found is None:
            found = self._keeper.submit(self._opened, spec, script).result()
            self._open[spec, script.name] = found
        return found

    def _opened(self, spec: str, script: Script) -> Watch:
        try:
            require_numpy()
            with ExitStack() as stack:
                name = self._scenario
                opened = _simulated(script, name) if name else _traced(spec, script, self._host)
                session = stack.enter_context(opened)
                if not session.wait_live(ATTACH_S):
                    raise _failure(session.snapshot(None))
                return Watch("" if name else spec, session, stack.pop_all())
        except HostError as error:
            raise CannotTrace(error.message, error.hint) from error

    def _close(self, watch: Watch) -> None:
        self._keeper.submit(watch.close).result()

    def close(self) -> None:
        """End every session."""
        while self._open:
            self._close(self._open.popitem()[1])
        self._keeper.shutdown()


class Watch:
    """One live session."""

    def __init__(self, spec: str, session: Session, stack: ExitStack) -> None:
        self._spec = spec
        """Empty in a simulation."""
        self._session = session
        self._stack = stack

    def stale(self, asked_ns: int) -> bool:
        """It does not report, or the target has processes or ports that the kernel's own following has missed."""
        from bpftop.target import resolve

        try:
            snapshot = self.mark(asked_ns)
        except BpftopError:
            return True
        if not self._spec:
            return False
        found, seen = resolve(self._spec), snapshot.target
        return bool(set(found.pids) - set(seen.pids) or set(found.ports) - set(seen.ports))

    def mark(self, asked_ns: int) -> Snapshot:
        """Everything since the start, once it has all that happened before the boot time ``asked_ns``.

        Raises HostError when bpftrace has ended, Inconclusive when the kernel does not report.
        """
        settled = self._session.settle(SETTLE_S, asked_ns)
        snapshot = self._session.snapshot(None)
        if not settled:
            _raise_if_failed(snapshot)
            raise Inconclusive(f"{snapshot.target.name}: {SETTLE}", "uptime")
        return snapshot

    def close(self) -> None:
        """End it."""
        self._stack.close()


def script_of(measure: str) -> Script:
    """The script that has a measure. Raises UsageError with the nearest names."""
    import difflib

    from bpftop.scripts import catalog

    scripts = {each.name: script for script in catalog().values() for each in script.measures}
    if measure not in scripts:
        near = difflib.get_close_matches(measure, scripts, 1, 0.4)
        meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(scripts)}"
        raise UsageError(f"there is no measure {measure}{meant}", "bpftop scripts")
    return scripts[measure]


@contextmanager
def _traced(spec: str, script: Script, host: Host) -> Iterator[Session]:
    from bpftop.model import TargetKind
    from bpftop.target import explain, resolve
    from bpftop.tracing import traced

    why = missing(script, host)
    if why:
        raise HostError(f"{script.name} cannot run here: {why}", "bpftop scripts")
    target, chosen = resolve(spec), [suited(script, host)]
    if target.kind is TargetKind.PID and not target.processes:
        raise TargetError(explain(target), "ps -e")
    with traced(target, host, lambda: resolve(spec), lambda _: chosen) as session:
        yield session


@contextmanager
def _simulated(script: Script, name: str) -> Iterator[Session]:
    from bpftop.scripts import compose
    from bpftop.session import Session
    from bpftop.tracer import simulate
    from bpftop.tracing import running

    scenario = simulate.scenario_of(name)
    target = simulate.simulated_target(scenario)
    program = compose([script], target)
    source = simulate.SimulatedSource(program, scenario)
    session = Session(source, program, target, comm_of=simulate.comm_of(scenario), device_of=simulate.device_of)
    with running(session):
        yield session


def _raise_if_failed(snapshot: Snapshot) -> None:
    from bpftop.model import State

    if snapshot.tracer.state in (State.FAILED, State.STOPPED):
        raise _failure(snapshot)


def _failure(snapshot: Snapshot) -> HostError:
    tracer = snapshot.tracer
    return HostError(tracer.detail or "bpftrace does not report", tracer.hint or "sudo bpftop doctor --try")
