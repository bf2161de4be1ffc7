"""What stands out, and where to look: clauses in plain words, each from measured figures and with its evidence.

The states (risen, late, busier, tail) and their hysteresis are in ``levels``; here the time is followed from the stage
of a request that it is in to the client, worker, upstream, disk or system call behind it, as far as scripts run that
tell. What no script measures is never guessed: a clause then offers to start the one that would tell.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from bpftop import units
from bpftop.model import Snapshot, Window, recent_losses
from bpftop.stats.case import Case
from bpftop.stats.causes import behind, offered, upstream, where
from bpftop.stats.clause import Clause, Place, clause
from bpftop.stats.failing import failing
from bpftop.stats.levels import FIRE, NEW_LEVEL_SLICES
from bpftop.stats.network import network
from bpftop.stats.scarce import scarce
from bpftop.stats.since import since_start
from bpftop.stats.stages import REQUEST, Excess, excesses
from bpftop.stats.stuck import open_words, stuck
from bpftop.stats.who import heaviest, newcomers, who

__all__ = ["Clause", "Place", "Verdict", "judge"]

SETTLED_S = 15
"""A tail that began within so long of the start is no news."""
TAIL_S = 6
"""Before that it is not known whether the CPUs are scarce, or whether it is more than a tail."""
STILL_WORST = 1.5
"""The stage that was said last stays the worst until another has lost so many times as much."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The clauses, the most important first, and whether anything stands out."""

    clauses: tuple[Clause, ...] = ()
    trouble: bool = False
    inconclusive: bool = False
    """Too much of the last ten seconds was lost: the first clause says what, and the others hold for the rest only."""

    @property
    def named(self) -> frozenset[str]:
        """What the next verdict is to be given, so that it does not waver."""
        return frozenset(each.key for each in self.clauses)


def judge(snapshot: Snapshot, named: Collection[str] = ()) -> Verdict:
    """The verdict on the last ten seconds. ``named``: the keys of the clauses before; what was said needs less to stay.

    Empty when nothing has been observed yet.
    """
    case = Case(snapshot, frozenset(named))
    found = _steady(case, excesses(snapshot.recent))
    fewer = _fewer(case)
    still = stuck(case, bool(found or fewer))
    said = _trouble(case, found, still) if found else [*fewer, *still, *_lack(case, fewer), *_tail(case)]
    said += network(case) + failing(case) + _busier(case) + (fewer if found else [])
    since = since_start(case, found[0] if found else None) if found or not said else []
    lost = _lost(snapshot)
    if lost or said:
        known = {each.key for each in said}
        said += [each for each in since if each.key not in known]
        said = sorted(said, key=lambda each: each.key.startswith("offer "))  # offers come last
        return Verdict((*lost, *said), trouble=True, inconclusive=bool(lost))
    calm = _calm(snapshot)
    return Verdict(tuple(since) or ((calm,) if calm else ()))


def _steady(case: Case, found: list[Excess]) -> list[Excess]:
    """The worst stage first; the one that was said stays first while it is nearly as bad."""
    said = case.said("stage")
    return sorted(found, key=lambda each: -each.excess_ns * (STILL_WORST if each.measure in said else 1.0))


def _lost(snapshot: Snapshot) -> list[Clause]:
    """What is missing, when it is too much for any verdict: that all is well cannot be said then."""
    found = recent_losses(snapshot)
    if not found.problems:
        return []
    said = [("inconclusive", True), (f": {units.percent(found.share)} of the last 10 s is in no figure", False)]
    return [clause("lost", "", said, "; ".join(found.problems), Place("scripts"))]


def _trouble(case: Case, found: Sequence[Excess], still: Sequence[Clause]) -> list[Clause]:
    worst, *others = found
    case = replace(case, as_is=case.recent[worst.measure].risen_s is None)
    causes = behind(case, worst)
    said = [_symptom(case, worst), where(worst, others), *_once(still, causes)]
    if not any(each.key == "cpu " for each in causes):  # the script ``scheduler`` says it better
        said += scarce(case, worst.measure)
    return [*said, *causes, *heaviest(case, [*said, *causes]), *who(case, worst.measure), *offered(case, worst)]


def _once(still: Sequence[Clause], causes: Sequence[Clause]) -> list[Clause]:
    """Without the busy worker of whose turns the script ``eventloop`` tells more."""
    told = {f"held busy {each.key.removeprefix('worker ')}" for each in causes if " is busy" in each.text}
    return [each for each in still if each.key not in told]


def _lack(case: Case, fewer: Sequence[Clause]) -> list[Clause]:
    """No CPU is worth a word where it can be the reason of something."""
    return scarce(case) if fewer else []


def _symptom(case: Case, worst: Excess) -> Clause:
    """How slow the stage is, and what it was."""
    recent = case.recent[worst.measure]
    title = case.title(worst.measure)
    now, before = recent.now, recent.before
    said = [(f"{title} p99 ", False), (units.duration(now.p99_ns), True)]
    evidence = f"{recent.slow:,} of {now.count:,} in the last 10 s over {units.duration(recent.limit_ns)}"
    for state_s in (recent.risen_s, recent.late_s):
        if state_s is not None:
            evidence += f"; for {units.span(state_s)}"
            break
    if recent.risen_s is not None and before.p99_ns and now.p99_ns:
        said += [(", ", False), (f"{_times(now.p99_ns / before.p99_ns)} its level before", True)]
        evidence += f"; level: p99 {units.duration(before.p99_ns)}, n {before.count:,} in calm seconds before"
    return clause("slow", worst.measure, said, evidence, Place("latency", worst.measure))


def _times(ratio: float) -> str:
    return f"{ratio:.1f}×" if ratio < 9.95 else f"{ratio:,.0f}×"


def _tail(case: Case) -> list[Clause]:
    """A few requests have become far slower than most: worth a word when somebody is behind it."""
    recent = case.recent.get(REQUEST)
    if recent is None or recent.tail_s is None:
        return []
    if not TAIL_S <= recent.tail_s < min(case.age_s - SETTLED_S, NEW_LEVEL_SLICES):
        return []
    found = [*upstream(case), *who(case, REQUEST)]
    if not found:
        return []
    slow = units.percent(recent.slow / max(recent.now.count, 1))
    said = [(f"the slowest {slow} take over ", False), (units.duration(recent.limit_ns), True)]
    evidence = f"{recent.slow:,} of {recent.now.count:,} in the last 10 s; p50 {units.duration(recent.now.p50_ns)}"
    return [clause("tail", REQUEST, said, evidence, Place("latency", REQUEST)), *found]


def _busier(case: Case) -> list[Clause]:
    """More requests than before, and whose."""
    recent = case.recent.get(REQUEST)
    if recent is None or recent.busier_s is None:
        return []
    now, before = recent.now.rate_per_s, recent.before.rate_per_s
    said = [(f"{_times(now / before)} as many requests", True), (f": {units.rate(now)}", False)]
    evidence = f"before: {units.rate(before)}; for {units.span(recent.busier_s)}, n {recent.now.count:,} in 10 s"
    return [clause("busier", REQUEST, said, evidence, Place("latency", REQUEST)), *newcomers(case, recent)]


def _fewer(case: Case) -> list[Clause]:
    """Fewer requests are answered than before, or none: nobody asks, or the server does not answer."""
    recent = case.recent.get(REQUEST)
    if recent is None or recent.fewer_s is None:
        return []
    before, quiet_s = recent.before.rate_per_s, case.snapshot.quiet_s
    said = [("fewer requests are answered: ", False), (f"{units.rate(recent.now.rate_per_s)}", True)]
    if not recent.now.count or quiet_s >= FIRE:
        said = [("no request was answered for ", False), (units.span(quiet_s), True)]
    said.append((f", before: {units.rate(before)}", False))
    evidence = (
        f"for {units.span(recent.fewer_s)}; n {recent.now.count:,} in 10 s. Nobody asks, or the server is stuck: "
    )
    evidence += "requests that wait are counted when they are read"
    return [clause("fewer", REQUEST, said, evidence, Place("latency", REQUEST))]


def _length(window: Window) -> str:
    """What the window really covers, in words."""
    full = window.length_s is not None and window.span_s >= 0.95 * window.length_s
    return window.label if full else units.span(window.span_s)


def _calm(snapshot: Snapshot) -> Clause | None:
    """How it is when nothing stands out."""
    found = [each for each in snapshot.measures.values() if each.summary.count]
    shown = next((each for each in found if each.measure.name == REQUEST), found[0] if found else None)
    if shown is None:
        return None
    name, summary = shown.measure.name, shown.summary
    recent = snapshot.recent.get(name)
    known = recent is not None and recent.before.count > 0
    said = [
        ("nothing stands out" if known else "nothing stands out yet", False),
        (f": {shown.measure.title.lower()} p99 ", False),
        (units.duration(summary.p99_ns), True),
        (f" over {_length(snapshot.window)}, n {summary.count:,}", False),
    ]
    evidence = "no level is known yet: it takes 15 s and 100 requests"
    if recent is not None and known:
        evidence = (
            f"last 10 s: p99 {units.duration(recent.now.p99_ns)}, n {recent.now.count:,}; level: "
            f"p99 {units.duration(recent.before.p99_ns)}, n {recent.before.count:,}"
        )
    waits = open_words(snapshot.standstill)
    evidence += f"; {waits}" if waits else ""
    return clause("calm", name, said, evidence, Place("latency", name))
