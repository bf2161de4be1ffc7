"""A watch that can grow: the scripts it began with, and others started and stopped while it runs.

Each script that is added runs in a bpftrace of its own, so that starting and stopping it never interrupts the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Protocol

from bpftop.errors import BpftopError
from bpftop.model import Accounting, Overhead, ScriptStatus, SlowRequest, Snapshot, State, Target
from bpftop.stats.exclude import Network
from bpftop.stats.joined import joined_beside
from bpftop.stats.made import Made


class Watch(Protocol):
    """What is put together: a session."""

    def start(self) -> None:
        """Begin. Raises BpftopError."""

    def stop(self) -> None:
        """End."""

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """The figures of a window, that of now or one that ended at a moment of the last ten minutes."""
        ...

    @property
    def news(self) -> Hashable:
        """Another value after every tick and every change of the state: cheap, to be looked at often."""
        ...

    @property
    def covered_s(self) -> float:
        """How much time the figures cover."""
        ...

    def reset(self) -> None:
        """Forget all figures."""

    def allow(self) -> None:
        """Let it cost what it does."""

    def exclude(self, networks: Sequence[Network]) -> None:
        """Leave clients out of the tables."""


Make = Callable[[str, Target], Watch]


class Ensemble:
    """One snapshot of a running session and of all scripts added to it."""

    def __init__(self, main: Watch, make: Make, offers: Sequence[ScriptStatus]) -> None:
        self._main = main
        self._make = make
        self._offers = {offer.name: offer for offer in offers}
        self._members: dict[str, _Member] = {}
        self._networks: Sequence[Network] = ()
        self._lock = threading.Lock()

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        """Everything about a window, of all scripts that run; those on offer are among the scripts, too."""
        main = self._main.snapshot(window_s, until_unix_ns)
        with self._lock:
            members = list(self._members.values())
        parts = [member.snapshot(window_s, until_unix_ns) for member in members]
        running = {member.offer.name for member in members}
        scripts = [member.status(part) for member, part in zip(members, parts, strict=True)]
        scripts += [offer for name, offer in self._offers.items() if name not in running]
        return merged(main, [part for part in parts if part is not None], scripts)

    @property
    def news(self) -> Hashable:
        """Another value after every tick and every change of the state of any script: cheap, to be looked at often."""
        with self._lock:
            members = list(self._members.values())
        return self._main.news, *(member.news for member in members)

    @property
    def covered_s(self) -> float:
        """How much time the figures of the first scripts cover."""
        return self._main.covered_s

    def start_script(self, name: str, free: bool = False) -> None:
        """Start a script that is on offer; nothing when it runs. ``free``: whatever it costs. Returns at once.

        One that was stopped because it cost too much begins anew.
        """
        target = self._main.snapshot(10.0).target
        with self._lock:
            before = self._members.get(name)
            if before is not None and before.backed_off:
                before.end()
                before = None
            if name in self._offers and before is None:
                self._members[name] = _Member(self._offers[name], lambda: self._made(name, target, free))

    def _made(self, name: str, target: Target, free: bool) -> Watch:
        watch = self._make(name, target)
        watch.exclude(self._networks)
        if free:
            watch.allow()
        return watch

    def exclude(self, networks: Sequence[Network]) -> None:
        """Leave clients in these networks out of the tables, of scripts that are started later too."""
        self._networks = networks
        self._main.exclude(networks)

    def reset(self) -> None:
        """Forget the figures of all scripts; counting goes on."""
        self._main.reset()
        with self._lock:
            members = list(self._members.values())
        for member in members:
            member.reset()

    def stop_script(self, name: str) -> bool:
        """Stop a script that was added; its figures go. Returns at once; False when it was not added."""
        with self._lock:
            member = self._members.pop(name, None)
        if member is not None:
            member.end()
        return member is not None

    def stop(self) -> None:
        """End everything: all scripts are told first, then waited for."""
        with self._lock:
            members = list(self._members.values())
        for member in members:
            member.end()
        self._main.stop()
        for member in members:
            member.join()


class _Member:
    """One added script. Its thread lives as long as its bpftrace, which dies with the thread that started it."""

    def __init__(self, offer: ScriptStatus, make: Callable[[], Watch]) -> None:
        self.offer = offer
        self._make = make
        self._session: Watch | None = None
        self._why = ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"bpftop-{offer.name}", daemon=True)
        self._thread.start()

    def _live(self) -> None:
        try:
            session = self._make()
            session.start()
        except BpftopError as error:
            self._why = error.message
            return
        self._session = session
        self._ending.wait()
        session.stop()

    def snapshot(self, window_s: float | None, until_unix_ns: int | None) -> Snapshot | None:
        """Its figures; None until it has begun."""
        return self._session.snapshot(window_s, until_unix_ns) if self._session is not None else None

    @property
    def news(self) -> Hashable:
        """As of a watch."""
        return self._session.news if self._session is not None else self._why

    def reset(self) -> None:
        """Forget its figures."""
        if self._session is not None:
            self._session.reset()

    @property
    def backed_off(self) -> bool:
        """It was stopped because it cost too much."""
        return self._session is not None and _stopped(self._session.snapshot(10.0))

    def status(self, part: Snapshot | None) -> ScriptStatus:
        """Its state, with the reason when it failed."""
        if part is None:
            state = State.FAILED if self._why else State.ATTACHING
            return replace(self.offer, state=state, detail=self._why or "starting")
        tracer = part.tracer
        own = next((each for each in part.scripts if each.name == self.offer.name), self.offer)
        own = replace(own, summary=self.offer.summary, cost=self.offer.cost)
        if _stopped(part):
            own = replace(own, budget=tracer.detail)
        return replace(own, detail=tracer.detail) if tracer.state is not State.LIVE and tracer.detail else own

    def end(self) -> None:
        """Tell it to end."""
        self._ending.set()

    def join(self) -> None:
        """Wait until its bpftrace has ended."""
        self._thread.join(5.0)


def _stopped(part: Snapshot) -> bool:
    """Whether it ended because it cost too much."""
    return part.tracer.state is State.STOPPED and bool(part.tracer.budget)


def _as_of_then(part: Snapshot) -> Snapshot:
    """What is left of a script that has stopped: what it counted and lost, but nothing of now."""
    overhead = Overhead(missed=part.overhead.missed)
    recent_accounting = Accounting()
    return replace(
        part,
        slow=(),
        recent={},
        recent_slow=(),
        overhead=overhead,
        recent_accounting=recent_accounting,
        recent_missed=0,
    )


def merged(main: Snapshot, parts: Sequence[Snapshot], scripts: Sequence[ScriptStatus]) -> Snapshot:
    """One snapshot: target, window and tracer of the main one; figures, events, accounts and costs of all."""
    if not parts:
        return replace(main, scripts=(*main.scripts, *scripts))
    parts = [_as_of_then(part) if _stopped(part) else part for part in parts]
    everything = [main, *parts]
    measures, counters, recent = dict(main.measures), dict(main.counters), dict(main.recent)
    for part in parts:
        measures.update(part.measures)
        counters.update(part.counters)
        recent.update(part.recent)
    return replace(
        main,
        measures=measures,
        counters=counters,
        slow=Made(lambda: _slowest_first(everything)),
        accounting=_accounts([each.accounting for each in everything]),
        overhead=_costs([each.overhead for each in everything]),
        scripts=(*main.scripts, *scripts),
        histories=tuple(history for each in everything for history in each.histories),
        recent=recent,
        recent_slow=Made(lambda: tuple(event for each in everything for event in each.recent_slow)),
        recent_accounting=_accounts([each.recent_accounting for each in everything]),
        recent_missed=sum(each.recent_missed for each in everything),
    )


def _slowest_first(all_: Sequence[Snapshot]) -> tuple[SlowRequest, ...]:
    measures = {name: shown for each in all_ for name, shown in each.measures.items()}
    histories = [history for each in all_ for history in each.histories]
    events = joined_beside((event for each in all_ for event in each.slow), histories, measures)
    return tuple(sorted(events, key=attrgetter("latency_ns"), reverse=True))


def _accounts(all_: Sequence[Accounting]) -> Accounting:
    return Accounting(
        produced=sum(each.produced for each in all_),
        shown=sum(each.shown for each in all_),
        suppressed=sum(each.suppressed for each in all_),
        lost=sum(each.lost for each in all_),
        rejected=sum(each.rejected for each in all_),
        untracked=sum(each.untracked for each in all_),
        unseen_ns=max(each.unseen_ns for each in all_),
    )


def _costs(all_: Sequence[Overhead]) -> Overhead:
    """The costs together; those not known yet count as nothing."""
    hits = [each.hits_per_s for each in all_ if each.hits_per_s is not None]
    if not hits:
        return all_[0]
    spent = [(each.ns_per_hit or 0.0) * (each.hits_per_s or 0.0) for each in all_]
    total = sum(hits)
    cpu = sum(each.cpu_percent or 0.0 for each in all_)
    return replace(
        all_[0], ns_per_hit=sum(spent) / total if total else None, hits_per_s=total, cpu_percent=cpu,
        missed=sum(each.missed for each in all_),
    )  # fmt: skip
