"""Snapshots of a live session beside those of its recording, field by field."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from bpftop import wire
from bpftop.figures import Declared, Figures, Frame, Known, Origin, Status, Tap
from bpftop.model import History, Names, Overhead, Snapshot, State, TracerStatus
from bpftop.scripts import catalog, compose
from bpftop.stats.buckets import BUCKETS, CLIENT_SHIFT
from bpftop.stats.keys import KeyNames
from bpftop.stats.made import Made
from bpftop.stats.tick import TickData
from bpftop.tracer.assemble import Assembler
from bpftop.tracer.decode import decode_line
from bpftop.tracer.simulate import Telling, comm_of, device_of, scenario_of, simulated_target


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """The paths of all fields that differ; NaN equals NaN, and the order of a sum shows in a last digit."""
    one, other = (tuple(each) if isinstance(each, Made) else each for each in (one, other))
    if type(one) is not type(other):
        return [f"{where}: {type(one).__name__} and {type(other).__name__}"]
    if isinstance(one, np.ndarray):
        return [] if np.array_equal(one, other, equal_nan=one.dtype.kind == "f") else [f"{where}: arrays differ"]
    if isinstance(one, History):
        one, other = _without_order(one), _without_order(other)
    if is_dataclass(one) and not isinstance(one, type):
        pairs = [(each.name, getattr(one, each.name), getattr(other, each.name)) for each in fields(one)]
        return [found for name, a, b in pairs for found in differences(a, b, f"{where}.{name}")]
    if isinstance(one, dict):
        if list(one) != list(other):
            return [f"{where}: keys {list(one)} and {list(other)}"]
        return [found for name in one for found in differences(one[name], other[name], f"{where}[{name}]")]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)} entries"]
        pairs = [(str(i), a, b) for i, (a, b) in enumerate(zip(one, other, strict=True))]
        return [found for name, a, b in pairs for found in differences(a, b, f"{where}[{name}]")]
    if isinstance(one, float) and math.isclose(one, other, rel_tol=1e-12):
        return []
    return [] if one == other else [f"{where}: {one!r} and {other!r}"]


def _without_order(history: History) -> History:
    """Events are kept in no order; the names are compared where they are shown."""
    return replace(history, names=None, events=tuple(rows[np.lexsort(rows.T)] for rows in history.events))


def as_replayed(live: Snapshot) -> Snapshot:
    """The snapshot that a replay has to give: only the source is another."""
    source = live.tracer.source
    shown = "replay" if source == "bpftrace" else f"replay of {source}"
    return replace(live, tracer=replace(live.tracer, source=shown, rights=""))


class StoryRun:
    """The demo's story as a session that needs no time: ticks go through the decoder, the clock is the story's."""

    BEGIN_NS = 1_795_383_900 * 10**9

    def __init__(
        self, scale: float = 1.0, seed: int = 1, scripts: tuple[str, ...] = (), scenario: str = "demo"
    ) -> None:
        found = scenario_of(scenario, seed)
        if scale != 1.0:
            found = replace(found, clients=tuple(replace(c, rate_per_s=c.rate_per_s * scale) for c in found.clients))
        target = simulated_target(found)
        chosen = [s for s in catalog().values() if s.name in scripts or (s.default and not scripts)]
        program = compose(chosen, target)
        self._telling = Telling(program, found, seed)
        self._assembler = Assembler()
        self._status = Status(target, TracerStatus(State.LIVE), Overhead(250.0, 1e4, 0.3, 2), 10**12, self.BEGIN_NS)
        origin = Origin("0.17.0", "6.18.0", self.BEGIN_NS)
        names = KeyNames(comm_of(found), device_of)
        self.figures = Figures(Declared.of(program), origin, self._status, 65_536, names)
        self.figures.store.started(10**12)
        self.seconds = 0
        self._taps: list[Tap] = []
        self.said = 0
        """Bytes that bpftrace would have printed."""

    @property
    def declared(self) -> Declared:
        return self.figures.declared

    @property
    def origin(self) -> Origin:
        return self.figures.origin

    @property
    def names(self) -> Names:
        return self.figures.names

    @property
    def unix_ns(self) -> int:
        return self.BEGIN_NS + 10**12 + self.seconds * 10**9

    def tap(self, tap: Tap) -> Known:
        self._taps.append(tap)
        tap(Frame(self.unix_ns, None, self.figures.status))
        return self.known()

    def known(self) -> Known:
        return Known(self.unix_ns, self.figures.store.names(), self.figures.store.accounting)

    def run(self, seconds: int) -> None:
        """Let so many seconds pass."""
        for _ in range(seconds):
            text = b"".join(self._telling.step(10**12) for _ in range(10))
            self.seconds += 1
            self.said += len(text)
            self._take(text)

    def _take(self, text: bytes) -> None:
        for line in text.split(b"\n"):
            for message in decode_line(line):
                tick = self._assembler.take(message)
                if tick is not None:
                    self._tick(tick)

    def _tick(self, tick: TickData) -> None:
        frame = Frame(self.unix_ns, self.figures.ingest(tick), self._changed())
        for tap in self._taps:
            tap(frame)

    def _changed(self) -> Status | None:
        """Every ten seconds another cost, as measured live."""
        if self.seconds % 10:
            return None
        self.figures.status = replace(self._status, overhead=Overhead(250.0 + self.seconds, 1e4, 0.3, self.seconds))
        return self.figures.status

    def snapshot(self, window_s: float | None, until_unix_ns: int | None = None) -> Snapshot:
        return self.figures.snapshot(window_s, self.unix_ns, until_unix_ns)


class ChanceRun(StoryRun):
    """The same without traffic: ticks of chance, as fast as the store takes them."""

    def __init__(self, seed: int = 1, clients: int = 5, entries: int = 60) -> None:
        super().__init__(seed=seed, scripts=("requests", "http"))
        self._chance = np.random.default_rng(seed)
        self._clients, self._entries = clients, entries
        self._counts = np.zeros(len(self.declared.measures) * BUCKETS, np.int64)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.seconds += 1
            self._tick(self._made(10**12 + self.seconds * 10**9))

    def _made(self, boot_ns: int) -> TickData:
        chance, size = self._chance, self._entries
        measure = chance.integers(0, len(self.declared.measures), size)
        bucket = np.minimum(np.abs(chance.normal(900, 60, size)).astype(np.int64), BUCKETS - 1)
        np.add.at(self._counts, measure * BUCKETS + bucket, chance.poisson(20, size))
        there = np.flatnonzero(self._counts)
        keys = (there // BUCKETS + 1) << wire.MEASURE_SHIFT | there % BUCKETS
        client = np.array([wire.client_code(f"10.0.{n >> 8}.{n & 255}") for n in range(self._clients)], np.uint64)
        low = (1 << wire.CLIENT_MEASURE_SHIFT | bucket[:, None] >> CLIENT_SHIFT).astype(np.uint64)
        by_client = ((client[None, :] << np.uint64(wire.CLIENT_SHIFT)) | low).reshape(-1)
        event = (
            1,
            (boot_ns - int(chance.integers(1, 10**9)), int(chance.integers(1, 10**8)), 7, int(client[0]), 80, 9),
        )
        return TickData(
            boot_ns,
            keys.astype(np.uint64),
            self._counts[there],
            by_client,
            chance.integers(1, 9, len(by_client)),
            names={(1 << 47) + self.seconds: (int.from_bytes(b"GET /a/%d" % self.seconds, "little"), *[0] * 7)}
            if self.seconds % 9 == 0
            else {},
            sent={1: self.seconds},
            records=(event,),
        )
