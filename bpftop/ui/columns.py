"""Rows of a table as columns, each made once when it is first asked for: filters look at all rows at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import chain
from socket import AF_INET, AF_INET6, inet_pton

import numpy as np
from numpy.typing import NDArray

Figures = NDArray[np.float64]
"""One number a row, in ns or plain; NaN where a row does not have it."""
Positions = NDArray[np.intp]


def figures(values: Iterable[float | None]) -> Figures:
    """A column of numbers; None becomes NaN."""
    return np.array(list(values), np.float64)


class Addresses:
    """The addresses in the texts of rows as numbers."""

    def __init__(self, texts: Sequence[str]) -> None:
        found = list(map(_packed, texts))
        self._count = len(texts)
        self._rows = np.repeat(np.arange(len(found)), list(map(len, found)))
        self._numbers = _words(b"".join(chain.from_iterable(found))).reshape(-1, _WORDS)

    def inside(self, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> NDArray[np.bool_]:
        """Which rows have an address in the network; shape (rows,)."""
        found = np.zeros(self._count, np.bool_)
        mask, base = _words(_laid_out(network.netmask.packed)), _words(_laid_out(network.network_address.packed))
        mask = np.append(mask[:-1], np.uint32(0xFFFFFFFF))
        found[self._rows[((self._numbers & mask) == base).all(axis=1)]] = True
        return found


_WORDS = 5
"""Of four bytes each: an address as it is on the wire, IPv4 with zeros behind it, and then how long it is."""


_LENGTH = (b"\0\0\0\4", b"\0\0\0\20")


def _laid_out(packed: bytes) -> bytes:
    return packed.ljust(16, b"\0") + _LENGTH[len(packed) == 16]


def _words(laid_out: bytes) -> NDArray[np.uint32]:
    return np.frombuffer(laid_out, np.uint32)


@lru_cache(maxsize=1 << 17)
def _packed(text: str) -> tuple[bytes, ...]:
    """The addresses in a text, with ports or not. Kept, since the same texts come again with every snapshot."""
    try:  # most texts are one address and nothing else
        return (inet_pton(AF_INET6 if ":" in text else AF_INET, text).ljust(16, b"\0") + _LENGTH[":" in text],)
    except (OSError, ValueError):
        return tuple(_laid_out(each) for each in map(_address, text.split()) if each is not None)


def _address(part: str) -> bytes | None:
    """The bytes of an address; None when it is none."""
    colons = part.count(":")
    bare = part[1:].partition("]")[0] if part.startswith("[") else part.partition(":")[0] if colons == 1 else part
    try:
        return ipaddress.ip_address(bare).packed
    except ValueError:
        return None


class Columns:
    """The columns of some rows."""

    def __init__(
        self, count: int, texts: Callable[[], Iterable[str]], figure: Callable[[str], Iterable[float | None]]
    ) -> None:
        self.count = count
        """How many rows there are."""
        self._texts, self._figure = texts, figure
        self._figures: dict[str, Figures] = {}

    @cached_property
    def texts(self) -> list[str]:
        """Everything in each row that can be read, in lower case."""
        return [text.lower() for text in self._texts()]

    @cached_property
    def addresses(self) -> Addresses:
        """The addresses in the texts."""
        return Addresses(self.texts)

    def figure(self, name: str) -> Figures:
        """A figure by its name."""
        if name not in self._figures:
            self._figures[name] = figures(self._figure(name))
        return self._figures[name]
