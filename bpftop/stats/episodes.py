"""What stood out so far: when it began, how long it lasted, and what was said of it at its worst."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bpftop.model import Snapshot
from bpftop.stats.clause import Clause
from bpftop.stats.findings import Verdict, judge

KEPT = 100
"""Older ones are forgotten."""
BREAK_NS = 5_000_000_000
"""What begins again within so long is the same episode; a state itself ends after five good seconds only."""
STEADY_NS = 2_000_000_000
"""What was said for less than this is not kept, unless the episode itself was as short."""
LONGEST_STEP_NS = 15_000_000_000
"""A verdict that comes later than this after the one before does not follow it."""
_NO_FINDINGS = ("offer ", "calm ")
_NOBODY = ("slow ", "since ", "stage ", "tail ", "busier ", "fewer ", "lost ", "cpu")
"""What these say is how slow it is and where, not who or what is behind it."""


@dataclass(frozen=True, slots=True)
class Episode:
    """A time in which something stood out, with breaks of at most five seconds. Times are Unix times in ns."""

    began_ns: int
    ended_ns: int
    """When it was last said."""
    worst_ns: int
    """When its p99 was highest; the first moment where no latency stands out."""
    over: bool
    clauses: tuple[Clause, ...]
    """All that was said for two seconds or more, each as it was at its worst, the symptom first."""

    @property
    def text(self) -> str:
        """The clauses as one sentence."""
        return " · ".join(each.text for each in self.clauses)

    @property
    def length_s(self) -> float:
        """How long it has lasted."""
        return (self.ended_ns - self.began_ns) / 1e9


@dataclass(slots=True)
class _Said:
    """One clause of an episode: as it was at its worst, and for how long it was said."""

    clause: Clause
    worst_ns: int
    for_ns: int = 0


@dataclass(slots=True)
class _Open:
    """An episode that may go on."""

    began_ns: int
    ended_ns: int
    peak_ns: int = -1
    peak_at_ns: int = 0
    said: dict[str, _Said] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    """The keys of all that was behind it."""
    others_ns: int = 0
    """For how long nothing but others have been."""

    def closed(self, over: bool) -> Episode:
        """As it is now."""
        longest = max((each.for_ns for each in self.said.values()), default=0)
        kept = [each.clause for each in self.said.values() if each.for_ns >= min(STEADY_NS, longest)]
        if any(each.key.startswith("slow ") for each in kept):
            kept = [each for each in kept if not each.key.startswith("tail ")]  # the same in fewer words
        kept.sort(key=_place)
        return Episode(self.began_ns, self.ended_ns, self.peak_at_ns, over, tuple(kept))


class Episodes:
    """Takes one verdict after the other; constant memory."""

    def __init__(self) -> None:
        self._past: deque[Episode] = deque(maxlen=KEPT)
        self._open: _Open | None = None
        self._last_ns = self._offset_ns = 0
        self._named: frozenset[str] = frozenset()

    def look(self, snapshot: Snapshot) -> Verdict:
        """The verdict on a snapshot that follows the one before, with its memory, taken in."""
        self._by_the_clock_of(snapshot)
        follows = 0 <= snapshot.unix_ns - self._last_ns <= LONGEST_STEP_NS
        verdict = judge(snapshot, self._named if follows else ())
        self.take(snapshot, verdict)
        return verdict

    def take(self, snapshot: Snapshot, verdict: Verdict) -> None:
        """Take in what was said at a moment; one that is not later than the last one is not news."""
        self._by_the_clock_of(snapshot)
        now = snapshot.unix_ns
        if now <= self._last_ns:
            return
        step = min(now - self._last_ns, LONGEST_STEP_NS) if self._last_ns else 0
        self._last_ns, self._named = now, verdict.named
        found = [each for each in verdict.clauses if not each.key.startswith(_NO_FINDINGS)]
        if found:
            self._add(snapshot, found, step)
        elif self._open is not None and now - self._open.ended_ns > BREAK_NS:
            self._past.append(self._open.closed(True))
            self._open = None

    def _by_the_clock_of(self, snapshot: Snapshot) -> None:
        """When the clock of the host was set, what was is told by the new one, as in the rest of the snapshot."""
        by_ns = snapshot.unix_offset_ns - self._offset_ns if self._offset_ns and snapshot.unix_offset_ns else 0
        self._offset_ns = snapshot.unix_offset_ns or self._offset_ns
        if not by_ns or not self._last_ns:
            return
        self._last_ns += by_ns
        moved = (
            replace(
                each, began_ns=each.began_ns + by_ns, ended_ns=each.ended_ns + by_ns, worst_ns=each.worst_ns + by_ns
            )
            for each in self._past
        )
        self._past = deque(moved, maxlen=KEPT)
        if self._open is not None:
            self._open.began_ns += by_ns
            self._open.ended_ns += by_ns
            self._open.peak_at_ns += by_ns

    def _add(self, snapshot: Snapshot, found: Sequence[Clause], step: int) -> None:
        now = snapshot.unix_ns
        if self._open is not None and now - self._open.ended_ns > BREAK_NS + step:
            self._past.append(self._open.closed(True))
            self._open = None
        named = {each.key for each in found if not each.key.startswith(_NOBODY)}
        if self._open is not None and self._open.named and named and not named & self._open.named:
            self._open.others_ns += step
            if self._open.others_ns >= STEADY_NS:
                self._turn(now)
        elif self._open is not None:
            self._open.others_ns = 0
        if self._open is None:
            before = self._past[-1].ended_ns if self._past else 0
            self._open, step = _Open(max(now - _age_ns(snapshot), before), now, peak_at_ns=now), 0
        episode, worst = self._open, _worst_ns(snapshot)
        episode.ended_ns = now
        episode.named |= named if not episode.others_ns else set()
        if worst > episode.peak_ns:
            episode.peak_ns, episode.peak_at_ns = worst, now
        for each in found:
            known = episode.said.setdefault(each.key, _Said(each, worst))
            known.for_ns += step
            if worst >= known.worst_ns:
                known.clause, known.worst_ns = each, worst

    def _turn(self, now: int) -> None:
        """Something else is behind it now: the episode ends where that began, and another one begins."""
        assert self._open is not None
        began = now - self._open.others_ns
        ended = self._open.closed(True)
        self._past.append(replace(ended, ended_ns=max(min(began, ended.ended_ns), ended.began_ns)))
        self._open = _Open(began, now, peak_at_ns=now)

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Newest first; the first one may still go on."""
        if self._open is None:
            return tuple(reversed(self._past))
        over = self._last_ns - self._open.ended_ns > BREAK_NS
        return (self._open.closed(over), *reversed(self._past))


def _place(found: Clause) -> int:
    """The symptom first, then the stage, then who and what is behind it, as it was said."""
    kind = found.key.partition(" ")[0] + " "
    return _NOBODY.index(kind) if kind in _NOBODY[:-1] else len(_NOBODY)


def _age_ns(snapshot: Snapshot) -> int:
    """For how long the oldest state has lasted: it is said only when it has lasted for seconds."""
    ages = [
        age
        for each in snapshot.recent.values()
        for age in (each.risen_s, each.late_s, each.busier_s, each.fewer_s, each.tail_s)
        if age is not None
    ]
    return int(max(ages, default=0.0) * 1e9)


def _worst_ns(snapshot: Snapshot) -> int:
    """The highest p99 of what stands out."""
    states = [each for each in snapshot.recent.values() if {each.risen_s, each.late_s, each.tail_s} != {None}]
    return max((each.now.p99_ns or 0 for each in states), default=0)
