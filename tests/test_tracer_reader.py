"""From messages to ticks, from pipes to messages, and the whole way: the figures are the truth."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from bpftop import wire
from bpftop.demo.story import Story
from bpftop.model import EventStream, MapPrint, Measure, Message, Program, Record, Rejected, Text, Tick, TickEnd
from bpftop.stats import buckets
from bpftop.stats.store import Store
from bpftop.stats.tick import TickData
from bpftop.tracer.assemble import MAX_COUNT, Assembler
from bpftop.tracer.reader import Rest, pump
from bpftop.tracer.simulate import SimulatedSource
from bpftop.tracer.source import Source
from tests.recordings import MEASURES, RUN, STREAMS, TRUTH, capture, line, program

# --- ticks ---


def ticks(*messages: Message) -> list[TickData]:
    assembler = Assembler()
    return [tick for message in messages if (tick := assembler.take(message)) is not None]


def counted(key: int, count: int) -> MapPrint:
    return MapPrint(wire.COUNTS, {str(key): count})


def test_a_tick_is_what_came_between_its_two_lines_and_events_of_any_time() -> None:
    [first, second] = ticks(
        Record(1, (5, 6)), Tick(10), counted(7, 3), MapPrint(wire.SENT, {"1": 4}), Rejected("x"), TickEnd(10),
        Record(1, (15, 6)), Record(2, (16,)), Tick(20), TickEnd(20),
    )  # fmt: skip
    assert (first.boot_ns, first.counts_keys.tolist(), first.counts.tolist()) == (10, [7], [3])
    assert (first.sent, first.records, first.rejected) == ({1: 4}, ((1, (5, 6)),), 1)
    assert second.records == ((1, (15, 6)), (2, (16,)))
    assert (second.counts_keys.tolist(), second.sent, second.rejected) == ([], {}, 0)
    assert (second.target_pids, second.target_ports) == (None, None)


def test_a_tick_whose_end_was_lost_is_complete_when_the_next_begins() -> None:
    found = ticks(
        Tick(10), counted(7, 3), MapPrint(wire.CLIENTS[0], {"9": 1}), Tick(20), counted(7, 5),
        MapPrint(wire.CLIENTS[1], {"9": 2}), TickEnd(20),
    )  # fmt: skip
    assert [(t.boot_ns, t.counts.tolist(), t.client_counts.tolist()) for t in found] == [(10, [3], [1]), (20, [5], [2])]


def test_a_tick_whose_beginning_was_lost_counts_when_it_ends() -> None:
    found = ticks(Tick(10), TickEnd(10), counted(7, 3), MapPrint(wire.CLIENTS[0], {"9": 1}), TickEnd(20))
    assert [(t.boot_ns, t.counts.tolist(), t.client_counts.tolist()) for t in found] == [(10, [], []), (20, [3], [1])]


def test_counts_that_no_kernel_reaches_are_left_out_and_the_sum_of_the_others_fits() -> None:
    most = {str(key): MAX_COUNT for key in range(65_536)}
    [tick] = ticks(
        Tick(10), MapPrint(wire.COUNTS, {**most, "65536": MAX_COUNT + 1, "65537": (1 << 63) - 1}), TickEnd(10)
    )
    assert tick.counts_keys.tolist() == list(range(65_536))
    assert tick.counts.sum() == 65_536 * MAX_COUNT


def test_an_end_with_nothing_before_it_is_no_tick() -> None:
    assert ticks(TickEnd(10), TickEnd(20)) == []


def test_the_dump_at_the_end_has_both_halves_and_the_last_events() -> None:
    assembler = Assembler()
    for message in (
        MapPrint(wire.CLIENTS[0], {"9": 1}), MapPrint(wire.CLIENTS[1], {"9": 2, "-1": 3}), counted(7, 3),
        MapPrint(wire.UNTRACKED, {"": "12"}), Record(1, (1,)),
    ):  # fmt: skip
        assert assembler.take(message) is None
    last = assembler.finish(99)
    assert last.final
    assert last.boot_ns == 99
    assert sorted(zip(last.client_keys.tolist(), last.client_counts.tolist(), strict=True)) == [
        (9, 1), (9, 2), ((1 << 64) - 1, 3),
    ]  # fmt: skip
    assert (last.untracked, last.records) == (12, ((1, (1,)),))
    assert assembler.finish(100).records == ()


def test_the_target_and_addresses_of_a_tick() -> None:
    [tick] = ticks(
        Tick(10),
        MapPrint(wire.TARGET_PIDS, {"12": 1, "4294967296": 1, "0": 1, "11": 1}),
        MapPrint(wire.TARGET_PORTS, {"4294967296": 1}),
        MapPrint(wire.ADDRESSES[0], {"5": [1, -2], "6": [1], "x": [1, 2], "7": ["18446744073709551615", "3"]}),
        MapPrint(wire.ADDRESSES[1], {"8": 4}),
        TickEnd(10),
    )
    assert (tick.target_pids, tick.target_ports) == ((11, 12), ())
    assert tick.addresses == {5: (1, (1 << 64) - 2), 7: ((1 << 64) - 1, 3)}


# --- pipes ---


class Pipes:
    """A source whose bytes a test writes, so many at a time."""

    label = "test"
    pid: int | None = None

    def __init__(self, out: Sequence[bytes], err: Sequence[bytes] = ()) -> None:
        self.stdout, self._out = os.pipe()
        self.stderr, self._err = os.pipe()
        self._pieces = out, err

    def start(self) -> None:
        for end, pieces in zip((self._out, self._err), self._pieces, strict=True):
            threading.Thread(target=self._write, args=(end, pieces), daemon=True).start()

    def _write(self, end: int, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            os.write(end, piece)
        os.close(end)

    def stop(self) -> None: ...

    kill = stop

    def wait(self, timeout_s: float) -> int | None:
        os.close(self.stdout)
        os.close(self.stderr)
        return 0


def read(source: Source, idle: Callable[[], bool] = lambda: True) -> tuple[list[Message], list[str]]:
    messages: list[Message] = []
    errors: list[str] = []
    source.start()
    pump(source, messages.append, errors.append, idle)
    source.wait(5)
    return messages, errors


def test_bytes_one_at_a_time_are_the_same_messages() -> None:
    text = capture("0.27.1", "safe-subset") + b'half a line without an end "'
    whole = read(Pipes([text], [b"a\nb"]))
    assert read(Pipes([bytes([b]) for b in text], [b"a", b"\n", b"b"])) == whole
    assert whole[1] == ["a", "b"]
    assert whole[0][-1] == Text('half a line without an end "')
    assert len(whole[0]) > 30


def test_a_flood_on_stderr_does_not_hold_up_stdout() -> None:
    flood = [b"x" * 99 + b"\n"] * 20_000
    messages, errors = read(Pipes([line("printf", f"H {i}\n") for i in range(5000)], [*flood, b"\xff\0\n"]))
    assert len(messages) == 5000
    assert len([e for e in errors if e]) == 20_001
    assert errors[20_000] == "\ufffd\0"


def test_a_line_beyond_the_limit_is_one_rejection_and_the_next_is_read() -> None:
    giant = (
        [b'{"type": "map", "data": {"@counts": {"1": 1'] + [b"0" * (1 << 16)] * 300 + [b"\n", line("printf", "H 1\n")]
    )
    messages, _ = read(Pipes(giant))
    assert [type(message).__name__ for message in messages] == ["Heartbeat", "Rejected"]


def test_reading_is_given_up_when_told_so() -> None:
    silent = Pipes([])
    os.dup(silent._out)  # a second writer that never closes
    answers = iter([True, True, False])
    assert read(silent, lambda: next(answers))[0] == []
    assert next(answers, None) is None


def test_a_rest_ends_with_the_run_or_when_told_so() -> None:
    """Ten minutes of rest: without its ends the test would take as long."""
    text = b"".join(line("printf", f"H {i}\n") for i in range(3))
    rest = Rest(lambda: 600.0)
    messages: list[Message] = []
    source = Pipes([text[:10], text[10:]])
    source.start()
    pump(source, messages.append, lambda _: None, lambda: True, rest)
    assert len(messages) == 3
    silent = Pipes([])
    held = os.dup(silent._out)  # a second writer that never closes
    silent.start()
    threading.Timer(0.2, rest.end).start()
    rest.take([silent.stdout])
    os.close(held)
    rest.close()
    rest.end()


# --- the whole way ---


def figures(source: Source, program: Program) -> Store:
    """A source read to its end."""
    store, assembler = Store(program.measures, program.streams, 65_536), Assembler()

    def take(message: Message) -> None:
        tick = assembler.take(message)
        if tick is not None:
            store.ingest(tick)

    source.start()
    pump(source, take, lambda _: None, lambda: True)
    store.ingest(assembler.finish(1 << 60))
    return store


FIELDS = ("timestamp_ns", "latency_ns", "read_queue_ns", "client", "client_port_be", "pid")


def test_simulation_arrives_exactly_with_every_client() -> None:
    told = Program("", (), MEASURES, STREAMS)
    source = SimulatedSource(told, speed=60, keep=True)
    threading.Timer(1.2, source.stop).start()
    store = figures(source, told)
    assert source.wait(5) == 0
    truth = source.truth()
    found = store.measures(None)
    for name, observed in truth.figures.items():
        low_ns, counts = np.unique(buckets.lower_edge(buckets.bucket_of(observed.values_ns)), return_counts=True)
        histogram = found[name].histogram
        assert (histogram.low_ns.tolist(), histogram.counts.tolist()) == (low_ns.tolist(), counts.tolist())
        by_client = {client: len(values) for client, values in truth.by_key(name).items()}
        assert {row.client: row.count for row in found[name].clients} == by_client
        assert found[name].summary.count == observed.count > 0
    accounts = store.accounting
    assert accounts.produced == sum(truth.figures[stream.measure].count for stream in STREAMS)
    assert accounts.shown == sum(truth.sent.values()) > 0
    assert (accounts.lost, accounts.rejected) == (0, 0)
    assert accounts.suppressed == accounts.produced - accounts.shown
    slow = store.slow(None, 0)
    assert {event.client for event in slow} <= {client.address for client in Story().clients}
    assert all(32768 <= event.fields["client_port"] < 61000 for event in slow)


@pytest.mark.parametrize("size", [1, 100, 1 << 18])
def test_a_real_run_gives_what_its_clients_did(size: int) -> None:
    """450 requests on 47 connections from three addresses, the server slept a known time for each."""
    pieces = [RUN[at : at + size] for at in range(0, len(RUN), size)]
    store = figures(Pipes(pieces), program())
    found = store.measures(None)

    def by_client(name: str) -> dict[str, int]:
        return {row.client: row.count for row in found[name].clients}

    requests, connections = TRUTH["requests"], TRUTH["connections"]
    for name in ("read_queue_latency", "request_latency", "response_time"):
        assert by_client(name) == requests
    for name in ("accept_queue_latency", "connection_duration"):
        assert by_client(name) == connections
    for row in found["request_latency"].clients:
        assert row.p50_ns is not None
        slept_ns = TRUTH["slept_ms"][row.client] * 1_000_000
        assert slept_ns * 0.97 < row.p50_ns < slept_ns * 1.5
    for name in found:
        assert found[name].summary.count == found[name].histogram.counts.sum() == sum(by_client(name).values())
    accounts = store.accounting
    assert accounts.produced == sum(requests.values()) + sum(connections.values())
    assert accounts.shown + accounts.suppressed == accounts.produced
    assert accounts.shown == sum(b'"E ' in one for one in RUN.split(b"\n"))
    assert store.ticks == RUN.count(b'"t ')
    slow = Counter(event.client for event in store.slow(None, 0))
    assert set(slow) == set(requests)


def test_a_run_with_a_tick_line_lost_anywhere_still_ends_with_the_same_counts() -> None:
    lines = RUN.splitlines(keepends=True)
    whole = figures(Pipes([RUN]), program())
    for at, one in enumerate(lines):
        if b'"T ' in one or b'"t ' in one or (b"@counts" in one and at < len(lines) - 5):
            store = figures(Pipes([b"".join(lines[:at] + lines[at + 1 :])]), program())
            assert store.accounting == whole.accounting
            for name, measure in store.measures(None).items():
                expected = whole.measures(None)[name]
                assert measure.summary.count == expected.summary.count
                assert {(r.client, r.count) for r in measure.clients} == {(r.client, r.count) for r in expected.clients}


def test_lines_on_the_wire_are_json() -> None:
    """The recording is what bpftrace writes, not what we wish it wrote."""
    parsed = [json.loads(one) for one in RUN.splitlines() if one]
    assert parsed[0]["type"] == "attached_probes"
    assert {p["type"] for p in parsed} == {"attached_probes", "printf", "map"}


def test_unused_words_of_a_program_do_no_harm() -> None:
    """A program with other measures than the run: nothing is taken for something else."""
    other = Program("", (), (Measure("a", "A", "s", "e"),), (EventStream("a", "a", ("timestamp_ns", "latency_ns")),))
    store = figures(Pipes([RUN]), other)
    assert store.measures(None)["a"].summary.count == sum(TRUTH["requests"].values())
    assert store.accounting.rejected == sum(b'"E ' in one for one in RUN.split(b"\n"))
