"""The simulated run is read with nothing but json: what it says must add up to what it knows it counted."""

from __future__ import annotations

import json
import os
import socket
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from bpftop import wire
from bpftop.demo.story import CYCLE_S, SPELL_START_S, Story
from bpftop.model import EventStream, Measure, Program
from bpftop.tracer.simulate import SimulatedSource, Truth, simulated_target
from bpftop.tracer.simulate.probes import EVENTS_CAP, Probes
from bpftop.tracer.simulate.traffic import ACCEPT_QUEUE, MEASURES, READ_QUEUE, REQUEST, Traffic, awake
from bpftop.tracer.source import Source

REQUEST_FIELDS = ("timestamp_ns", "latency_ns", "read_queue_ns", "client", "client_port_be", "pid", "of_the_future")


def program(*names: str) -> Program:
    """A program that declares these measures, and the stream of single requests."""
    measures = tuple(Measure(name, name, "start", "end") for name in names)
    streams = (EventStream("request", "request_latency", REQUEST_FIELDS),)
    return Program("", (), measures, streams)


@dataclass
class Reading:
    """What a plain reader of the bytes knows."""

    attached: int = 0
    ticks: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    heartbeats: Counter[int] = field(default_factory=Counter)
    events: list[list[int]] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)
    sent: dict[str, Any] = field(default_factory=dict)
    clients: Counter[int] = field(default_factory=Counter)
    halves: list[str] = field(default_factory=list)
    addresses: dict[int, str] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)


def read(text: bytes) -> Reading:
    """Decode with json, as a stranger would."""
    reading = Reading()
    for line in text.decode().splitlines():
        message: dict[str, Any] = json.loads(line or '{"type": "blank"}')
        if message["type"] == "attached_probes":
            reading.attached = message["data"]["probes"]
        elif message["type"] == "printf":
            tag, *words = message["data"].split()
            numbers = [int(word) for word in words]
            {
                wire.TICK: lambda n: reading.ticks.append(n[0]),
                wire.TICK_END: lambda n: reading.ends.append(n[0]),
                wire.HEARTBEAT: lambda n: reading.heartbeats.update(n),
                wire.EVENT: reading.events.append,
            }[tag](numbers)
        elif message["type"] == "map":
            [(name, values)] = message["data"].items()
            read_map(reading, name, values)
    return reading


def read_map(reading: Reading, name: str, values: Any) -> None:
    """Cumulative maps replace what was there; halves are added."""
    if name == wire.COUNTS:
        reading.counts = values
    elif name == wire.SENT:
        reading.sent = values
    elif name in wire.CLIENTS:
        reading.halves.append(name)
        reading.clients.update({int(key): count for key, count in values.items()})
    elif name in wire.ADDRESSES:
        reading.addresses.update({int(code): wire.ipv6_text(*pair) for code, pair in values.items()})
    else:
        reading.target[name] = values


def run(source: SimulatedSource, ticks: int) -> bytes:
    """Everything the source writes until so many ticks and a stop."""
    source.start()
    text = b""
    while chunk := os.read(source.stdout, 1 << 16):
        text += chunk
        if text.count(b'"T ') >= ticks:
            source.stop()
    assert os.read(source.stderr, 1) == b""
    assert source.wait(5) == 0
    os.close(source.stdout)
    os.close(source.stderr)
    return text


@pytest.fixture(scope="module")
def told() -> tuple[Reading, Truth]:
    """About two cycles of the story, fast."""
    source = SimulatedSource(program(*MEASURES), speed=60)
    text = run(source, 65)
    return read(text), source.truth()


def test_it_is_a_source() -> None:
    source: Source = SimulatedSource(program())
    assert source.label == "simulation"
    assert source.pid is None


def test_counts_are_the_truth(told: tuple[Reading, Truth]) -> None:
    reading, truth = told
    buckets: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for key, count in reading.counts.items():
        buckets[int(key) >> wire.MEASURE_SHIFT][int(key) & 0xFFFF] = count
    for number, name in enumerate(MEASURES, 1):
        assert sum(buckets[number].values()) == truth.counts[name] > 0
        assert dict(enumerate(truth.buckets[name].tolist())).items() >= buckets[number].items()


def test_clients_sum_to_the_counts(told: tuple[Reading, Truth]) -> None:
    reading, truth = told
    sums: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for key, count in reading.clients.items():
        code = key >> wire.CLIENT_SHIFT
        address = reading.addresses[code] if code & wire.IPV6_BIT else wire.ipv4_text(code)
        sums[key >> wire.CLIENT_MEASURE_SHIFT & wire.CLIENT_MEASURE_MASK][address] += count
    for number, name in enumerate(MEASURES, 1):
        assert sums[number] == truth.clients[name]
        assert sums[number].total() == truth.counts[name]
    assert "::1" in sums[1]
    assert len(sums[1]) >= 12


def test_halves_take_turns(told: tuple[Reading, Truth]) -> None:
    halves = told[0].halves[:-2]  # the last ones are printed by the end
    assert len(halves) > 20
    assert halves == [wire.CLIENTS[i % 2] for i in range(len(halves))]


def test_ticks_are_a_second_apart_and_complete(told: tuple[Reading, Truth]) -> None:
    reading = told[0]
    assert reading.attached > 0
    assert reading.ticks == reading.ends
    assert set(np.diff(reading.ticks[1:])) <= {999_999_999, 1_000_000_000, 1_000_000_001}
    assert set(reading.heartbeats) == {0, 1}
    target = simulated_target()
    assert reading.target[wire.TARGET_PIDS] == {str(target.pids[0]): 1}
    assert reading.target[wire.TARGET_PORTS] == {str(target.ports[0]): 1}


def test_events_are_counted_capped_and_complete(told: tuple[Reading, Truth]) -> None:
    reading, truth = told
    assert len(reading.events) == reading.sent["1"] == truth.sent["request"]
    assert 0 < truth.sent["request"] < truth.counts["request_latency"]
    codes = {wire.client_code(address) for address in truth.clients["request_latency"]}
    for stream, at_ns, latency_ns, queue_ns, client, port, pid, unknown in reading.events:
        assert (stream, pid, unknown) == (1, simulated_target().pids[0], 0)
        assert reading.ticks[0] - 10**9 < at_ns < reading.ticks[-1] + 10**9
        assert 0 < queue_ns < latency_ns
        assert client in codes
        assert 32768 <= socket.ntohs(port) < 61000


def test_only_declared_measures_are_counted() -> None:
    source = SimulatedSource(program("run_queue_latency", "request_latency"), speed=30)
    reading = read(run(source, 5))
    assert {int(key) >> wire.MEASURE_SHIFT for key in reading.counts} == {2}
    assert source.truth().counts["run_queue_latency"] == 0


def test_the_first_tick_comes_early_and_is_not_empty() -> None:
    reading = read(run(SimulatedSource(program(*MEASURES)), 2))
    assert reading.ticks[1] - reading.ticks[0] == pytest.approx(0.8e9, abs=2)
    text = run(SimulatedSource(program(*MEASURES)), 1)
    assert sum(read(text[: text.index(b'"t ')].rpartition(b"\n")[0]).counts.values()) > 0


def test_the_same_seed_tells_the_same_story() -> None:
    def rows(seed: int) -> Any:
        traffic = Traffic(Story(), seed)
        return np.concatenate([traffic.advance(i / 10, (i + 1) / 10) for i in range(20)])

    assert np.array_equal(rows(1), rows(1))
    assert not np.array_equal(rows(1)[:50], rows(2)[:50])


def test_the_story_shows_in_the_numbers() -> None:
    """In the slow spell requests take longer; in a stall they wait to be read, and connections to be accepted."""
    story = Story()
    traffic = Traffic(story, 1)
    rows = np.concatenate([traffic.advance(i / 10, (i + 1) / 10) for i in range(int(CYCLE_S * 10))])
    spell = (rows["at_s"] > SPELL_START_S + 2) & (rows["at_s"] < SPELL_START_S + 5)
    before = (rows["at_s"] > SPELL_START_S - 3) & (rows["at_s"] < SPELL_START_S)
    requests = rows["measure"] == REQUEST
    p90 = [np.quantile(rows["value_ns"][requests & when], 0.9) for when in (before, spell)]
    assert p90[1] > 2 * p90[0]
    stall = story.stalls(0, CYCLE_S)[0]
    woken = (rows["at_s"] >= stall.end_s) & (rows["at_s"] < stall.end_s + 0.1)
    for measure in (READ_QUEUE, ACCEPT_QUEUE):
        mine = rows["measure"] == measure
        assert rows["value_ns"][mine & woken].max() > 50e6
        assert np.median(rows["value_ns"][mine]) < 1e6
    inside = (rows["at_s"] > stall.start_s) & (rows["at_s"] < stall.end_s)
    assert not np.any(inside & np.isin(rows["measure"], (READ_QUEUE, REQUEST, ACCEPT_QUEUE)))


def test_moments_in_a_stall_move_to_its_end() -> None:
    stalls = np.array([[1.0, 1.5], [3.0, 3.25]])
    assert awake(np.array([0.5, 1.0, 1.4, 1.5, 2.0, 3.1, 4.0]), stalls).tolist() == [0.5, 1.5, 1.5, 1.5, 2.0, 3.25, 4.0]
    assert awake(np.array([0.5]), np.empty((0, 2))).tolist() == [0.5]


def test_the_slowest_pass_the_threshold() -> None:
    """A flood raises the threshold until about the cap passes, and the slowest still do."""
    probes = Probes(program("request_latency"), ("127.0.0.1",), 1, 80)
    rng = np.random.default_rng(1)
    rows = np.zeros(3_000, Traffic(Story(), 1).advance(0, 0.1).dtype)
    rows["measure"] = REQUEST
    passed = []
    for _ in range(60):
        rows["value_ns"] = rng.lognormal(13, 1, len(rows))
        events = read(probes.observe(rows, 0)).events
        passed.append([numbers[2] for numbers in events])
        probes.adapt()
    assert all(len(latencies) <= EVENTS_CAP for latencies in passed)
    late = np.concatenate(passed[-20:])
    assert len(late) > 20 * EVENTS_CAP // 4
    assert late.min() > np.quantile(rows["value_ns"], 0.95)
    assert probes.truth().sent["request"] == sum(map(len, passed))


def test_a_reader_that_is_gone_or_stuck_does_not_keep_it_alive() -> None:
    deaf = SimulatedSource(program(*MEASURES), speed=200)
    deaf.start()
    os.close(deaf.stdout)
    assert deaf.wait(5) == 0
    os.close(deaf.stderr)
    stuck = SimulatedSource(program(*MEASURES), speed=2000)
    stuck.start()
    assert stuck.wait(0.5) is None
    stuck.kill()
    assert stuck.wait(5) == -9
    os.close(stuck.stdout)
    os.close(stuck.stderr)
