"""From the bytes of ``bpftrace -f json`` to typed messages. Pure: no clock, no files, no state but the half line.

Tolerates every dialect from 0.14 to 0.27: numbers as strings, blank lines, warnings between the JSON lines, keys and
bytes escaped twice or as ``\\uffffffNN``. It never raises on input; what can't be read is a ``Rejected``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from bpftop import wire
from bpftop.model import Attached, Heartbeat, Lost, MapPrint, Message, Record, Rejected, Text, Tick, TickEnd

MAX_LINE = 16 << 20
"""A keyed histogram of bpftrace can be a line of hundreds of KB; beyond this a line is rejected in pieces."""
_EVENT = re.compile(rb'\{"type": "printf", "data": "%b((?: -?[0-9]{1,20})+)(?:\\n)?"\}\Z' % wire.EVENT.encode())
"""Nearly every line is an event, written so by all versions: it needs no JSON."""
_TAGGED = re.compile(r"(?:E( -?[0-9]{1,20})+|[THt] [0-9]{1,18})\n?\Z")
_SIGN_EXTENDED = re.compile("\uffff[fF]{2}([89a-fA-F][0-9a-fA-F])")
_NO_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_MASK = (1 << 64) - 1
_MAX_COUNT = (1 << 63) - 1


class LineSplitter:
    """Cuts chunks of bytes at newlines; keeps the half line for the next chunk."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = limit
        self.oversize = 0
        """Lines that were longer than the limit and were thrown away."""
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines completed by ``chunk``, without their newlines."""
        *whole, rest = chunk.split(b"\n")
        lines = []
        for piece in whole:
            self._take(piece)
            if self._skipping:
                self._skipping = False
            else:
                lines.append(b"".join(self._parts))
            self._parts.clear()
            self._size = 0
        self._take(rest)
        return lines

    def _take(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit and not self._skipping:
            self._skipping = True
            self.oversize += 1
            self._parts.clear()
        if not self._skipping and piece:
            self._parts.append(piece)

    def rest(self) -> bytes:
        """The half line at the end of the stream."""
        return b"" if self._skipping else b"".join(self._parts)


def decode_line(line: bytes) -> Iterator[Message]:
    """The messages in one line of stdout (a line can hold several prints only in ``MapPrint`` of several maps)."""
    event = _EVENT.match(line)
    if event is not None:
        stream, *numbers = map(int, event[1].split())
        yield Record(stream, tuple(numbers))
        return
    if not line.strip():
        return
    text = line.decode("utf-8", "surrogateescape")
    if not text.startswith("{"):
        yield Text(text)
        return
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        yield Rejected(text[:200])
        return
    if not isinstance(message, dict):
        yield Rejected(text[:200])
        return
    yield from _message(message.get("type"), message, text)


def _message(kind: object, message: dict[str, object], text: str) -> Iterator[Message]:
    data = message.get("data")
    if kind == "printf" and isinstance(data, str):
        yield _printed(data)
    elif kind in ("map", "hist", "stats") and isinstance(data, dict) and data:
        for name, value in data.items():
            yield MapPrint(str(name), value if isinstance(value, dict) else {"": value})
    elif kind == "attached_probes" and isinstance(data, dict):
        yield Attached(number(data.get("probes")) or 0)
    elif kind == "lost_events" and isinstance(data, dict):
        yield Lost(number(data.get("events")) or 0)
    elif kind in ("time", "value", "join", "cat", "syscall", "helper_error", "runtime_error", "errorf", "warnf"):
        yield Text(repair(data if isinstance(data, str) else text))
    else:
        yield Rejected(text[:200])


def _printed(data: str) -> Message:
    """A printf of ours is a tag and whole numbers; anything else is text."""
    if not _TAGGED.match(data):
        tagged = data[:2] in (f"{wire.EVENT} ", f"{wire.TICK} ", f"{wire.TICK_END} ", f"{wire.HEARTBEAT} ")
        return Rejected(data[:200]) if tagged else Text(repair(data))
    tag, *words = data.split()
    numbers = tuple(map(int, words))
    if tag == wire.EVENT:
        return Record(numbers[0], numbers[1:])
    if tag == wire.HEARTBEAT:
        return Heartbeat(numbers[0])
    return Tick(numbers[0]) if tag == wire.TICK else TickEnd(numbers[0])


def number(value: object) -> int | None:
    """A whole number of 64 bits that may have come as text (0.24+ above 2**53); ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    try:
        whole = int(value)
    except ValueError:
        return None
    return whole if -_MAX_COUNT - 1 <= whole <= _MASK else None


def unsigned_items(values: object) -> Iterator[tuple[int, int]]:
    """The (key, value) pairs of a printed map with numbers on both sides; keys as unsigned 64 bits.

    Pairs that are not numbers are left out: the caller compares sums.
    """
    if isinstance(values, dict):
        for key, value in values.items():
            whole, count = number(key), number(value)
            if whole is not None and count is not None and abs(count) <= _MAX_COUNT:
                yield whole & _MASK, count


def repair(text: str) -> str:
    """Undo the sign extension of bytes above 0x7f: ``\\uffffffc3`` was the byte c3 (all versions to 0.27)."""
    if "\uffff" not in text:
        return text
    raw = _SIGN_EXTENDED.sub(lambda found: chr(0xDC00 + int(found[1], 16)), _NO_BYTES.sub("\ufffd", text))
    return raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
