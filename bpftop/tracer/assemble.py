"""From single messages to whole ticks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bpftop import wire
from bpftop.model import Counts, Lost, MapPrint, Message, Record, Rejected, Tick, TickEnd
from bpftop.stats.tick import Keys, TickData
from bpftop.tracer.decode import number, unsigned_items

MAX_COUNT = 1 << 46
"""No kernel of ours counts so far, and 65,536 of these still have a sum of 64 bits."""
MAX_RECORDS = 1 << 19
"""Events kept until the next tick; a run whose ticks do not come takes no more memory, and says what it left out."""


class Assembler:
    """Collects the map prints and events of a tick; knows the map names of bpftop.wire and nothing else."""

    def __init__(self) -> None:
        self._boot_ns = 0
        self._maps: dict[str, MapPrint] = {}
        self._records: list[tuple[int, tuple[int, ...]]] = []
        self._rejected = self._lost = 0

    def take(self, message: Message) -> TickData | None:
        """Take one message; returns the tick that it completes."""
        match message:
            case Record() if len(self._records) >= MAX_RECORDS:
                self._rejected += 1
            case Record():
                self._records.append((message.stream, message.numbers))
            case MapPrint() if message.name in wire.MAPS:
                self._maps[message.name] = message
            case Rejected():
                self._rejected += 1
            case Lost():
                self._lost += message.events
            case Tick():
                # No end seen for the last tick: its end marker was lost. Its figures are cumulative or still here.
                finished = self._build(False) if self._boot_ns else None
                self._boot_ns = message.boot_ns
                return finished
            case TickEnd() if self._boot_ns or self._maps:
                self._boot_ns = self._boot_ns or message.boot_ns  # its beginning was lost
                return self._build(False)
            case _:
                pass
        return None

    def finish(self, boot_ns: int) -> TickData:
        """The dump at the end of the run, with whatever came after the last tick."""
        self._boot_ns = boot_ns
        return self._build(True)

    def _build(self, final: bool) -> TickData:
        counts_keys, counts = self._arrays(wire.COUNTS)
        halves = [self._arrays(name) for name in wire.CLIENTS]
        tick = TickData(
            boot_ns=self._boot_ns,
            counts_keys=counts_keys,
            counts=counts,
            client_keys=np.concatenate([keys for keys, _ in halves]),
            client_counts=np.concatenate([values for _, values in halves]),
            addresses={code: (words[0], words[1]) for code, words in self._words(wire.ADDRESSES, 2)},
            names=dict(self._words(wire.NAMES, wire.NAME_WORDS)),
            sent=dict(self._items(wire.SENT)),
            untracked=self._scalar(wire.UNTRACKED),
            target_pids=self._keys(wire.TARGET_PIDS),
            target_ports=self._keys(wire.TARGET_PORTS),
            records=tuple(self._records),
            rejected=self._rejected,
            lost=self._lost,
            final=final,
        )
        self._boot_ns = 0
        self._maps.clear()
        self._records.clear()
        self._rejected = self._lost = 0
        return tick

    def _items(self, name: str) -> list[tuple[int, int]]:
        printed = self._maps.get(name)
        return list(unsigned_items(printed.values)) if printed else []

    def _arrays(self, name: str) -> tuple[Keys, Counts]:
        printed = self._maps.get(name)
        if printed is not None and set(map(type, printed.values.values())) == {int}:
            # Nearly always: thousands of pairs a second, read three times as fast as one by one.
            try:
                plain = np.fromiter(map(int, printed.values), np.int64, len(printed.values)).view(np.uint64)
                counts = np.fromiter(printed.values.values(), np.int64, len(plain))
                if counts.max() <= MAX_COUNT and counts.min() >= -MAX_COUNT:
                    return plain, counts
            except (ValueError, OverflowError):
                pass
        items = [(key, value) for key, value in self._items(name) if abs(value) <= MAX_COUNT]
        keys = np.array([key for key, _ in items], np.uint64)
        return keys, np.array([value for _, value in items], np.int64)

    def _keys(self, name: str) -> tuple[int, ...] | None:
        if name not in self._maps:
            return None
        return tuple(sorted(key for key, _ in self._items(name) if 0 < key < wire.NOBODY))

    def _scalar(self, name: str) -> int:
        printed = self._maps.get(name)
        return (number(printed.values.get("")) or 0) if printed else 0

    def _words(self, halves: tuple[str, str], length: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Keys with their tuples of ``length`` unsigned numbers."""
        for name in halves:
            printed = self._maps.get(name)
            for key, value in printed.values.items() if printed else ():
                code = number(key)
                if code is not None and isinstance(value, list) and len(value) == length:
                    words = [number(word) for word in value]
                    if None not in words:
                        yield code, tuple((word or 0) & (1 << 64) - 1 for word in words)
