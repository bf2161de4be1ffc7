"""A recording without its compression and checksums, so that a mutation of it reaches what lies behind them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from bpftop.recording.blocks import MAGIC, Block, Kind
from bpftop.recording.codec import seal, unseal

_BLOCK = struct.Struct("<BBHQQB")
_SECTION = struct.Struct("<BI")
_HEAD = struct.Struct("<4sBBHQQI")
_CRC_SIZE = 4


def opened(recording: bytes) -> bytes:
    """Heads and sections of a good recording, one after the other, in the clear."""
    parts = []
    at = len(MAGIC)
    while at < len(recording):
        _, kind, track, frames, first, last, length = _HEAD.unpack_from(recording, at)
        at += _HEAD.size + _CRC_SIZE
        sections = unseal(recording[at : at + length])
        at += length
        parts.append(_BLOCK.pack(kind, track, frames, first, last, len(sections)))
        for number, raw in sections.items():
            parts += [_SECTION.pack(number, len(raw)), raw]
    return b"".join(parts)


def sealed(data: bytes) -> bytes:
    """A recording with right checksums, whatever ``data`` is; what is cut off at its end is left out."""
    out, crc = [MAGIC], 0
    file = io.BytesIO(data)
    while head := file.read(_BLOCK.size):
        kind, track, frames, first, last, many = _BLOCK.unpack(head.ljust(_BLOCK.size, b"\0"))
        payload = seal(dict(_sections(file, many)))
        block, crc = Block(Kind((kind - 1) % len(Kind) + 1), track, frames, first, last, payload).sealed(crc)
        out.append(block)
    return b"".join(out)


def _sections(file: io.BytesIO, many: int) -> Iterator[tuple[int, bytes]]:
    for _ in range(min(many, 8)):
        head = file.read(_SECTION.size)
        if len(head) < _SECTION.size:
            return
        number, length = _SECTION.unpack(head)
        yield number, file.read(length)
