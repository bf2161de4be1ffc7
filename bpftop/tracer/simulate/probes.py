"""The kernel's side of a simulated run: what ``bt/lib`` does with each observation, and the bytes bpftrace prints.

The same maps, the same halves that take turns, the same adaptive threshold and cap of the events lane, the same bound
on the number of keys.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bpftop import wire
from bpftop.model import Counts, EventStream, Program, Target
from bpftop.stats.buckets import BUCKETS, CLIENT_SHIFT, bucket_of
from bpftop.stats.keys import KeyNames
from bpftop.tracer.simulate.kernel import device_of
from bpftop.tracer.simulate.rows import FIGURES, POSITIONS, Rows
from bpftop.tracer.simulate.site import Site
from bpftop.tracer.simulate.truth import Observed, Truth
from bpftop.tracer.supervisor import map_keys
from bpftop.wire import EVENTS_CAP, HTTP, REQUEST


def printf(text: str) -> bytes:
    """A printf line of ``bpftrace -f json``."""
    return json.dumps({"type": "printf", "data": text + "\n"}).encode() + b"\n"


def attached(probes: int) -> bytes:
    """The first line of a run."""
    return json.dumps({"type": "attached_probes", "data": {"probes": probes}}).encode() + b"\n"


def map_print(name: str, values: Mapping[int, int] | Mapping[int, list[int]] | int) -> bytes:
    """A printed map. bpftrace prints nothing for an empty map with keys."""
    if values == {}:
        return b""
    if isinstance(values, int):
        data = str(values)
    else:  # not by json: up to 65,536 keys a second; whole numbers and lists of them are written alike
        data = "{" + ", ".join([f'"{key}": {value}' for key, value in values.items()]) + "}"
    return f'{{"type": "map", "data": {{"{name}": {data}}}}}\n'.encode()


class Half:
    """One half of the maps by key."""

    def __init__(self, room: int) -> None:
        self.counts: dict[int, int] = {}
        self.names: dict[int, list[int]] = {}
        self.addresses: dict[int, list[int]] = {}
        self._room = room

    def add(self, keys: Sequence[int], counts: Sequence[int]) -> None:
        """Count; what finds the map full is dropped without a word, as in the kernel."""
        mine = self.counts
        for key, count in zip(keys, counts, strict=True):
            if key in mine:
                mine[key] += count
            elif len(mine) < self._room:
                mine[key] = count

    def printed(self, half: int) -> bytes:
        """Print and clear."""
        text = map_print(wire.ADDRESSES[half], self.addresses) + map_print(wire.NAMES[half], self.names)
        text += map_print(wire.CLIENTS[half], self.counts)
        self.addresses.clear()
        self.names.clear()
        self.counts.clear()
        return text


class Probes:
    """The maps of one program; observations go in, bytes come out. With ``keep`` every value is kept for the truth."""

    def __init__(self, program: Program, site: Site, target: Target, *, keep: bool = False) -> None:
        ids = {measure.name: number for number, measure in enumerate(program.measures, 1)}
        self._program = program
        self._site = site
        self._target = target
        self._ids = np.array([ids.get(name, 0) for name in FIGURES], np.int64)
        timed = {measure.name for measure in program.measures if measure.unit == "ns"}
        keyless = {measure.name for measure in program.measures if measure.key == "none"}
        self._timed = np.array([name in timed for name in FIGURES])
        self._keyed = np.array([name not in keyless for name in FIGURES])
        self._counts = np.zeros((len(program.measures) + 1, BUCKETS), np.int64)
        self._halves = (Half(map_keys()), Half(map_keys()))
        self._half = 0
        self._sent: Counter[int] = Counter()
        self._slow = [0] * (len(program.streams) + 1)
        self._passed = [0] * (len(program.streams) + 1)
        self._kept: list[Rows] | None = [] if keep else None

    def observe(self, rows: Rows, origin_ns: int) -> bytes:
        """Count OBSERVATION rows; the events that pass. Figures that the program does not declare are not counted."""
        rows = rows[self._ids[rows["figure"]] > 0]
        if self._kept is not None:
            self._kept.append(rows[["figure", "key", "value_ns"]].copy())
        measures = self._ids[rows["figure"]]
        buckets = np.where(self._timed[rows["figure"]], bucket_of(rows["value_ns"]), 0)
        np.add.at(self._counts, (measures, buckets), 1)
        keyed = self._keyed[rows["figure"]]
        low = (measures << wire.CLIENT_MEASURE_SHIFT | buckets >> CLIENT_SHIFT).astype(np.uint64)[keyed]
        keys, counts = np.unique(rows["key"][keyed] << np.uint64(wire.CLIENT_SHIFT) | low, return_counts=True)
        half = self._halves[self._half]
        half.add(keys.tolist(), counts.tolist())
        self._name(half, np.unique(rows["key"][keyed]).tolist())
        return self._events(rows, origin_ns)

    def _name(self, half: Half, codes: Sequence[int]) -> None:
        words, ipv6 = self._site.words, self._site.ipv6
        half.names.update((code, list(words[code])) for code in codes if code in words)
        half.addresses.update((code, list(ipv6[code])) for code in codes if code in ipv6)

    def adapt(self) -> None:
        """Every 100 ms: raise the threshold of a stream when many passed, lower it when few did."""
        for stream, passed in enumerate(self._passed):
            slow = self._slow[stream]
            if passed > 8 * EVENTS_CAP:
                slow = slow * 8 + 8192
            elif passed > EVENTS_CAP:
                slow += (slow >> 1) + 1024
            elif passed < EVENTS_CAP // 2:
                slow -= slow >> 3
                slow = slow if slow >= 1024 else 0
            self._slow[stream], self._passed[stream] = slow, 0

    def tick(self, boot_ns: int) -> bytes:
        """Once a second: the cumulative maps, and the half of the keys whose turn it is."""
        half = self._half
        self._half = 1 - half
        return b"".join(
            (
                printf(f"{wire.TICK} {boot_ns}"),
                map_print(wire.COUNTS, self._count_values()),
                map_print(wire.SENT, self._sent),
                map_print(wire.UNTRACKED, 0),
                map_print(wire.TARGET_PIDS, dict.fromkeys(self._target.pids, 1)),
                map_print(wire.TARGET_PORTS, dict.fromkeys(self._target.ports, 1)),
                self._halves[half].printed(half),
                printf(f"{wire.TICK_END} {boot_ns}"),
            )
        )

    def end(self) -> bytes:
        """What bpftrace prints when it ends: every map that is left, after two empty lines."""
        return b"".join(
            (
                b"\n\n",
                *(each.printed(half) for half, each in enumerate(self._halves)),
                map_print(wire.COUNTS, self._count_values()),
                map_print(wire.SENT, self._sent),
                map_print(wire.UNTRACKED, 0),
            )
        )

    def truth(self) -> Truth:
        """All that was observed; without values when they were not kept."""
        kept = np.concatenate(self._kept) if self._kept else None
        names = KeyNames(lambda pid: self._site.scenario.server if pid in self._target.pids else "", device_of)
        names.learn(self._site.ipv6, self._site.words)
        figures = {}
        for measure in self._program.measures:
            mine = kept[kept["figure"] == POSITIONS.get(measure.name, -1)] if kept is not None else None
            values = mine["value_ns"].copy() if mine is not None else np.zeros(0, np.int64)
            keys = mine["key"].copy() if mine is not None else np.zeros(0, np.uint64)
            figures[measure.name] = Observed(measure, values, keys)
        return Truth(figures, {stream.name: self._sent[i] for i, stream in enumerate(self._program.streams, 1)}, names)

    def _events(self, rows: Rows, origin_ns: int) -> bytes:
        lines: list[bytes] = []
        requests: set[tuple[float, int, int]] | None = None
        for number, stream in enumerate(self._program.streams, 1):
            if stream.measure not in POSITIONS:
                continue
            mine = rows[rows["figure"] == POSITIONS[stream.measure]]
            chosen = self._chosen(number, mine, requests if stream.name == HTTP else None)
            if stream.name == REQUEST:
                requests = {_identity(row) for row in chosen}
            self._sent[number] += len(chosen)
            lines += [_event(number, stream, row, origin_ns) for row in chosen]
        self._sent += Counter()  # a stream that has sent nothing has no key
        return b"".join(lines)

    def _chosen(self, number: int, rows: Rows, also: set[tuple[float, int, int]] | None) -> list[np.void]:
        """The rows of one stream that are sent: slow ones up to the cap, or those that another script has sent."""
        out = []
        if self._program.every_event:
            return list(rows)
        if also is not None:
            near = rows[np.isin(rows["at_s"], [at_s for at_s, _, _ in also])]
            return [row for row in near if _identity(row) in also]
        for row in rows[_latency(rows) >= self._slow[number]]:
            self._passed[number] += 1
            if self._passed[number] <= EVENTS_CAP:
                out.append(row)
        return out

    def _count_values(self) -> dict[int, int]:
        measures, buckets = np.nonzero(self._counts)
        keys = measures << wire.MEASURE_SHIFT | buckets
        return dict(zip(keys.tolist(), self._counts[measures, buckets].tolist(), strict=True))


def _latency(rows: Rows | np.void) -> Counts:
    """What the threshold looks at: of a request with the time it waited to be read."""
    return np.asarray(rows["value_ns"] + rows["read_queue_ns"], np.int64)


def _identity(row: np.void) -> tuple[float, int, int]:
    return float(row["at_s"]), int(row["client"]), int(row["client_port_be"])


def _event(number: int, stream: EventStream, row: np.void, origin_ns: int) -> bytes:
    values: dict[str, int] = {name: int(row[name]) for name in stream.fields if name in (row.dtype.names or ())}
    values |= {"timestamp_ns": origin_ns + int(row["at_s"] * 1e9), "latency_ns": int(_latency(row))}
    numbers = " ".join(str(values.get(name, 0)) for name in stream.fields)
    return printf(f"{wire.EVENT} {number} {numbers}")
