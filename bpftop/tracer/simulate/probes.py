"""The kernel's side of a simulated run: what ``bt/lib`` does with each observation, and the bytes bpftrace prints.

The same maps, the same halves that take turns, the same adaptive threshold and cap of the events lane.
"""

from __future__ import annotations

import ipaddress
import json
import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bpftop import wire
from bpftop.model import Counts, EventStream, Program
from bpftop.stats.buckets import BUCKETS, CLIENT_SHIFT, bucket_of
from bpftop.tracer.simulate.traffic import MEASURES, REQUEST

EVENTS_CAP = 3
"""Per stream and 100 ms, as in ``bt/lib/events.bt``."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What has been counted so far, in words that need no decoding."""

    counts: Mapping[str, int]
    """Observations by measure."""
    buckets: Mapping[str, Counts]
    """Global buckets by measure; shape (BUCKETS,)."""
    clients: Mapping[str, Mapping[str, int]]
    """Observations by measure and address."""
    sent: Mapping[str, int]
    """Events sent by stream."""


def printf(text: str) -> bytes:
    """A printf line of ``bpftrace -f json``."""
    return json.dumps({"type": "printf", "data": text + "\n"}).encode() + b"\n"


def attached(probes: int) -> bytes:
    """The first line of a run."""
    return json.dumps({"type": "attached_probes", "data": {"probes": probes}}).encode() + b"\n"


def map_print(name: str, values: Mapping[int, object] | int) -> bytes:
    """A printed map. bpftrace prints nothing for an empty map with keys."""
    if values == {}:
        return b""
    data = values if isinstance(values, int) else {str(key): value for key, value in values.items()}
    return json.dumps({"type": "map", "data": {name: data}}).encode() + b"\n"


class Probes:
    """The maps of one program; observations go in, bytes come out."""

    def __init__(self, program: Program, addresses: tuple[str, ...], pid: int, port: int) -> None:
        ids = {measure.name: i for i, measure in enumerate(program.measures, 1)}
        self._program = program
        self._addresses = addresses
        self._codes = np.array([wire.client_code(a) for a in addresses], dtype=np.uint64)
        self._ids = np.array([ids.get(name, 0) for name in MEASURES], dtype=np.int64)
        self._counts = np.zeros((len(program.measures) + 1, BUCKETS), dtype=np.int64)
        self._by_client = np.zeros((len(program.measures) + 1, len(addresses)), dtype=np.int64)
        self._halves: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self._ipv6: tuple[set[str], set[str]] = (set(), set())
        self._half = 0
        self._sent: Counter[int] = Counter()
        self._slow = [0] * (len(program.streams) + 1)
        self._passed = [0] * (len(program.streams) + 1)
        self._pid, self._port = pid, port

    def observe(self, rows: NDArray[np.void], origin_ns: int) -> bytes:
        """Count OBSERVATION rows; the events that pass. Measures the program does not declare are not counted."""
        rows = rows[self._ids[rows["measure"]] > 0]
        measures = self._ids[rows["measure"]]
        buckets = bucket_of(rows["value_ns"])
        np.add.at(self._counts, (measures, buckets), 1)
        np.add.at(self._by_client, (measures, rows["client"]), 1)
        low = (measures << wire.CLIENT_MEASURE_SHIFT | buckets >> CLIENT_SHIFT).astype(np.uint64)
        keys, counts = np.unique(self._codes[rows["client"]] << np.uint64(wire.CLIENT_SHIFT) | low, return_counts=True)
        half = self._halves[self._half]
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            half[key] += count
        seen = (self._addresses[i] for i in np.unique(rows["client"]).tolist())
        self._ipv6[self._half].update(address for address in seen if ":" in address)
        return b"".join(
            self._events(number, stream, rows, origin_ns) for number, stream in enumerate(self._program.streams, 1)
        )

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
        """Once a second: the cumulative maps, and the half of the clients whose turn it is."""
        half = self._half
        self._half = 1 - half
        return b"".join(
            (
                printf(f"{wire.TICK} {boot_ns}"),
                map_print(wire.COUNTS, self._count_values()),
                map_print(wire.SENT, self._sent),
                map_print(wire.UNTRACKED, 0),
                map_print(wire.TARGET_PIDS, {self._pid: 1}),
                map_print(wire.TARGET_PORTS, {self._port: 1}),
                self._print_half(half),
                printf(f"{wire.TICK_END} {boot_ns}"),
            )
        )

    def end(self) -> bytes:
        """What bpftrace prints when it ends: every map that is left, after two empty lines."""
        return b"".join(
            (
                b"\n\n",
                self._print_half(0),
                self._print_half(1),
                map_print(wire.COUNTS, self._count_values()),
                map_print(wire.SENT, self._sent),
                map_print(wire.UNTRACKED, 0),
            )
        )

    def truth(self) -> Truth:
        """All that was counted."""
        names = [measure.name for measure in self._program.measures]
        return Truth(
            {name: int(self._counts[i].sum()) for i, name in enumerate(names, 1)},
            {name: self._counts[i].copy() for i, name in enumerate(names, 1)},
            {
                name: {a: int(n) for a, n in zip(self._addresses, self._by_client[i], strict=True) if n}
                for i, name in enumerate(names, 1)
            },
            {stream.name: self._sent[i] for i, stream in enumerate(self._program.streams, 1)},
        )

    def _events(self, number: int, stream: EventStream, rows: NDArray[np.void], origin_ns: int) -> bytes:
        if stream.measure not in MEASURES:
            return b""
        mine = rows[rows["measure"] == MEASURES.index(stream.measure)]
        latency = mine["value_ns"] + np.where(mine["measure"] == REQUEST, mine["read_queue_ns"], 0)
        slow = latency >= self._slow[number]
        mine, latency = mine[slow], latency[slow]
        room = max(0, EVENTS_CAP - self._passed[number])
        self._passed[number] += len(mine)
        lines = []
        for row, latency_ns in list(zip(mine, latency.tolist(), strict=True))[:room]:
            values = {
                "timestamp_ns": origin_ns + int(row["at_s"] * 1e9),
                "latency_ns": latency_ns,
                "read_queue_ns": int(row["read_queue_ns"]),
                "client": int(self._codes[row["client"]]),
                "client_port_be": socket.htons(int(row["client_port"])),
                "pid": self._pid,
            }
            numbers = " ".join(str(values.get(name, 0)) for name in stream.fields)
            lines.append(printf(f"{wire.EVENT} {number} {numbers}"))
        if lines:
            self._sent[number] += len(lines)
        return b"".join(lines)

    def _count_values(self) -> dict[int, int]:
        measures, buckets = np.nonzero(self._counts)
        keys = measures << wire.MEASURE_SHIFT | buckets
        return dict(zip(keys.tolist(), self._counts[measures, buckets].tolist(), strict=True))

    def _print_half(self, half: int) -> bytes:
        """Print and clear."""
        addresses = {wire.client_code(a): list(wire.halves(ipaddress.IPv6Address(a))) for a in self._ipv6[half]}
        text = map_print(wire.ADDRESSES[half], addresses) + map_print(wire.CLIENTS[half], self._halves[half])
        self._ipv6[half].clear()
        self._halves[half].clear()
        return text
