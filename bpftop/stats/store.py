"""All figures of one session in constant memory: what the kernel reported, ready for any window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from bpftop import wire
from bpftop.model import (
    Accounting,
    ClientRow,
    CounterSnapshot,
    Counts,
    EventStream,
    History,
    Measure,
    MeasureSnapshot,
    Recent,
    SlowRequest,
)
from bpftop.stats import buckets
from bpftop.stats.clients import ClientSeries, bare, client_rows, slow_bucket_of, slow_count
from bpftop.stats.distinct import distinct, merge
from bpftop.stats.exclude import Excluded
from bpftop.stats.groups import NetworkKeys
from bpftop.stats.keys import KeyNames
from bpftop.stats.lane import EventsLane
from bpftop.stats.ledger import Ledger
from bpftop.stats.levels import NOW_S, Levels
from bpftop.stats.made import Made
from bpftop.stats.quantiles import histogram, summarize
from bpftop.stats.recent import recent
from bpftop.stats.series import GlobalSeries, Piece
from bpftop.stats.tick import Keys, Named, Slice, TickData

SLOW_SHOWN = 300
RECENT_SLOW = 100


class Store:
    """The mutable heart: one ``ingest`` a tick, figures out at any time. Not thread-safe: the session locks."""

    def __init__(
        self,
        measures: tuple[Measure, ...],
        streams: tuple[EventStream, ...],
        map_keys: int,
        comm_of: Callable[[int], str] = lambda _: "",
        names: KeyNames | None = None,
    ) -> None:
        self._measures = measures
        self._map_keys = map_keys
        self._series = GlobalSeries(len(measures))
        self._levels = Levels([measure.name for measure in measures])
        self._names = names or KeyNames(comm_of)
        self._by_route = frozenset(i for i, measure in enumerate(measures, 1) if measure.key == "route")
        self._by_client = frozenset(i for i, measure in enumerate(measures, 1) if measure.key == "client")
        self._clients = self._no_clients()
        self.excluded = Excluded()
        """Clients that are in no table and no list; in totals they stay."""
        self._named_late = {
            sort: np.array([i for i, m in enumerate(measures, 1) if m.key in keys], np.uint64)
            for sort, keys in (("processes", ("pid", "tid")), ("devices", ("device",)))
        }
        self.events = EventsLane(streams, {measure.name: measure for measure in measures}, self._names)
        self._ledger = Ledger([self._position(stream.measure) for stream in streams])
        self._forgotten = np.zeros(len(measures), np.int64)
        """What every measure counted before a reset."""
        self._first_ns = self._last_ns = 0
        self.last_seen_ns = 0
        """Boot time of the last tick in which anything was observed."""
        self.settled_ns = 0
        """Boot time up to which everything is in the figures."""
        self.ticks = 0

    def reset(self) -> None:
        """Forget all figures and single events; the accounts of the events lane stay, so no loss is hidden.

        The figures begin again at the last tick: the next one brings all that was counted since then.
        """
        self._forgotten += self._series.sums
        self._series.forget()
        self._clients = self._no_clients()
        self._levels = Levels([measure.name for measure in self._measures])
        self.events.forget()
        self._first_ns = self._last_ns

    def _no_clients(self) -> ClientSeries:
        return ClientSeries(NetworkKeys(self._names, self._by_client))

    @property
    def first_ns(self) -> int:
        """Boot time from which on there are figures."""
        return self._first_ns

    @property
    def last_ns(self) -> int:
        """Boot time up to which the figures go."""
        return self._last_ns

    def _position(self, measure: str) -> int:
        return next(i for i, m in enumerate(self._measures) if m.name == measure)

    def started(self, boot_ns: int) -> None:
        """A run of bpftrace begins: its counters are at 0, its first slice starts now."""
        self._series.source_restarted()
        if self.ticks:
            self._ledger.gap(boot_ns - self._last_ns)
        self._ledger.restarted()
        self._last_ns = boot_ns
        self._first_ns = self._first_ns or boot_ns

    def ingest(self, tick: TickData) -> Slice:
        """Take one tick; what it added."""
        if tick.unseen_ns or (tick.final and not len(tick.counts_keys) and self._series.begun):
            tick = replace(tick, boot_ns=self._last_ns)  # its last counts did not come: the figures end before
        self._ledger.gap(tick.unseen_ns)
        self.ticks += not tick.final
        span_ns = max(0, tick.boot_ns - self._last_ns) if self._last_ns else 10**9
        self._first_ns = self._first_ns or tick.boot_ns
        self._last_ns = max(self._last_ns, tick.boot_ns)
        places, counts = self._series.add(tick.boot_ns, span_ns / 1e9, self._cumulative(tick))
        if len(places):
            self.last_seen_ns = tick.boot_ns
        if len(tick.counts_keys) or not self._series.begun:
            # Once a run has counted anything, every tick brings its counts: without them the print was lost.
            self.settled_ns = tick.boot_ns
        self._levels.take(tick.boot_ns, span_ns / 1e9, self._series.newest, self._series.window(NOW_S)[0])
        names = self._learn(tick)
        self.excluded.learn(tick.addresses)
        keys = self._names.routes.grouped(tick.client_keys, self._by_route)
        keys = self.excluded.folded(keys, self._by_client)
        kept = self._clients.add(keys, tick.client_counts, len(tick.client_keys) >= self._map_keys * 0.97)
        arrived = self.events.declared(tick.records)
        records = self.events.take(arrived, self.excluded)
        names = replace(
            names,
            lines=self.events.lines(records),
            processes=self._resolved("processes", kept[0]),
            devices=self._resolved("devices", kept[0]),
        )
        totals = self._series.sums + self._forgotten
        self._ledger.settle(tick, [numbers[0] for _, numbers in arrived], totals)
        return Slice(
            tick.boot_ns, span_ns, places, counts, *kept, records, self.accounting, names, tick.final
        )  # fmt: skip

    def take(self, part: Slice) -> None:
        """Take what another store has kept of a tick."""
        self.ticks += not part.final
        self._first_ns = self._first_ns or part.boot_ns - part.span_ns
        self._last_ns = max(self._last_ns, part.boot_ns)
        self._series.add_new(part.boot_ns, part.span_ns / 1e9, (part.places, part.counts))
        self._levels.take(part.boot_ns, part.span_ns / 1e9, self._series.newest, self._series.window(NOW_S)[0])
        if len(part.places):
            self.last_seen_ns = part.boot_ns
        self.settled_ns = part.boot_ns
        self._names.adopt(part.names)
        self.excluded.learn(part.names.addresses)
        keys = self.excluded.folded(part.client_keys, self._by_client)
        self._clients.add(keys, part.client_counts, part.overflowed)
        self.events.take(self.events.declared(part.records), self.excluded)
        self._ledger.accounting = part.accounting

    def take_earlier(self, part: Slice, first_ns: int, last_seen_ns: int, ticks: int) -> None:
        """Take the sum of all that was before, on an empty store: it is in no window but the one of everything.

        ``part``: the sum; it ends where the last of its ticks ended, its events are the last ones.
        """
        self._first_ns, self._last_ns = first_ns, part.boot_ns
        self.last_seen_ns, self.settled_ns, self.ticks = last_seen_ns, part.boot_ns, ticks
        self._series.add_earlier(part.places, part.counts)
        self._clients.add_earlier(part.client_keys, part.client_counts, part.overflowed)
        self._names.adopt(part.names)
        self.events.take(self.events.declared(part.records), self.excluded)
        self._ledger.accounting = part.accounting

    def names(self) -> Named:
        """Everything that is known by name."""
        return self._names.all()

    def _learn(self, tick: TickData) -> Named:
        """Learn the names of a tick; those that are new."""
        routes = self._names.routes
        if routes.full():
            routes.forget(self._clients.used())
            self._names.learned += 1
        return self._names.learn(tick.addresses, tick.names)

    def _resolved(self, sort: str, keys: Keys) -> dict[int, str]:
        """The names of processes or devices that are new among these keys, asked for while they are there."""
        measures = self._named_late[sort]
        if not len(measures):
            return {}
        mine = np.isin((keys >> np.uint64(wire.CLIENT_MEASURE_SHIFT)) & np.uint64(wire.CLIENT_MEASURE_MASK), measures)
        codes = distinct(keys[mine] >> np.uint64(wire.CLIENT_SHIFT))[0].tolist()
        return self._names.resolve(sort, [code for code in codes if code != wire.OTHERS])

    def _cumulative(self, tick: TickData) -> Piece | None:
        if not len(tick.counts_keys):
            return None
        keys, counts = tick.counts_keys.view(np.int64), tick.counts
        measure, bucket = (keys >> wire.MEASURE_SHIFT) - 1, keys & 0xFFFF
        known = (measure >= 0) & (measure < len(self._measures))
        if not known.all():
            measure, bucket, counts = measure[known], bucket[known], counts[known]
        return merge(measure * buckets.BUCKETS + np.minimum(bucket, buckets.BUCKETS - 1), counts)

    @property
    def accounting(self) -> Accounting:
        """As of the last settled tick."""
        return self._ledger.accounting

    def span_s(self, length_s: float | None, until_ns: int | None = None) -> float:
        """The seconds that a window really covers."""
        if length_s is None:
            return max(0, self._end_ns(until_ns) - self._first_ns) / 1e9
        return self._series.window(length_s, self._series.later(until_ns))[1]

    def _end_ns(self, until_ns: int | None) -> int:
        """When the newest slice ended, of those that ended until a moment."""
        if not (skip := self._series.later(until_ns)):
            return self._last_ns
        before, _, _ = self._series.slices(skip)
        return int(before[-1]) if len(before) else self._first_ns

    def measures(self, length_s: float | None, until_ns: int | None = None) -> dict[str, MeasureSnapshot]:
        """All latencies over a window of ``length_s`` seconds (None: everything), by name.

        ``until_ns``: the window ends with the last slice until this moment (boot time), not with the newest.
        """
        span, out = self._divisor(length_s, until_ns), {}
        skip, end_ns = self._series.later(until_ns), self._end_ns(until_ns)
        for position, measure, mine, rows in self._each(length_s, "ns", until_ns):
            trend, summary = self._series.trend(position, end_ns, skip), summarize(mine, span)
            slow = slow_count(mine, slow_bucket_of(summary))
            out[measure.name] = MeasureSnapshot(measure, summary, histogram(mine), rows, trend, slow)
        return out

    def recent(self, until_ns: int | None = None) -> dict[str, Recent]:
        """All latencies over the last ten seconds beside their levels, by name."""
        levels, skip = self._levels.at(until_ns), self._series.later(until_ns)
        return recent(self._measures, self._series, self._clients, levels, self._names, skip)

    def counters(self, length_s: float | None, until_ns: int | None = None) -> dict[str, CounterSnapshot]:
        """All counters over a window, as ``measures``."""
        span, out = self._divisor(length_s, until_ns), {}
        for _, measure, mine, rows in self._each(length_s, "count", until_ns):
            out[measure.name] = CounterSnapshot(measure, int(mine.sum()), mine.sum() / span, Made(partial(_bare, rows)))
        return out

    def _divisor(self, length_s: float | None, until_ns: int | None) -> float:
        return max(self.span_s(length_s, until_ns), 1e-9)

    def _each(
        self, length_s: float | None, unit: str, until_ns: int | None
    ) -> Iterator[tuple[int, Measure, Counts, Made[ClientRow]]]:
        """Position, measure, counts (buckets,) and rows by key of every measure of this unit."""
        skip = self._series.later(until_ns)
        counts, _ = self._series.window(length_s, skip)
        keyed = self._clients.window(length_s, skip)
        span = self._divisor(length_s, until_ns)
        for position, measure in enumerate(self._measures):
            if measure.unit == unit:
                mine, name = counts[position], partial(self._names.name, measure)
                make = partial(client_rows, keyed, position + 1, span, mine.copy(), name)
                yield position, measure, mine, Made(make)

    def history(self, length_s: float | None, unix_offset_ns: int, until_ns: int | None = None) -> History:
        """Every kept second until a moment (boot time), the keys of a window that ends then, and the kept events.

        ``unix_offset_ns``: unix - boot time.
        """
        skip = self._series.later(until_ns)
        ends, spans, pieces = self._series.slices(skip)
        return History(
            measures=tuple(m.name for m in self._measures),
            unix_ns=Made(lambda: tuple((ends + unix_offset_ns).tolist())),
            pieces=pieces,
            spans_s=spans,
            keyed=self._clients.window(length_s, skip),
            keyed_pieces=self._clients.slices(skip),
            streams=self.events.streams,
            events=self.events.kept(until_ns),
            unix_offset_ns=unix_offset_ns,
            names=self._names,
        )

    def slow(
        self, length_s: float | None, unix_offset_ns: int, until_ns: int | None = None, most: int = SLOW_SHOWN
    ) -> Sequence[SlowRequest]:
        """The slowest events of each stream inside a window, slowest first. ``unix_offset_ns``: unix - boot time."""
        end_ns = self._end_ns(until_ns)
        since = 0 if length_s is None else end_ns - int(self.span_s(length_s, until_ns) * 1e9)
        until = None if end_ns == self._last_ns else end_ns
        return self.events.slow(since, until, most, unix_offset_ns)


def _bare(rows: Sequence[ClientRow]) -> tuple[ClientRow, ...]:
    return tuple(map(bare, rows))
