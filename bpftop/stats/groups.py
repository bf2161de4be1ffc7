"""Clients by network: /24 of IPv4, /64 of IPv6. Counts of a group are the sum of its members', so nothing is lost."""

from __future__ import annotations

import ipaddress
import sys

import numpy as np
from numpy.typing import NDArray

from bpftop import wire
from bpftop.model import Keyed, Names
from bpftop.stats.distinct import merge

_SHIFT = np.uint64(wire.CLIENT_SHIFT)
_LOW = np.uint64((1 << wire.CLIENT_SHIFT) - 1)
_V4_MASK = np.uint64(int.from_bytes(b"\xff\xff\xff\x00", sys.byteorder))
"""An IPv4 code is the address as it lies in memory."""


def network_of(address: str) -> str:
    """``10.0.3.0/24`` or ``2001:db8:0:1::/64``; what is no address stays as it is."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{address}/{24 if ip.version == 4 else 64}", strict=False))


class Networks:
    """The codes of the networks in some keyed counts."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._sixes: dict[int, int] = {}
        """By client code: the code of its network, IPv6."""
        self._labels: dict[int, str] = {}

    def grouped(self, keyed: Keyed) -> Keyed:
        """The same counts by network."""
        networks = self.codes(keyed.keys >> _SHIFT)
        keys, counts = merge((networks << _SHIFT) | (keyed.keys & _LOW), keyed.counts)
        return Keyed(keys, counts, keyed.incomplete)

    def codes(self, clients: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The code of the network of each client code. Any shape; ``others`` stay what they are."""
        out = clients & _V4_MASK
        six = np.flatnonzero(clients & np.uint64(wire.IPV6_BIT))
        if len(six):
            found, inverse = np.unique(clients[six], return_inverse=True)
            out[six] = np.array([self._six(code) for code in found.tolist()], np.uint64)[inverse]
        return out

    def _six(self, code: int) -> int:
        if code not in self._sixes:
            label = network_of(self._names.of_kind("client", code))
            known = label.endswith("/64")
            group = wire.client_code(label.removesuffix("/64")) if known else code
            self._sixes[code], self._labels[group] = group, label
        return self._sixes[code]

    def label(self, code: int) -> str:
        """The network that a code stands for."""
        return self._labels.get(code) or f"{wire.ipv4_text(code & 0xFFFFFFFF)}/24"
