"""How much of what happened is in no figure, and from when on that makes every verdict inconclusive.

Loss hits the busy moments, so what is left looks better than it was: from 0.1 % on the tail proves nothing. This is the
only place that knows the limit; whoever judges asks here.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    unseen_s: float = 0
    """Time that no counts are of: between two runs of bpftrace, or what a slow reader left unread at its end."""
    span_s: float = 0
    """Of how much time that is."""

    @property
    def _parts(self) -> tuple[tuple[float, float, str], ...]:
        """What is missing, of how much, and how it is said."""
        hits = max(self.hits, self.produced) + self.missed
        return (
            (self.lost, self.produced, "{:,.0f} of {:,.0f} events were lost"),
            (self.untracked, max(self.observed, self.produced),
             "{:,.0f} connections found the kernel's table full, beside {:,.0f} requests"),
            (self.missed, hits, "{:,.0f} of {:,.0f} hits of the probes were missed by the kernel"),
            (self.unseen_s, max(self.span_s, self.unseen_s),
             "no counts came from bpftrace for {:,.1f} of {:,.1f} s"),
        )  # fmt: skip

    @property
    def notes(self) -> tuple[str, ...]:
        """What is missing and too little to matter, a sentence each."""
        return tuple(
            said.format(part, whole) for part, whole, said in self._parts if part and not too_much(part, whole)
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What makes every verdict inconclusive, a sentence each."""
        return tuple(
            f"{said.format(part, whole)}: {INCONCLUSIVE}" for part, whole, said in self._parts if too_much(part, whole)
        )

    @property
    def share(self) -> float:
        """The largest of the missing shares, 0 to 1."""
        return max(min(part / whole, 1.0) if whole else float(part > 0) for part, whole, _ in self._parts)


def losses(snapshot: Snapshot) -> Losses:
    """What is missing in the figures of a snapshot, since the start: the accounts have no window."""
    observed = sum(each.summary.count for each in snapshot.measures.values())
    return _of(snapshot, snapshot.accounting, snapshot.overhead.missed, run_s(snapshot), observed)


def run_s(snapshot: Snapshot) -> float:
    """The seconds since the start, which the accounts are of, whatever the window."""
    return max((snapshot.unix_ns - snapshot.started_unix_ns) / 1e9, snapshot.window.span_s)


def recent_losses(snapshot: Snapshot) -> Losses:
    """What is missing of the last ten seconds, which a verdict on them rests on."""
    observed = sum(each.now.count for each in snapshot.recent.values())
    span_s = min(10.0, max(snapshot.window.span_s, 1.0))
    return _of(snapshot, snapshot.recent_accounting, snapshot.recent_missed, span_s, observed)


def _of(snapshot: Snapshot, account: Accounting, missed: int, span_s: float, observed: int) -> Losses:
    hits = (snapshot.overhead.hits_per_s or 0.0) * span_s
    return Losses(
        account.lost + account.rejected, account.produced, account.untracked, observed, missed, hits,
        account.unseen_ns / 1e9, span_s,
    )  # fmt: skip
