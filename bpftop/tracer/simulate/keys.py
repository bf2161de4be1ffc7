"""The 48-bit keys of a simulated run and the words that names are made from, as ``bt/lib`` computes them."""

from __future__ import annotations

import ipaddress
import socket
import sys

import numpy as np
from numpy.typing import NDArray

from bpftop import wire

Codes = NDArray[np.uint64]
Words = tuple[int, ...]

_MASK = (1 << 64) - 1
_MULTIPLIER = 0x1E3779B97F4A7C15
_PATH_BYTES = 56
_LINE_BYTES = 64


def line_key(line: str) -> tuple[int, Words]:
    """Key and words of ``GET /items/42``: the first 64 bytes (``bt/lib/line.bt``)."""
    words = _words(line.encode()[:_LINE_BYTES], _LINE_BYTES)
    return 1 << 47 | _mixed(0, words) >> 17, words


def peer_key(name: str) -> tuple[int, Words]:
    """Key and words of ``10.0.0.21:9000`` or ``unix:/run/app.sock`` (``bt/lib/peer.bt``)."""
    if name.startswith("unix:"):
        path = _words(name.removeprefix("unix:").encode()[-_PATH_BYTES:], _PATH_BYTES)
        return _mixed(0, path) >> 16, (int(socket.AF_UNIX), *path)
    host, _, port = name.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]"))
    if isinstance(address, ipaddress.IPv6Address):
        family, (high, low) = socket.AF_INET6, wire.halves(address)
    else:
        family, high, low = socket.AF_INET, int.from_bytes(address.packed, sys.byteorder), 0
    return _mixed(int(port), (high, low)) >> 16, (int(family), high, low, int(port), 0, 0, 0, 0)


def peer_client(name: str) -> int:
    """The client code of a peer's address; 0 for one that has none."""
    return 0 if name.startswith("unix:") else wire.client_code(name.rpartition(":")[0].strip("[]"))


def client_codes(first: str, count: int) -> Codes:
    """The client codes of ``count`` addresses one after the other; shape (count,)."""
    address = ipaddress.ip_address(first)
    if isinstance(address, ipaddress.IPv4Address):
        numbers = np.arange(count, dtype=np.uint32) + np.uint32(int(address))
        return numbers.astype(">u4").view(np.uint32).astype(np.uint64)
    high, low = ipv6_halves(first, count)
    half = np.uint64(32)
    mixed = ((high ^ (high >> half)) * np.uint64(_MULTIPLIER)) ^ ((low ^ (low >> half)) * np.uint64(0x42B2AE3D27D4EB4F))
    return np.uint64(wire.IPV6_BIT) + (mixed >> np.uint64(17))


def ipv6_halves(first: str, count: int) -> tuple[Codes, Codes]:
    """The halves of ``count`` IPv6 addresses one after the other, as the kernel reads them. Two of shape (count,)."""
    number = int(ipaddress.IPv6Address(first))
    low = np.arange(count, dtype=np.uint64) + np.uint64(number & _MASK)
    high = np.full(count, number >> 64, np.uint64)
    return high.astype(">u8").view(np.uint64), low.astype(">u8").view(np.uint64)


def _words(text: bytes, size: int) -> Words:
    padded = text.ljust(size, b"\0")
    return tuple(int.from_bytes(padded[at : at + 8], sys.byteorder) for at in range(0, size, 8))


def _mixed(start: int, words: Words) -> int:
    for word in words:
        start = (start ^ word) * _MULTIPLIER & _MASK
        start ^= start >> 29
    return start
