"""The accounts of the events lane."""

from __future__ import annotations

from dataclasses import replace

from bpftop.model import Accounting, Counts
from bpftop.stats.tick import TickData

READ_LATE_NS = 50_000_000
"""bpftrace usually reads the maps of a tick up to so much after its time."""


class Ledger:
    """The accounts of the events lane: produced = shown + suppressed + lost + rejected.

    When all that was sent by a tick is here, or known to be lost, the tick is settled at once. Otherwise its ``@sent``
    counts events that are on their way, and it is settled one tick late: an event that was sent before the previous
    tick and has not arrived by now may be lost. bpftrace reads the map when it gets to it, on a busy host late, so that
    the map counts events that are younger than its tick, and 0.17 has a buffer for each CPU, so that with a
    slow reader two ticks can come before events that are older than both. Until the dump at the end settles all, a loss
    is therefore one that bpftrace told of, or one that the young ones cannot explain in a tick that came in time and
    brought no event.
    """

    def __init__(self, measure_of_stream: list[int]) -> None:
        self._measure_of_stream = measure_of_stream
        self.accounting = Accounting()
        self.restarted()

    def restarted(self) -> None:
        """Close the books of a run."""
        self._before = self.accounting
        self._arrived = self._rejected = self._told = 0
        self._young: list[int] = []
        self._previous = (0, 0, 0)
        self._untracked = 0

    def gap(self, unseen_ns: int) -> None:
        """Nothing was seen for so long."""
        self.accounting = replace(self.accounting, unseen_ns=self.accounting.unseen_ns + max(unseen_ns, 0))

    def settle(self, tick: TickData, arrived: list[int], totals: Counts) -> None:
        """Take a tick and the boot times of its readable events; ``totals`` (measures,): counts since the start."""
        self._arrived += len(arrived)
        self._rejected += tick.rejected + len(tick.records) - len(arrived)
        self._told += tick.lost
        self._untracked = max(self._untracked, tick.untracked)
        previous_ns, produced, sent = self._previous
        now_produced = int(sum(totals[m] for m in self._measure_of_stream))
        now_sent = sum(tick.sent.values()) if tick.sent else sent
        self._previous = (tick.boot_ns, now_produced, now_sent)
        known = self._arrived + self._rejected + self.accounting.lost - self._before.lost
        if tick.final or now_sent == known:
            produced, sent = now_produced, now_sent
            self._young = []
        elif not previous_ns:
            self._young = arrived
            return
        else:
            self._young = [at_ns for at_ns in (*self._young, *arrived) if at_ns > previous_ns + READ_LATE_NS]
        before = self._before
        shown = before.shown + self._arrived - len(self._young)
        open_ = max(0, sent - (shown - before.shown) - self._rejected)  # sent, and neither old and here nor unreadable
        untold = 0 if arrived or tick.late else open_ - len(self._young)
        lost_now = open_ if tick.final else min(open_, max(self._told, untold))
        lost = before.lost + lost_now if tick.final else max(self.accounting.lost, before.lost + lost_now)
        here = max(0, open_ - (lost - before.lost))
        young = min(len(self._young), here)
        coming = here - young  # in no part yet
        shown += young
        rejected = before.rejected + self._rejected
        suppressed = max(0, produced - coming - shown - lost - rejected)
        self.accounting = Accounting(
            produced=shown + suppressed + lost + rejected,
            shown=shown,
            suppressed=suppressed,
            lost=lost,
            rejected=rejected,
            untracked=before.untracked + self._untracked,
            unseen_ns=self.accounting.unseen_ns,
        )
