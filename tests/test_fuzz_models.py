"""Rings, top-K tables and differences of cumulative counts beside plain lists, whatever is done in which order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from bpftop import wire
from bpftop.anyscript.store import Log
from bpftop.model import Keyed
from bpftop.stats import clients as clients_module
from bpftop.stats import totals as totals_module
from bpftop.stats.clients import ClientSeries
from bpftop.stats.events import EventRing
from bpftop.stats.series import WINDOWS_S
from bpftop.stats.store import Store
from bpftop.tracer.assemble import Assembler
from bpftop.tracer.decode import decode_line
from tests.fuzz.examples import examples
from tests.recordings import MEASURES, STREAMS, line

SECOND = 10**9
Slice = dict[tuple[int, int, int], int]


# --- the ring of events -----------------------------------------------------------------------------------------------


class RingMachine(RuleBasedStateMachine):
    """The newest five of everything that fits."""

    def __init__(self) -> None:
        super().__init__()
        self.ring, self.taken = EventRing(2, 5), []  # type: tuple[EventRing, list[tuple[int, int]]]

    @rule(numbers=st.tuples(st.integers(0, 9), st.integers(-(1 << 63), (1 << 63) - 1)))
    def fits(self, numbers: tuple[int, int]) -> None:
        assert self.ring.fits(numbers)
        self.ring.extend([numbers])
        self.taken.append(numbers)

    @rule(many=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99)), max_size=12))
    def many(self, many: list[tuple[int, int]]) -> None:
        before = self.ring.kept()
        held = before.tolist()
        self.ring.extend(many)
        self.taken += many
        assert before.tolist() == held, "what was handed out does not change"

    @rule(numbers=st.sampled_from([(), (1,), (1, 2, 3), (1, 1 << 63), (-(1 << 63) - 1, 1)]))
    def does_not_fit(self, numbers: tuple[int, ...]) -> None:
        assert not self.ring.fits(numbers)

    @rule(since=st.integers(0, 9), until=st.none() | st.integers(0, 9), most=st.integers(1, 6))
    def slowest(self, since: int, until: int | None, most: int) -> None:
        inside = [row for row in self.taken[-5:] if since <= row[0] and (until is None or row[0] <= until)]
        found = self.ring.slowest(since, most, until).rows.tolist()
        assert [row[1] for row in found] == sorted((row[1] for row in inside), reverse=True)[:most]
        assert not Counter(map(tuple, found)) - Counter(inside)

    @rule(moments=st.lists(st.integers(0, 9), max_size=3))
    def at(self, moments: list[int]) -> None:
        found = self.ring.at(np.array(moments, np.int64)).rows.tolist()
        assert Counter(map(tuple, found)) == Counter(row for row in self.taken[-5:] if row[0] in moments)

    @invariant()
    def holds_the_newest(self) -> None:
        assert self.ring.taken == len(self.taken)
        assert Counter(map(tuple, self.ring.kept().tolist())) == Counter(self.taken[-5:])


RingMachine.TestCase.settings = examples(25)
TestRing = RingMachine.TestCase


# --- the ring of the log ----------------------------------------------------------------------------------------------


class LogMachine(RuleBasedStateMachine):
    """The newest seven lines; what is dropped is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.log, self.lines, self.open = Log(7), [], ""  # type: tuple[Log, list[str], str]

    @rule(text=st.text(st.sampled_from("ab\n"), max_size=6))
    def say(self, text: str) -> None:
        *whole, self.open = (self.open + text).split("\n")
        self.lines += whole
        self.log.say(text, 1)

    @rule(more=st.sampled_from(["", "x"]))
    def end_line(self, more: str) -> None:
        if self.open or more:
            self.lines.append(self.open + more)
        self.open = ""
        self.log.end_line(1, more)

    @rule(text=st.sampled_from(["oh", "oh\n"]))
    def complain(self, text: str) -> None:
        self.end_line("")
        self.lines.append(text.rstrip("\n"))
        self.log.complain(text, 1)

    @rule(back=st.integers(0, 12))
    def since(self, back: int) -> None:
        seen = max(len(self.lines) - back, 0)
        found, dropped = self.log.since(seen)
        assert [each.text for each in found] == self.lines[seen:][-7:]
        assert dropped + len(found) == len(self.lines) - seen

    @invariant()
    def holds_the_newest(self) -> None:
        assert (self.log.total, self.log.dropped) == (len(self.lines), max(len(self.lines) - 7, 0))
        newest = [each.text for each in self.log.newest(3)]
        assert newest == [*self.lines[-3:], *([self.open] if self.open else [])]


LogMachine.TestCase.settings = examples(40)
TestLog = LogMachine.TestCase


# --- the top clients --------------------------------------------------------------------------------------------------

FEW = {
    "SLICE_CLIENTS": 4, "MAX_SLICE_ENTRIES": 60, "OLD_SLICE_CLIENTS": 2, "OLD_SLICE_NETWORKS": 2, "WHOLE_SLICES": 3,
    "MAX_KEYS": 16
}  # fmt: skip
LOW = (1 << wire.CLIENT_SHIFT) - 1
SLICES = st.dictionaries(
    st.tuples(st.integers(1, 9), st.integers(1, 2), st.integers(0, 2)), st.integers(1, 50), max_size=14
)


def networks_of(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Three clients each are one network; its code is that of none of them."""
    return ((keys >> np.uint64(wire.CLIENT_SHIFT)) // np.uint64(3) + np.uint64(100) << np.uint64(wire.CLIENT_SHIFT)) | (
        keys & np.uint64(LOW)
    )


class TopMachine(RuleBasedStateMachine):
    """Whatever is folded into others: sums are exact, and nobody is said to have more than is true."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        for name, value in FEW.items():
            self.patch.setattr(totals_module if name == "MAX_KEYS" else clients_module, name, value)
        self.series, self.slices = ClientSeries(networks_of), []  # type: tuple[ClientSeries, list[Counter[int]]]

    def teardown(self) -> None:
        self.patch.undo()

    @rule(slice_=SLICES, overflowed=st.booleans())
    def tick(self, slice_: Slice, overflowed: bool) -> None:
        pairs = [(wire.clients_key(*words), count) for words, count in slice_.items()]
        keys, counts = np.array([k for k, _ in pairs], np.uint64), np.array([n for _, n in pairs], np.int64)
        kept, _, folded = self.series.add(keys, counts, overflowed)
        clients = {key >> wire.CLIENT_SHIFT for key in kept.tolist()} - {wire.OTHERS}
        everyone = {client for client, _, _ in slice_}
        assert len(clients) == min(len(everyone), FEW["SLICE_CLIENTS"])
        assert folded == (overflowed or len(everyone) > FEW["SLICE_CLIENTS"])
        self.slices.append(Counter(dict(pairs)))

    @rule(slice_=SLICES, ticks=st.sampled_from([9, 61, 310]))
    def many_ticks(self, slice_: Slice, ticks: int) -> None:
        for i in range(ticks):
            self.tick(slice_ if i % 5 == 0 else {}, False)

    @rule(skip=st.integers(0, 12))
    def past(self, skip: int) -> None:
        skip = min(skip, len(self.slices))
        for length in (3, None):
            self.compare(length, skip)

    @invariant()
    def windows(self) -> None:
        for length in (*WINDOWS_S, 7, None):
            self.compare(length, 0)

    def compare(self, length: int | None, skip: int) -> None:
        found, until = self.series.window(length, skip), len(self.slices) - skip
        recent = self.slices[max(0, until - length) if length else 0 : until]
        truth: Counter[int] = Counter()
        for each in recent:
            truth.update(each)
        pairs = list(zip(found.keys.tolist(), found.counts.tolist(), strict=True))
        sums: Counter[int] = Counter()
        for key, count in pairs:
            sums[key & LOW] += count
        wanted: Counter[int] = Counter()
        for key, count in truth.items():
            wanted[key & LOW] += count
        assert +sums == +wanted, "the sum of each measure and bucket is exact"
        assert len({low for low, n in sums.items() if n < 0}) == 0
        assert all(count <= truth[key] for key, count in pairs if count > 0 and key >> wire.CLIENT_SHIFT != wire.OTHERS)
        self.compare_networks(found, truth)
        if not found.incomplete:
            assert {key: n for key, n in pairs if n} == dict(truth), "nothing was folded: every client is exact"
        if not skip:
            assert len(pairs) <= FEW["MAX_KEYS"]

    def compare_networks(self, found: Keyed, truth: Counter[int]) -> None:
        """What is known of the others by network, with those kept one by one, is never more than is true."""
        if found.networks is None:
            return
        wanted, sums = (Counter[int]() for _ in range(2))
        for key, count in truth.items():
            wanted[int(networks_of(np.array([key], np.uint64))[0])] += count
        for key, count in zip(found.networks.keys.tolist(), found.networks.counts.tolist(), strict=True):
            sums[key] += count
        for key, count in zip(found.keys.tolist(), found.counts.tolist(), strict=True):
            sums[int(networks_of(np.array([key], np.uint64))[0])] += count
        own = {key: n for key, n in sums.items() if key >> wire.CLIENT_SHIFT not in (wire.OTHERS, 100)}
        assert all(n <= wanted[key] for key, n in own.items())


TopMachine.TestCase.settings = examples(15, 12)
TestTop = TopMachine.TestCase


# --- cumulative counts ------------------------------------------------------------------------------------------------


class KernelMachine(RuleBasedStateMachine):
    """bpftrace as it prints: lines go missing, events come late or never, runs end well or are killed and begin anew.

    After each dump at the end the books are those of the kernel, to the last event.
    """

    @initialize()
    def begin(self) -> None:
        self.store, self.now = Store(MEASURES, STREAMS, 4096), SECOND
        self.settled: Counter[str] = Counter()
        """What all runs before this one were counted with, by measure; events that were sent, and that arrived."""
        self.new_run()

    def new_run(self) -> None:
        self.assembler = Assembler()
        self.store.started(self.now)
        self.counts: Counter[int] = Counter()
        self.printed: Counter[int] = Counter()
        self.sent = self.arrived = 0
        self.late: list[bytes] = []

    def hear(self, text: bytes) -> None:
        for message in decode_line(text):
            if (tick := self.assembler.take(message)) is not None:
                self.store.ingest(tick)

    def prints(self, name: str, values: dict[int, int]) -> None:
        self.hear(line("map", {name: {str(key): n for key, n in values.items()}}))

    @rule(measure=st.integers(1, len(MEASURES)), bucket=st.integers(0, 2000), n=st.integers(1, 9))
    def counted(self, measure: int, bucket: int, n: int) -> None:
        self.counts[wire.counts_key(measure, bucket)] += n

    @rule(fates=st.lists(st.sampled_from(["now", "late", "never"]), min_size=1, max_size=5))
    def events(self, fates: list[str]) -> None:
        """Requests of 1 µs that are sent as events too."""
        for fate in fates:
            self.counts[wire.counts_key(2, 500)] += 1
            self.sent += 1
            self.now += 1000
            text = line("printf", f"E 1 {self.now} 1000 1 16777343 80 9\n")
            if fate == "now":
                self.arrived += 1
                self.hear(text)
            elif fate == "late":
                self.late.append(text)

    @rule()
    def those_that_are_late_come(self) -> None:
        for text in self.late:
            self.arrived += 1
            self.hear(text)
        self.late = []

    @rule(missing=st.sets(st.sampled_from(["T", "t", "counts", "sent"]), max_size=2))
    def tick(self, missing: set[str]) -> None:
        self.now += SECOND
        if "T" not in missing:
            self.hear(line("printf", f"T {self.now}\n"))
        if "counts" not in missing:
            self.prints(wire.COUNTS, dict(self.counts))
        if "sent" not in missing:
            self.prints(wire.SENT, {1: self.sent})
        if "t" not in missing:
            self.hear(line("printf", f"t {self.now}\n"))
            if "counts" not in missing:
                self.printed = Counter(self.counts)

    @rule()
    def ends_and_begins_again(self) -> None:
        self.those_that_are_late_come()
        self.prints(wire.COUNTS, dict(self.counts))
        self.prints(wire.SENT, {1: self.sent})
        self.now += SECOND
        self.store.ingest(self.assembler.finish(self.now))
        self.settled.update(self.counts_by_measure())
        self.settled.update(sent=self.sent, arrived=self.arrived)
        books = self.store.accounting
        assert (books.shown, books.rejected) == (self.settled["arrived"], 0)
        assert books.lost == self.settled["sent"] - self.settled["arrived"]
        counted = self.settled["request_latency"] + self.settled["connection_duration"]
        assert books.produced == max(counted, self.settled["sent"])
        assert self.totals() == {m.name: self.settled[m.name] for m in MEASURES}
        self.new_run()

    @rule()
    def is_killed_and_begins_again(self) -> None:
        self.now += SECOND
        self.store.ingest(self.assembler.finish(self.now))
        books = self.store.accounting
        self.settled = Counter(self.totals())
        self.settled.update(sent=books.shown + books.lost, arrived=books.shown)
        self.new_run()

    def counts_by_measure(self) -> Counter[str]:
        out: Counter[str] = Counter()
        for key, n in self.counts.items():
            out[MEASURES[(key >> wire.MEASURE_SHIFT) - 1].name] += n
        return out

    def totals(self) -> dict[str, int]:
        return {name: each.summary.count for name, each in self.store.measures(None).items()}

    @invariant()
    def the_books_add_up(self) -> None:
        if not hasattr(self, "store"):
            return
        books = self.store.accounting
        assert books.produced == books.shown + books.suppressed + books.lost + books.rejected
        assert min(books.produced, books.shown, books.suppressed, books.lost, books.rejected) >= 0
        every = {m.name: self.settled[m.name] + self.counts_by_measure()[m.name] for m in MEASURES}
        printed = sum(self.printed.values()) + sum(self.settled[m.name] for m in MEASURES)
        found = self.totals()
        assert all(0 <= found[name] <= every[name] for name in every), "never more than was counted"
        assert sum(found.values()) >= printed, "never less than was printed"


KernelMachine.TestCase.settings = examples(30, 40)
TestKernel = KernelMachine.TestCase
