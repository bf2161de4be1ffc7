"""Clients by network: /24 of IPv4, /64 of IPv6. Counts of a group are the sum of its members', so nothing is lost."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from bpftop import wire
from bpftop.model import Keyed, Names
from bpftop.stats.distinct import distinct, merge
from bpftop.stats.keys import KeyNames
from bpftop.stats.tick import Keys
from bpftop.stats.totals import LOW, SHIFT

V4_MASK = np.uint64(int.from_bytes(b"\xff\xff\xff\x00", sys.byteorder))
"""An IPv4 code is the address as it lies in memory."""
_SIX = np.uint64(wire.IPV6_BIT)
_MEASURE = np.uint64(wire.CLIENT_MEASURE_SHIFT)


def network_of(address: str) -> str:
    """``10.0.3.0/24`` or ``2001:db8:0:1::/64``; what is no address stays as it is."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network(f"{address}/{24 if ip.version == 4 else 64}", strict=False))


def spread(keyed: Keyed) -> Keyed:
    """The same counts with those that are known by network only under the network's first address."""
    if keyed.networks is None:
        return keyed
    rest = keyed.networks
    return Keyed(*merge(np.append(keyed.keys, rest.keys), np.append(keyed.counts, rest.counts)), keyed.incomplete)


class NetworkKeys:
    """Turns keys of clients into keys of their networks, under the code of the network's first address.

    Keys of other measures than ``by_client`` (ids from 1) and of clients without a known address are of ``others``.
    """

    def __init__(self, names: KeyNames, by_client: Collection[int]) -> None:
        self._names = names
        self._by_client = np.array(sorted(by_client), np.uint64)

    def __call__(self, keys: Keys) -> Keys:
        """In the order of ``keys`` (entries,), so that counts go with them."""
        codes = keys >> SHIFT
        mine = np.isin((keys >> _MEASURE) & np.uint64(wire.CLIENT_MEASURE_MASK), self._by_client)
        networks = np.where(codes & _SIX, np.uint64(wire.OTHERS), codes & V4_MASK)
        six = np.flatnonzero(mine & (codes & _SIX > 0))
        if len(six):
            found, inverse = distinct(codes[six])
            known = self._names.networks_of(found.tolist())
            networks[six] = np.array([known.get(code, wire.OTHERS) for code in found.tolist()], np.uint64)[inverse]
        out: Keys = np.where(mine, networks << SHIFT, np.uint64(0)) | (keys & LOW)
        return out


class Networks:
    """The codes of the networks in some keyed counts."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._sixes: dict[int, int] = {}
        """By client code: the code of its network, IPv6."""
        self._labels: dict[int, str] = {}

    def grouped(self, keyed: Keyed) -> Keyed:
        """The same counts by network, also those of clients that are not kept one by one.

        Incomplete only when some counts are of no known network.
        """
        keys, counts = (self.codes(keyed.keys >> SHIFT) << SHIFT) | (keyed.keys & LOW), keyed.counts
        if (rest := keyed.networks) is not None:
            keys = np.concatenate([keys, rest.keys, rest.keys & LOW])
            counts = np.concatenate([counts, rest.counts, -rest.counts])
        keys, counts = merge(keys, counts)
        nobody = counts[: np.searchsorted(keys, np.uint64(1) << SHIFT)]
        return Keyed(keys, counts, keyed.missing or bool((nobody > 0).any()), missing=keyed.missing)

    def codes(self, clients: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The code of the network of each client code. Any shape; ``others`` stay what they are."""
        out = clients & V4_MASK
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
