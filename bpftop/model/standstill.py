"""What the kernel says of the target besides counts: processes that stand still, and who waits for an answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bpftop.model.chance import ALPHA, evidence

LEAST_RESENT = 8
"""Segments sent again in ten seconds, at least."""
LOSSY, LOSSY_TIMES, ALWAYS_LOSSY = 0.01, 3.0, 0.05
"""Of what is sent, and so many times the usual share; the last one where it is not known what is
usual, or where that is so much."""
FEW_LOST = 0.002
"""Where less than this is usual, this counts as usual."""


@dataclass(frozen=True, slots=True)
class Held:
    """A process that does not go on."""

    pid: int
    comm: str
    state: str
    """``stopped`` (by a signal or a debugger), ``was stopped`` (in the last ten seconds), ``in the kernel``
    (uninterruptible) or ``busy`` (a whole CPU)."""
    for_s: float
    """As long as it was seen so."""
    inside: str = ""
    """The function of the kernel in which it waits, when that is known."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Connections on which the last word is unanswered for over 5 s, by client, by upstream or by worker."""

    name: str
    """An address, ``address:port`` or a process id."""
    count: int
    oldest_s: float
    connections: int = 0
    """All of that client, those that do not wait included."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The accept queue of a listening port."""

    port: int
    length: int
    limit: int

    @property
    def full(self) -> bool:
        """The kernel takes one more than the limit (sk_acceptq_is_full in include/net/sock.h)."""
        return self.length > self.limit


@dataclass(frozen=True, slots=True)
class CpuWait:
    """How long some processes had no CPU in the last seconds."""

    wait_s: float = 0.0
    """Their threads could run and had no CPU, all together."""
    longest_s: float = 0.0
    """The same of the one thread that waited longest."""
    throttled_s: float = 0.0
    """The CPU limit of a control group held them back."""
    group: str = ""
    """The control group that this limit is of: its path."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An upstream on this very machine."""

    name: str
    """``address:port``."""
    cpu: CpuWait


@dataclass(frozen=True, slots=True)
class Scarce:
    """Who had no CPU in the last ``span_s``; everything is 0 or empty when nobody waited for long."""

    cpu: CpuWait = field(default_factory=CpuWait)
    """The target."""
    pressure_s: float | None = None
    """Something on this machine waited for a CPU (pressure stall information); None where the kernel does not say."""
    neighbours: tuple[Neighbour, ...] = ()
    """Upstreams on this machine that waited, the longest first."""
    span_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Resender:
    """A client to whom something was sent again."""

    name: str
    segments: int
    """Sent again."""
    sent: int
    """All segments with data to it, those sent again included."""

    def cut_off(self, enough: float = 1.0) -> bool:
        """Whether so much is sent again to it as no network should lose; ``enough``: as below."""
        return self.segments >= max(2 * LEAST_RESENT, ALWAYS_LOSSY * self.sent) * enough


@dataclass(frozen=True, slots=True)
class Resent:
    """What was sent to clients again in the last ``span_s``; empty when nothing was."""

    segments: int = 0
    sent: int = 0
    """All segments with data, those sent again included."""
    usual: float | None = None
    """The share sent again in calm seconds before; None while that is not known."""
    clients: tuple[Resender, ...] = ()
    """Those with the most segments sent again, a few."""
    span_s: float = 0.0

    def unusual(self, enough: float = 1.0) -> bool:
        """Whether it is far more than usual, and no chance; ``enough``: so much of that is (what was said, stays)."""
        if self.segments < LEAST_RESENT * enough or not self.sent:
            return False
        share = min(self.segments / self.sent, 1.0)
        if self.usual is None:
            return share >= ALWAYS_LOSSY * enough and self.segments >= 2 * LEAST_RESENT * enough
        if self.usual >= ALWAYS_LOSSY:
            return share >= ALWAYS_LOSSY * enough
        usual = max(self.usual, FEW_LOST)
        proof = evidence(self.sent, share, usual)
        return share >= max(LOSSY, LOSSY_TIMES * usual) * enough and proof >= -math.log(ALPHA) * enough


@dataclass(frozen=True, slots=True)
class Standstill:
    """One look at processes and sockets; everything is empty while all is well."""

    held: tuple[Held, ...] = ()
    open: int = 0
    """Connections of clients that have waited for an answer for over 5 s, as the kernel's clocks of each say."""
    unread: int = 0
    """Of these: the server has not read what came."""
    oldest_s: float = 0.0
    given_up: int = 0
    """Connections whose clients have closed them, with data that the server has not read."""
    connections: int = 0
    """All connections of clients while some wait; else 0."""
    clients: tuple[Waiting, ...] = ()
    """Those with the most that wait, a few."""
    workers: tuple[Waiting, ...] = ()
    """The processes that hold these connections, a few."""
    upstreams: tuple[Waiting, ...] = ()
    """Of the target's own connections to others."""
    usual: int | None = None
    """``open`` in the minute before (the median of looks); None while that is not known."""
    usual_unread: int = 0
    backlogs: tuple[Backlog, ...] = ()
    """Accept queues that are full."""
    scarce: Scarce = field(default_factory=Scarce)
    resent: Resent = field(default_factory=Resent)
