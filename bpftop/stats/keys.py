"""What the 48-bit key of an observation is called: an address, a process, a system call, a route."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from bpftop import wire
from bpftop.model import Measure
from bpftop.stats.devices import device_name
from bpftop.stats.routes import Routes, is_line
from bpftop.stats.tick import Named
from bpftop.syscalls import syscall_name

Words = tuple[int, ...]
_Name = TypeVar("_Name")
KNOWN = 65_536
"""Names kept of each sort; keys beyond keep their numbers."""
EVENT_KINDS = ("peer", "route", "syscall", "device")
"""Kinds that have names without a measure: a field of an event that is called like one is shown by name."""


class KeyNames:
    """The names of all keys of a session.

    ``comm_of`` says what a process or thread is called, empty when unknown; ``device_of`` the same of a device.
    ``machine``: whose system calls have numbers; empty for this one.
    """

    def __init__(
        self,
        comm_of: Callable[[int], str] = lambda _: "",
        device_of: Callable[[int], str] = device_name,
        machine: str = "",
    ) -> None:
        self._comm_of, self._device_of = comm_of, device_of
        self._comms: dict[int, str] = {}
        self._devices: dict[int, str] = {}
        self._addresses: dict[int, tuple[int, int]] = {}
        self._firsts: dict[int, tuple[int, int]] = {}
        self._words: dict[int, Words] = {}
        self.routes = Routes()
        self.learned = 0
        """Changes whenever a name may have."""
        self._kinds: dict[str, Callable[[int], str]] = {
            "client": self._client,
            "peer": self._peer,
            "pid": self._process,
            "tid": self._process,
            "route": self.routes.line,
            "syscall": partial(_syscall, machine),
            "device": self._device,
        }

    def learn(self, addresses: Mapping[int, tuple[int, int]], words: Mapping[int, Words]) -> Named:
        """Take what one tick said; returns what is new of it."""
        others = {code: value for code, value in words.items() if not is_line(value)}
        new, new_words = _added(self._addresses, addresses), _added(self._words, others)
        self.learned += bool(new or new_words or len(others) < len(words))
        return Named(new, new_words, self.routes.learn(words))

    def networks_of(self, codes: Iterable[int]) -> dict[int, int]:
        """By IPv6 client the code of the first address in its /64, which gets a name; some clients are not known."""
        found = {}
        for code in codes:
            if (halves := self._addresses.get(code)) is None:
                continue
            first = wire.ipv6_code(halves[0], 0)
            if first not in self._addresses:
                self._firsts |= _added(self._addresses, {first: (halves[0], 0)})
            if first in self._addresses:
                found[code] = first
        return found

    def new_networks(self) -> dict[int, tuple[int, int]]:
        """The names that ``networks_of`` has given since this was asked."""
        new, self._firsts = self._firsts, {}
        self.learned += bool(new)
        return new

    def resolve(self, sort: str, codes: Iterable[int]) -> dict[int, str]:
        """Ask now for the names of processes (``sort``: ``processes``) or ``devices``; those that were found anew."""
        known, ask = (self._comms, self._comm_of) if sort == "processes" else (self._devices, self._device_of)
        new = _added(known, {code: name for code in codes if code not in known and (name := ask(code))})
        self.learned += bool(new)
        return new

    def adopt(self, names: Named) -> None:
        """Take names that were found elsewhere."""
        self.learned += 1
        self._addresses.update(names.addresses)
        self._words.update(names.words)
        self._comms.update(names.processes)
        self._devices.update(names.devices)
        self.routes.adopt(names.routes, names.lines)

    def all(self) -> Named:
        """Everything that is known."""
        routes, lines = self.routes.all()
        return Named(dict(self._addresses), dict(self._words), routes, lines, dict(self._comms), dict(self._devices))

    def name(self, measure: Measure, code: int) -> str:
        """The name of a key of ``measure``."""
        if measure.key == "label":
            return measure.labels[code - 1] if 0 < code <= len(measure.labels) else f"#{code}"
        return self.routes.name(code) if measure.key == "route" else self.of_kind(measure.key, code)

    def of_kind(self, kind: str, code: int) -> str:
        """The name of a key of this kind; a number where nothing is known."""
        return self._kinds.get(kind, _number)(code)

    def _client(self, code: int) -> str:
        if code in self._addresses:
            return wire.ipv6_text(*self._addresses[code])
        return f"ipv6#{code & ~wire.IPV6_BIT:012x}" if code & wire.IPV6_BIT else wire.ipv4_text(code & 0xFFFFFFFF)

    def _peer(self, code: int) -> str:
        words = self._words.get(code)
        if words is None:
            return _number(code)
        family, first, second, port = words[:4]
        if family == socket.AF_UNIX:
            return f"unix:{_memory_text(words[1:])}"
        if family == socket.AF_INET6:
            address = ipaddress.IPv6Address(wire.ipv6_text(first, second))
            return f"{address.ipv4_mapped}:{port}" if address.ipv4_mapped else f"[{address}]:{port}"
        return f"{wire.ipv4_text(first & 0xFFFFFFFF)}:{port}"

    def _device(self, code: int) -> str:
        return self._devices.get(code) or self._device_of(code)

    def _process(self, code: int) -> str:
        comm = self._comms.get(code) or self._comm_of(code)
        if comm and len(self._comms) < KNOWN:
            self._comms[code] = comm  # it may have ended by the time of the next look
        return f"{comm} {code}" if comm else str(code)


def _added(known: dict[int, _Name], more: Mapping[int, _Name]) -> dict[int, _Name]:
    """Add as many as may be kept; those that were not known, or known as something else."""
    new = {}
    for code, name in more.items():
        if known.get(code) != name and (code in known or len(known) < KNOWN):
            known[code] = new[code] = name
    return new


def _syscall(machine: str, code: int) -> str:
    """Its number and one, since key 0 stands for others and ``read`` is 0."""
    return syscall_name(code - 1, machine) if code else "none"


def _number(code: int) -> str:
    return f"#{code:x}"


def _memory_text(words: Words) -> str:
    """The text whose memory these words are, up to the first NUL; an abstract socket's leading NUL becomes ``@``."""
    raw = b"".join((word & (1 << 64) - 1).to_bytes(8, sys.byteorder) for word in words)
    if raw[:1] == b"\0" and raw.strip(b"\0"):
        raw = b"@" + raw[1:]
    return os.fsdecode(raw.partition(b"\0")[0]).encode("utf-8", "replace").decode()
