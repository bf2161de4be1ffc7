"""What the 48-bit key of an observation is called: an address, a process, a system call, a route."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Mapping

from bpftop import wire
from bpftop.model import Measure
from bpftop.stats.devices import device_name
from bpftop.stats.routes import Routes, is_line
from bpftop.syscalls import syscall_name

Words = tuple[int, ...]
KNOWN = 65_536
"""Names kept of each sort; keys beyond keep their numbers."""
EVENT_KINDS = ("peer", "route", "syscall", "device")
"""Kinds that have names without a measure: a field of an event that is called like one is shown by name."""


class KeyNames:
    """The names of all keys of a session.

    ``comm_of`` says what a process or thread is called, empty when unknown; ``device_of`` the same of a device.
    """

    def __init__(
        self, comm_of: Callable[[int], str] = lambda _: "", device_of: Callable[[int], str] = device_name
    ) -> None:
        self._comm_of = comm_of
        self._comms: dict[int, str] = {}
        self._addresses: dict[int, tuple[int, int]] = {}
        self._words: dict[int, Words] = {}
        self.routes = Routes()
        self._kinds: dict[str, Callable[[int], str]] = {
            "client": self._client,
            "peer": self._peer,
            "pid": self._process,
            "tid": self._process,
            "route": self.routes.line,
            "syscall": _syscall,
            "device": device_of,
        }

    def learn(self, addresses: Mapping[int, tuple[int, int]], words: Mapping[int, Words]) -> None:
        """Take what one tick said."""
        for code, halves in addresses.items():
            if code in self._addresses or len(self._addresses) < KNOWN:
                self._addresses[code] = halves
        for code, value in words.items():
            if not is_line(value) and (code in self._words or len(self._words) < KNOWN):
                self._words[code] = value
        self.routes.learn(words)

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

    def _process(self, code: int) -> str:
        comm = self._comms.get(code) or self._comm_of(code)
        if comm and len(self._comms) < KNOWN:
            self._comms[code] = comm  # it may have ended by the time of the next look
        return f"{comm} {code}" if comm else str(code)


def _syscall(code: int) -> str:
    """Its number and one, since key 0 stands for others and ``read`` is 0."""
    return syscall_name(code - 1) if code else "none"


def _number(code: int) -> str:
    return f"#{code:x}"


def _memory_text(words: Words) -> str:
    """The text whose memory these words are, up to the first NUL; an abstract socket's leading NUL becomes ``@``."""
    raw = b"".join((word & (1 << 64) - 1).to_bytes(8, sys.byteorder) for word in words)
    if raw[:1] == b"\0" and raw.strip(b"\0"):
        raw = b"@" + raw[1:]
    return os.fsdecode(raw.partition(b"\0")[0]).encode("utf-8", "replace").decode()
