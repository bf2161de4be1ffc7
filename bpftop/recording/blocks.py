"""The file as blocks, one after the other, each with a head, a length and a checksum over itself and all before it.

After a kill or on a full disk everything up to the last whole block can be read. The checksum (CRC-32) begins with that
of the block before, so a block that is missing, doubled or from another file shows.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

from bpftop.recording.codec import Damaged
from bpftop.recording.files import FAMILY

MAGIC = b"bpftop recording 1\n"
"""The version of the format is in here: a file of another one is refused, in words."""
_HEAD = struct.Struct("<4sBBHQQI")
_CRC = struct.Struct("<I")
_MARK = b"BLK\n"
HEAD_SIZE = _HEAD.size + _CRC.size
MAX_LENGTH = 64 << 20
_CHUNK = 1 << 20


class Kind(IntEnum):
    """What a block holds."""

    HEADER = 1
    """Where and when it was recorded, and with what. The first one."""
    TRACK = 2
    """A bpftrace that was recorded, and what it measured."""
    FRAMES = 3
    """Some seconds of one track."""
    SUM = 4
    """The sum of all frames of one track up to here: nobody has to read them to begin later."""
    TRACK_END = 5
    """The track was taken away."""
    END = 6
    """The recording was ended properly."""


@dataclass(frozen=True, slots=True)
class Block:
    """One block, its payload in the file or in memory."""

    kind: Kind
    track: int = 0
    frames: int = 0
    first_unix_ns: int = 0
    last_unix_ns: int = 0
    payload: bytes = b""
    """Empty when it is in the file only."""
    offset: int = 0
    """Of the payload in the file."""
    length: int = 0

    def head(self) -> bytes:
        """Everything in front of the checksum."""
        counts = (self.kind, self.track, self.frames, self.first_unix_ns, self.last_unix_ns, len(self.payload))
        return _HEAD.pack(_MARK, *counts)

    def sealed(self, before: int) -> tuple[bytes, int]:
        """The bytes of the block, and its checksum; ``before``: that of the block in front of it."""
        head = self.head()
        crc = zlib.crc32(self.payload, zlib.crc32(head, before))
        return head + _CRC.pack(crc) + self.payload, crc


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a file holds."""

    blocks: tuple[Block, ...]
    problem: str
    """Why reading stopped before the end of the file; empty when it did not."""
    size: int
    """Bytes that are whole."""


def scan(file: BinaryIO) -> Scanned:
    """Read the heads of all whole blocks and check every byte. Raises Damaged when it is no recording at all."""
    size = os.fstat(file.fileno()).st_size
    magic = file.read(len(MAGIC))
    if magic != MAGIC:
        raise Damaged(_no_magic(magic))
    blocks: list[Block] = []
    at, crc, problem = len(MAGIC), 0, ""
    while at < size and not problem:
        found, crc, problem = _next(file, at, size - at, crc)
        if found is not None:
            blocks.append(found)
            at = found.offset + found.length
    return Scanned(tuple(blocks), problem, at)


def _no_magic(magic: bytes) -> str:
    if not magic.startswith(FAMILY) or len(magic) < len(MAGIC):
        return "is no recording of bpftop, or was cut in its first bytes"
    version = magic[len(FAMILY) :].decode("ascii", "replace").strip()
    return f"has format {version[:8]!r}, this bpftop reads format 1: it was made by another version"


def _next(file: BinaryIO, at: int, room: int, before: int) -> tuple[Block | None, int, str]:
    """The block at this place, its checksum, and what is wrong with it."""
    cut = f"cut off at byte {at:,}"
    if room < HEAD_SIZE:
        return None, before, cut
    head = file.read(HEAD_SIZE)
    mark, kind, track, frames, first, last, length = _HEAD.unpack_from(head)
    crc = zlib.crc32(head[: _HEAD.size], before)
    if mark != _MARK or kind not in Kind._value2member_map_ or length > MAX_LENGTH:
        return None, before, f"damaged at byte {at:,}"
    if length > room - HEAD_SIZE:
        return None, before, cut
    left = length
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            return None, before, cut
        crc = zlib.crc32(chunk, crc)
        left -= len(chunk)
    if crc != _CRC.unpack_from(head, _HEAD.size)[0]:
        return None, before, f"damaged at byte {at:,}"
    return Block(Kind(kind), track, frames, first, last, b"", at + HEAD_SIZE, length), crc, ""
