"""The TCP sockets of a network namespace with the kernel's clocks of each, as ``ss -ti`` reads them.

The layout of struct tcp_info is in include/uapi/linux/tcp.h; it only grows.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from bpftop.sockdiag import LISTEN, MESSAGE, dump

_INFO = 2
"""INET_DIAG_INFO: a struct tcp_info."""
ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING = 1, 4, 8, 9, 11
OPEN = (ESTABLISHED, CLOSE_WAIT)
"""States in which the process has not closed it."""
_STATES = sum(1 << state for state in (ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING))
_ATTRIBUTE = struct.Struct("=HH")
_CLOCKS = struct.Struct("=44xI4xI44xI16xQQ20xI16xQ")
"""Of struct tcp_info: milliseconds since data was last sent, and last came; segments sent again; bytes acknowledged by
the other side, and received; segments with data sent, those sent again included (since Linux 4.6); microseconds in
which the other side had no room (rwnd_limited, since 4.10)."""
_LEAST = 136
"""Bytes of that which every kernel gives."""


class Socket(NamedTuple):
    """One connection, or one that listens."""

    state: int
    port: int
    peer: str
    peer_port: int
    inode: int
    """0 while nobody has accepted it."""
    unread: int
    """Bytes that came and were not read; of one that listens: connections that nobody has accepted."""
    unsent: int
    """Bytes not acknowledged; of one that listens: how many connections may wait."""
    sent_ms: int = 0
    """Since something was last sent."""
    received_ms: int = 0
    acked: int = 0
    received: int = 0
    resent: int = 0
    segments: int = 0
    """Segments with data sent, those sent again included."""
    no_room_us: int = 0
    """How long we could not send, because the other side had no room: it does not read."""

    @property
    def asked(self) -> bool:
        """Whether the last word came from the other side. Two words within one jiffy cannot be told apart: no then,
        unless nothing was ever sent."""
        never = self.acked <= 1 and self.unsent == 0  # a SYN may count as a byte
        return self.received > 0 and (self.received_ms < self.sent_ms or never)

    @property
    def asking(self) -> bool:
        """Whether the last word was ours."""
        return self.sent_ms < self.received_ms and (self.acked > 1 or self.unsent > 0)


def sockets_of(pid: int, all_of_them: bool = True) -> list[Socket]:
    """Of this process's network: all, or those that listen. Raises OSError when the kernel does not tell."""
    if all_of_them:
        return [_read(each) for each in dump(pid, _STATES, 1 << (_INFO - 1))]
    return [_read(each) for each in dump(pid, 1 << LISTEN)]


def _read(message: bytes) -> Socket:
    """One answer."""
    family, state, _, _, port, peer_port, _, peer, _, _, _, unread, unsent, _, inode = MESSAGE.unpack_from(message)
    found = (state, int.from_bytes(port, "big"), _address(family, peer), int.from_bytes(peer_port, "big"), inode)
    at = MESSAGE.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _INFO and length >= _ATTRIBUTE.size + _LEAST:
            info = message[at + _ATTRIBUTE.size : at + length].ljust(_CLOCKS.size, b"\0")
            sent, received, again, acked, came, segments, no_room = _CLOCKS.unpack_from(info)
            return Socket(*found, unread, unsent, sent, received, acked, came, again, segments, no_room)
        at += max((length + 3) & ~3, _ATTRIBUTE.size)
    return Socket(*found, unread, unsent)


def _address(family: int, raw: bytes) -> str:
    """IPv4-mapped IPv6 is IPv4, as everywhere."""
    if family == socket.AF_INET:
        return socket.inet_ntop(family, raw[:4])
    if raw.startswith(b"\0" * 10 + b"\xff\xff"):
        return socket.inet_ntop(socket.AF_INET, raw[12:])
    return socket.inet_ntop(family, raw)


def place(each: Socket) -> str:
    """The other end of a connection, as the script ``upstream`` names it."""
    return f"[{each.peer}]:{each.peer_port}" if ":" in each.peer else f"{each.peer}:{each.peer_port}"
