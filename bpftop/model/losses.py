"""How much of what happened is in no figure, and from when on that makes every verdict inconclusive.

Loss hits the busy moments, so what is left looks better than it was: from 0.1 % on the tail proves nothing. This is the
only place that knows the limit; whoever judges asks here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bpftop.model.snapshot import Accounting, Snapshot

LOST_SHARE = 0.001
"""More than this share missing makes a verdict inconclusive."""
INCONCLUSIVE = "more than 0.1 %"


def too_much(missing: float, whole: float) -> bool:
    """Whether ``missing`` of ``whole`` (which includes it) make a verdict inconclusive."""
    return missing > LOST_SHARE * whole


@dataclass(frozen=True, slots=True)
class Losses:
    """What is missing over one span of time, beside what it is a part of. Counts; ``hits`` may be an estimate."""

    lost: float = 0
    """Single events that were sent and never arrived, or arrived and could not be read."""
    produced: float = 0
    untracked: float = 0
    """Connections that found the kernel's table full."""
    observed: float = 0
    """Requests and connections that are in the figures."""
    missed: float = 0
    """Hits for which the kernel ran no probe."""
    hits: float = 0
    """Hits for which it ran one."""
    restarts: int = 0
    """How often bpftrace ended by itself and was started again."""

    @property
    def _parts(self) -> tuple[tuple[float, float, str], ...]:
        """What is missing, of how much, and how it is said."""
        hits = max(self.hits, self.produced) + self.missed
        return (
            (self.lost, self.produced, "{} of {} events were lost"),
            (self.untracked, max(self.observed, self.produced),
             "{} connections found the kernel's table full, beside {} requests"),
            (self.missed, hits, "{} of {} hits of the probes were missed by the kernel"),
        )  # fmt: skip

    @property
    def notes(self) -> tuple[str, ...]:
        """What is missing and too little to matter, a sentence each."""
        return tuple(_said(*part) for part in self._parts if part[0] and not too_much(*part[:2]))

    @property
    def problems(self) -> tuple[str, ...]:
        """What makes every verdict inconclusive, a sentence each."""
        times = "once" if self.restarts == 1 else f"{self.restarts} times"
        cut = f"bpftrace ended by itself {times}, and until the next one ran nothing was counted"
        found = tuple(f"{_said(*part)}: {INCONCLUSIVE}" for part in self._parts if too_much(*part[:2]))
        return (*found, cut) if self.restarts else found

    @property
    def share(self) -> float:
        """The largest of the missing shares, 0 to 1."""
        return max(min(part / whole, 1.0) if whole else float(part > 0) for part, whole, _ in self._parts)


def _said(missing: float, whole: float, text: str) -> str:
    return text.format(f"{missing:,.0f}", f"{whole:,.0f}")


def losses(snapshot: Snapshot) -> Losses:
    """What is missing in the figures of a snapshot, since the start: the accounts have no window."""
    span_s = max((snapshot.unix_ns - snapshot.started_unix_ns) / 1e9, snapshot.window.span_s)
    observed = sum(each.summary.count for each in snapshot.measures.values())
    found = _of(snapshot, snapshot.accounting, snapshot.overhead.missed, span_s, observed)
    return replace(found, restarts=snapshot.tracer.restarts)


def recent_losses(snapshot: Snapshot) -> Losses:
    """What is missing of the last ten seconds, which a verdict on them rests on."""
    observed = sum(each.now.count for each in snapshot.recent.values())
    span_s = min(10.0, max(snapshot.window.span_s, 1.0))
    return _of(snapshot, snapshot.recent_accounting, snapshot.recent_missed, span_s, observed)


def _of(snapshot: Snapshot, account: Accounting, missed: int, span_s: float, observed: int) -> Losses:
    hits = (snapshot.overhead.hits_per_s or 0.0) * span_s
    return Losses(
        account.lost + account.rejected, account.produced, account.untracked, observed, missed, hits
    )  # fmt: skip
