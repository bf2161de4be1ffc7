"""Arrays of whole numbers as few bytes, and back. What is read is never trusted: every length is checked first.

A column of numbers is written byte by byte: the lowest bytes of all, then the next ones. Counts differ in their low
bytes only, so that LZMA, which adapts to how often each byte comes, gets within some percent of their entropy.
"""

from __future__ import annotations

import lzma
import struct
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Counts

MAX_RAW = 16 << 20
"""No section is longer than this before it is compressed; what claims to be is refused."""
_FILTERS = [
    {
        "id": lzma.FILTER_LZMA1,
        "dict_size": 1 << 20,
        "lc": 4,
        "lp": 0,
        "pb": 0,
        "mode": lzma.MODE_NORMAL,
        "nice_len": 32,
        "mf": lzma.MF_HC4,
    }
]
_COLUMN = struct.Struct("<IB")
_SECTION = struct.Struct("<BII")
_SIGNED = 0x80


class Damaged(Exception):
    """The bytes are not what they should be: the message says what, in words for people."""


def pack(columns: Iterable[NDArray[np.generic]]) -> bytes:
    """Columns of 64-bit integers, each of any length."""
    return b"".join(_packed(np.ascontiguousarray(column).view(np.int64)) for column in columns)


def _packed(column: Counts) -> bytes:
    signed = bool((column < 0).any())
    plain = ((column << 1) ^ (column >> 63)) if signed else column
    width = max(1, (int(plain.view(np.uint64).max()).bit_length() + 7) // 8) if len(plain) else 1
    planes = plain.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].T
    return _COLUMN.pack(len(column), width | (_SIGNED if signed else 0)) + planes.tobytes()


def unpack(data: bytes) -> Iterator[Counts]:
    """The columns of ``pack``, as int64. Raises Damaged."""
    at = 0
    while at < len(data):
        if at + _COLUMN.size > len(data):
            raise Damaged("a column has no beginning")
        length, kind = _COLUMN.unpack_from(data, at)
        width = kind & ~_SIGNED
        at += _COLUMN.size
        if not 1 <= width <= 8 or length * width > len(data) - at:
            raise Damaged("a column is longer than its section")
        wide = np.zeros((length, 8), np.uint8)
        wide[:, :width] = np.frombuffer(data, np.uint8, length * width, at).reshape(width, length).T
        at += length * width
        plain = wide.reshape(-1).view("<u8").astype(np.uint64)
        if kind & _SIGNED:
            plain = (plain >> np.uint64(1)) ^ (~(plain & np.uint64(1)) + np.uint64(1))
        yield plain.view(np.int64)


def seal(sections: Mapping[int, bytes]) -> bytes:
    """Sections by number, each compressed by itself."""
    parts = []
    for number, raw in sections.items():
        if len(raw) > MAX_RAW:
            raise ValueError(f"section {number} has {len(raw)} bytes")
        # A small dictionary for little: clearing a large one takes longer than the rest.
        size = min(max(1 << len(raw).bit_length(), 4096), int(_FILTERS[0]["dict_size"]))
        packed = lzma.compress(raw, lzma.FORMAT_RAW, filters=[{**_FILTERS[0], "dict_size": size}])
        parts += [_SECTION.pack(number, len(raw), len(packed)), packed]
    return b"".join(parts)


def unseal(data: bytes, wanted: frozenset[int] | None = None) -> dict[int, bytes]:
    """The sections of ``seal``, or only those that are wanted. Raises Damaged."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + _SECTION.size > len(data):
            raise Damaged("a section has no beginning")
        number, raw, packed = _SECTION.unpack_from(data, at)
        at += _SECTION.size
        if raw > MAX_RAW or packed > len(data) - at or number in found:
            raise Damaged("a section has an impossible length")
        if wanted is None or number in wanted:
            found[number] = _inflated(data[at : at + packed], raw)
        at += packed
    return found


def _inflated(packed: bytes, length: int) -> bytes:
    """Exactly so many bytes, never more."""
    try:
        reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
        raw = reader.decompress(packed, length + 1)
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise Damaged("a section cannot be decompressed") from error
    if len(raw) != length:
        raise Damaged("a section has another length than it says")
    return raw
