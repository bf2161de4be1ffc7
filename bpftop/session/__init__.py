"""One watch: runs a source, keeps the figures, answers ``snapshot`` at any time. Knows neither screen nor files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from functools import partial

from bpftop.clock import WALL, boot_ns, steady_unix_ns
from bpftop.figures import Declared, Frame, Known, Origin, Tap
from bpftop.model import Names, Program, Snapshot, Standstill, State, Target
from bpftop.procfs import comm_of
from bpftop.session.reading import LADDER_S, STEPS
from bpftop.session.rescan import Followed, Outside, Rescan
from bpftop.session.runs import Runs
from bpftop.stats.devices import device_name
from bpftop.stats.exclude import Excluded, Network
from bpftop.stats.keys import KeyNames
from bpftop.tracer.budget import Budget
from bpftop.tracer.overhead import OverheadMeter
from bpftop.tracer.source import Source

__all__ = ["Session"]


class Session(Runs):
    """Watches one target through one program.

    ``renew`` makes a source for a target whose processes have changed, or after a crash; without it neither is
    followed. ``rescan`` resolves the target again; it is asked every second or two for processes that the kernel's own
    following has missed, after ``standstill``, which is asked who stands still. ``comm_of`` and ``device_of`` name
    processes and devices of this host, unless the source is of another. ``budget``: what the probes may cost.
    """

    def __init__(
        self,
        source: Source,
        program: Program,
        target: Target,
        *,
        renew: Callable[[Target], Source] | None = None,
        rescan: Callable[[], Target] | None = None,
        standstill: Callable[[Target], Standstill] | None = None,
        bpftrace_version: str = "",
        comm_of: Callable[[int], str] = comm_of,
        device_of: Callable[[int], str] = device_name,
        meter: OverheadMeter | None = None,
        rights: str = "",
        budget: Budget | None = None,
    ) -> None:
        super().__init__(
            source,
            program,
            target,
            names=KeyNames(comm_of, device_of),
            renew=renew,
            meter=meter or OverheadMeter(),
            budget=budget or Budget(),
            version=bpftrace_version,
            rights=rights,
        )
        self._thread = threading.Thread(target=self._run, name="bpftop-reader", daemon=True)
        follows = rescan is not None and renew is not None
        again = Rescan(rescan, self._followed_now, self._anew, self._stopping) if rescan and follows else None
        look = partial(self._look, standstill) if standstill is not None else None
        self._outside = Outside(look, again, self._stopping)

    # --- life ---

    def start(self) -> None:
        """Start the source, when it is not running yet, and the reading of it. Raises HostError when it can't."""
        if self._source.stdout < 0:
            self._source.start()
        self._started_ns = self._heard_ns = boot_ns()
        self._thread.start()
        self._outside.start()

    def stop(self) -> None:
        """End the source within 3 s: SIGINT, then SIGTERM, then SIGKILL. The last counts are in the next snapshot."""
        self._ask_to_end()
        for step in STEPS:
            if not self._thread.is_alive():
                break
            source = self._source  # a restart may just have put another in its place
            getattr(source, step, source.kill)()
            self._thread.join(LADDER_S)
        self._meter.close()

    def allow(self) -> None:
        """Let the probes cost what they do: the user has said so."""
        self._budget.lift()

    def wait_live(self, timeout_s: float) -> bool:
        """Wait until the kernel has reported for the first time, or the run has failed. True when live."""
        self._wait(lambda: self._store.ticks > 0 or self._condition.state is State.FAILED, timeout_s)
        return self._store.ticks > 0

    @property
    def news(self) -> Hashable:
        """Another value after every tick and every change of the state: cheap, to be looked at often."""
        now = self._condition
        return self._store.ticks, now.state, now.detail, now.probes, self._budget.told

    @property
    def covered_s(self) -> float:
        """How much time the figures cover."""
        return self._store.span_s(None)

    def wait_tick(self, timeout_s: float = 5.0) -> bool:
        """Wait until two more ticks have come: everything that has happened before is in the figures. True when so."""
        wanted = self._store.ticks + 2
        return self._wait(lambda: self._store.ticks >= wanted, timeout_s)

    def settle(self, timeout_s: float = 5.0, asked_ns: int | None = None) -> bool:
        """Wait up to the kernel's next tick: what happened before this call is in the counts then. True when so.

        ``asked_ns``: before that boot time instead. Takes half a second on average. The accounts of the events lane
        come one tick later when an event was on its way.
        """
        asked = boot_ns() if asked_ns is None else asked_ns
        return self._wait(lambda: self._store.settled_ns >= asked, timeout_s)

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Until then, or until nothing is read any more; whether it is so."""
        with self._news:
            self._news.wait_for(lambda: done() or self._over, timeout_s)
            return done()

    # --- the target ---

    def _followed_now(self) -> Followed | None:
        with self._lock:
            return (self._target, self._store.settled_ns) if self._condition.state is State.LIVE else None

    def _look(self, standstill: Callable[[Target], Standstill]) -> bool:
        self._standstill = standstill(self._target)
        return self._standstill == Standstill()

    def _anew(self, found: Target) -> None:
        """Let bpftrace end: the next run begins with what was found."""
        self._next_target = found
        self._rest.end()
        self._source.stop()

    # --- figures ---

    @property
    def declared(self) -> Declared:
        """What is measured."""
        return self._figures.declared

    @property
    def origin(self) -> Origin:
        """Where the figures come from."""
        return self._figures.origin

    @property
    def names(self) -> Names:
        """What keys are called."""
        return self._figures.names

    def tap(self, tap: Tap) -> Known:
        """Hand every change of the figures to ``tap`` from now on, first the state of this moment."""
        with self._lock:
            self._told = self._status()
            tap(Frame(steady_unix_ns(), None, self._told))
            self._taps.append(tap)
            return self._known()

    def known(self) -> Known:
        """The names and accounts of this moment."""
        with self._lock:
            return self._known()

    def _known(self) -> Known:
        return Known(steady_unix_ns(), self._store.names(), self._store.accounting)

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """Everything about a window of 10, 60 or 300 seconds, or None for all since the start.

        ``until_unix_ns``: as it was at that moment, of the last ten minutes; the states of tracer and scripts are
        those of now.
        """
        with self._lock:
            self._figures.status = self._status()
            self._tell(None)  # whatever is seen is recorded
            return self._figures.snapshot(window_s, boot_ns() + WALL.offset_ns, until_unix_ns)

    def exclude(self, networks: Sequence[Network]) -> None:
        """From now on clients in these networks are in the totals and in no table."""
        with self._lock:
            self._store.excluded = Excluded(networks)

    def reset(self) -> None:
        """Forget all figures; counting goes on from here."""
        with self._lock:
            self._figures.reset()
