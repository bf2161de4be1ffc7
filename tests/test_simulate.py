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
from bpftop.demo.story import CYCLE_S, SPELL_START_S
from bpftop.model import EventStream, Measure, Program
from bpftop.stats.buckets import bucket_of
from bpftop.stats.keys import KeyNames
from bpftop.tracer.simulate import SimulatedSource, Telling, Truth, quantile, scenario_of, simulated_target
from bpftop.tracer.simulate.keys import client_codes, ipv6_halves, line_key, peer_key
from bpftop.tracer.simulate.probes import Half, Probes
from bpftop.tracer.simulate.rows import rows
from bpftop.tracer.simulate.site import Site
from bpftop.tracer.simulate.traffic import READ, REQUEST, TURN, Traffic, one_after_the_other, stalls
from bpftop.tracer.source import Source
from bpftop.wire import EVENTS_CAP
from tests.recordings import DATA

MEASURES = ("read_queue_latency", "request_latency", "response_time", "accept_queue_latency", "connection_duration")

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
    """About two cycles of the story, as fast as a busy machine can tell them: it must not fall behind by seconds."""
    source = SimulatedSource(program(*MEASURES), speed=12, keep=True)
    text = run(source, 65)
    return read(text), source.truth()


def test_it_is_a_source() -> None:
    source: Source = SimulatedSource(program())
    assert source.label == "simulation"
    assert source.pid is None


def test_counts_are_the_truth(told: tuple[Reading, Truth]) -> None:
    reading, truth = told
    buckets: defaultdict[int, Counter[int]] = defaultdict(Counter)
    for key, count in reading.counts.items():
        buckets[int(key) >> wire.MEASURE_SHIFT][int(key) & 0xFFFF] = count
    for number, name in enumerate(MEASURES, 1):
        values = truth.figures[name].values_ns
        assert buckets[number] == Counter(bucket_of(values).tolist())
        assert buckets[number].total() == truth.figures[name].count > 0


def test_clients_sum_to_the_counts(told: tuple[Reading, Truth]) -> None:
    reading, truth = told
    sums: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for key, count in reading.clients.items():
        code = key >> wire.CLIENT_SHIFT
        address = reading.addresses[code] if code & wire.IPV6_BIT else wire.ipv4_text(code)
        sums[key >> wire.CLIENT_MEASURE_SHIFT & wire.CLIENT_MEASURE_MASK][address] += count
    for number, name in enumerate(MEASURES, 1):
        assert sums[number] == {client: len(values) for client, values in truth.by_key(name).items()}
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
    assert 0 < truth.sent["request"] < truth.figures["request_latency"].count
    codes = {wire.client_code(address) for address in truth.by_key("request_latency")}
    for stream, at_ns, latency_ns, queue_ns, client, port, pid, unknown in reading.events:
        assert (stream, pid, unknown) == (1, simulated_target().pids[0], 0)
        assert reading.ticks[0] - 10**9 < at_ns < reading.ticks[-1] + 10**9
        assert 0 < queue_ns < latency_ns
        assert client in codes
        assert 32768 <= socket.ntohs(port) < 61000


def test_only_declared_measures_are_counted() -> None:
    source = SimulatedSource(program("a_figure_of_the_future", "request_latency"), speed=30, keep=True)
    reading = read(run(source, 5))
    assert {int(key) >> wire.MEASURE_SHIFT for key in reading.counts} == {2}
    assert source.truth().figures["a_figure_of_the_future"].count == 0


def test_the_first_tick_comes_early_and_is_not_empty() -> None:
    reading = read(run(SimulatedSource(program(*MEASURES)), 2))
    assert reading.ticks[1] - reading.ticks[0] == pytest.approx(0.8e9, abs=2)
    text = run(SimulatedSource(program(*MEASURES)), 1)
    assert sum(read(text[: text.index(b'"t ')].rpartition(b"\n")[0]).counts.values()) > 0


def test_the_same_seed_tells_the_same_whichever_scripts_run() -> None:
    def told(seed: int, *names: str) -> Truth:
        telling = Telling(program(*names), scenario_of(), seed, keep=True)
        for _ in range(20):
            telling.step(0)
        return telling.truth()

    one, other = told(1, "request_latency"), told(1, "connection_duration", "request_latency")
    for name in ("values_ns", "keys"):
        mine, its = (getattr(each.figures["request_latency"], name) for each in (one, other))
        assert np.array_equal(mine, its)
    another = told(2, "request_latency").figures["request_latency"].values_ns
    assert not np.array_equal(one.figures["request_latency"].values_ns[:50], another[:50])


def test_the_story_shows_in_the_numbers() -> None:
    """In the slow spell requests take longer; in a stall they wait to be read."""
    scenario = scenario_of("demo")
    traffic = Traffic(scenario, 1)
    steps = [traffic.advance(i / 10, (i + 1) / 10) for i in range(int(CYCLE_S * 10))]
    done = np.concatenate([step.requests[step.answered] for step in steps])
    read_ = np.concatenate([step.requests[step.read] for step in steps])
    latency_s = done["first_s"] - done["read_s"]
    spell = (done["first_s"] > SPELL_START_S + 2) & (done["first_s"] < SPELL_START_S + 5)
    before = (done["first_s"] > SPELL_START_S - 3) & (done["first_s"] < SPELL_START_S)
    assert np.quantile(latency_s[spell], 0.9) > 2 * np.quantile(latency_s[before], 0.9)
    waited_s = read_["read_s"] - read_["arrived_s"]
    begin_s, length_s = stalls(scenario, 1, 0, CYCLE_S)[0]
    stalled = (read_["arrived_s"] > begin_s + 0.001) & (read_["arrived_s"] < begin_s + length_s)
    assert waited_s[stalled].max() > 0.5 * length_s
    assert np.all(read_["read_s"][stalled] >= begin_s + length_s)
    assert np.median(waited_s) < 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_a_worker_takes_what_is_ready_one_after_the_other(seed: int) -> None:
    """Against the same said in a loop."""
    chance = np.random.default_rng(seed)
    turns, requests = np.zeros(50, TURN), np.zeros(50, REQUEST)
    turns["kind"], turns["request"] = READ, np.arange(50)
    turns["ready_s"], turns["length_s"] = np.sort(chance.uniform(0, 1, 50)), chance.exponential(0.02, 50)
    free_s = one_after_the_other(turns, requests, 0.1)
    ended_s = 0.1
    for place, turn in enumerate(turns):
        start_s = max(turn["ready_s"], ended_s)
        assert turn["start_s"] == pytest.approx(start_s, abs=1e-6)
        assert requests["read_s"][place] == turn["start_s"]
        ended_s = start_s + turn["length_s"]
    assert free_s == pytest.approx(ended_s, abs=1e-6)


def test_keys_are_those_of_the_kernel() -> None:
    """The names that a real kernel printed, beside its keys."""
    said: dict[int, list[int]] = {}
    for line in (DATA / "recordings" / "scripts-0.17.0.stdout").read_text().splitlines():
        if '"@names_' in line:
            [values] = json.loads(line)["data"].values()
            said |= {int(key): [word & (1 << 64) - 1 for word in words] for key, words in values.items()}
    names = KeyNames()
    names.learn({}, {key: tuple(words) for key, words in said.items()})
    lines = {names.routes.line(key): (key, tuple(words)) for key, words in said.items()}
    assert len(lines) == 2
    assert {line: line_key(line) for line in lines} == lines


@pytest.mark.parametrize(
    "name", ["10.0.0.21:9000", "[2001:db8::1]:443", "unix:/run/php/php8.2-fpm.sock", f"unix:{'/long' * 10}"]
)
def test_peers_get_their_names_back(name: str) -> None:
    key, words = peer_key(name)
    names = KeyNames()
    names.learn({}, {key: words})
    assert 0 < key < 1 << 48
    assert names.of_kind("peer", key) == name


def test_addresses_one_after_the_other_have_the_codes_of_each() -> None:
    for first, last in (("198.18.0.254", "198.18.1.1"), ("2001:db8::fe", "2001:db8::101")):
        codes = client_codes(first, 4)
        assert (codes[0], codes[3]) == (wire.client_code(first), wire.client_code(last))
    high, low = ipv6_halves("2001:db8::fe", 4)
    assert wire.ipv6_text(int(high[3]), int(low[3])) == "2001:db8::101"


def test_exact_quantiles() -> None:
    values = np.random.default_rng(1).permutation(np.arange(1, 1001))
    assert [quantile(values, q) for q in (0.5, 0.99, 0.999, 1.0)] == [500, 990, 999, 1000]
    assert quantile(values[:1], 0.5) == values[0]


def test_a_full_map_counts_what_it_knows_and_no_more() -> None:
    half = Half(2)
    half.add([1, 2, 3], [1, 1, 5])
    half.add([3, 2], [1, 1])
    assert read(half.printed(0)).clients == {1: 1, 2: 2}
    assert half.printed(0) == b""


def test_the_slowest_pass_the_threshold() -> None:
    """A flood raises the threshold until about the cap passes, and the slowest still do."""
    scenario = scenario_of()
    probes = Probes(program("request_latency"), Site(scenario), simulated_target(scenario))
    rng = np.random.default_rng(1)
    passed = []
    for _ in range(60):
        values_s = rng.lognormal(13, 1, 3000) / 1e9
        events = read(probes.observe(rows("request_latency", np.zeros(3000), 1, values_s), 0)).events
        passed.append([numbers[2] for numbers in events])
        probes.adapt()
    assert all(len(latencies) <= EVENTS_CAP for latencies in passed)
    late = np.concatenate(passed[-20:])
    assert len(late) > 20 * EVENTS_CAP // 4
    assert late.min() > np.quantile(values_s * 1e9, 0.95)
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
