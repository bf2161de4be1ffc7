"""Clients that are in the totals and in no table: health checks, monitoring."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bpftop import wire
from bpftop.model import EventStream, Standstill
from bpftop.stats.tick import Keys

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_CLIENT = np.uint64(wire.CLIENT_SHIFT)
_LOW = np.uint64((1 << wire.CLIENT_SHIFT) - 1)
_MEASURE = np.uint64(wire.CLIENT_MEASURE_SHIFT)


class Excluded:
    """Which client codes (bpftop.wire) are inside the networks."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = networks
        self._v4 = [(int(n.network_address), int(n.netmask)) for n in networks if n.version == 4]
        self._v6 = [n for n in networks if n.version == 6]
        self._known: dict[int, bool] = {}

    def __bool__(self) -> bool:
        """Whether anybody can be excluded."""
        return bool(self._v4 or self._v6)

    def learn(self, addresses: Mapping[int, tuple[int, int]]) -> None:
        """Take the IPv6 addresses of a tick."""
        if self._v6:
            for code, halves in addresses.items():
                address = ipaddress.ip_address(wire.ipv6_text(*halves))
                self._known[code] = any(address in network for network in self._v6)

    def holds(self, code: int) -> bool:
        """Whether this client is excluded."""
        if code & wire.IPV6_BIT:
            return self._known.get(code, False)
        value = int.from_bytes((code & 0xFFFFFFFF).to_bytes(4, sys.byteorder), "big")
        return bool(code) and any(value & mask == network for network, mask in self._v4)

    def folded(self, keys: Keys, by_client: Collection[int]) -> Keys:
        """The keys of a tick, those of excluded clients in measures by client (ids from 1) as keys of ``others``."""
        if not self or not len(keys):
            return keys
        codes, inverse = np.unique(keys >> _CLIENT, return_inverse=True)
        out = np.array([self.holds(code) for code in codes.tolist()])[inverse]
        measures = (keys >> _MEASURE) & np.uint64(wire.CLIENT_MEASURE_MASK)
        return np.where(out & np.isin(measures, list(by_client)), keys & _LOW, keys)

    def without(self, seen: Standstill) -> Standstill:
        """A look at connections, in which excluded clients are counted and not named."""
        if not self:
            return seen
        clients = tuple(each for each in seen.clients if not self._has(each.name))
        resent = replace(seen.resent, clients=tuple(each for each in seen.resent.clients if not self._has(each.name)))
        return replace(seen, clients=clients, resent=resent)

    def _has(self, name: str) -> bool:
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def drops(self, stream: EventStream, numbers: Sequence[int]) -> bool:
        """Whether a single event is one of an excluded client."""
        return "client" in stream.fields and self.holds(numbers[stream.fields.index("client")])
