"""The TCP sockets of a network namespace with the kernel's clocks of each: sock_diag(7), as ``ss -ti`` reads it.

struct inet_diag_msg and the layout of struct tcp_info are in include/uapi/linux/inet_diag.h and tcp.h; both only grow.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bpftop.procfs import PROC

_SOCK_DIAG = 4
_BY_FAMILY, _DUMP, _DONE, _ERROR = 20, 0x301, 3, 2
_INFO = 2
"""INET_DIAG_INFO: a struct tcp_info."""
ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = 1, 4, 8, 9, 10, 11
OPEN = (ESTABLISHED, CLOSE_WAIT)
"""States in which the process has not closed it."""
_STATES = sum(1 << state for state in (ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING))
_HEADER, _MESSAGE, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=BBBB2s2s16s16sI8sIIIII"), struct.Struct("=HH")
_LAST_SENT, _LAST_RECEIVED, _RESENT, _ACKED, _RECEIVED, _SEGMENTS, _NO_ROOM = 44, 52, 100, 120, 128, 156, 176
"""Places in struct tcp_info: milliseconds since data was last sent and last came; segments sent again; bytes
acknowledged by the other side, and received; segments with data sent, those sent again included (since Linux 4.6);
microseconds in which the other side had no room (rwnd_limited, since 4.10)."""
_CLONE_NEWNET = 0x40000000
_TIMEOUT_S = 2.0
_LEAST = 1 << 18


@dataclass(frozen=True, slots=True)
class Socket:
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


def sockets_of(pid: int) -> list[Socket]:
    """All of the network namespace of this process. Raises OSError when the kernel does not tell."""
    with _in_namespace(pid) as asked:
        asked.settimeout(_TIMEOUT_S)
        return [each for family in (socket.AF_INET, socket.AF_INET6) for each in _dump(asked, family)]


def _in_namespace(pid: int, proc: Path = PROC) -> socket.socket:
    """A socket to ask with: it stays in the network namespace in which it was made."""
    theirs = proc / str(pid) / "ns" / "net"
    ours = Path("/proc/thread-self/ns/net")  # of this thread
    try:
        foreign = os.readlink(theirs) != os.readlink(ours)
    except OSError:
        foreign = False  # we may not know: then we look at ours
    if not foreign:
        return _ask()
    with theirs.open() as wanted, ours.open() as back:
        _set_namespace(wanted.fileno())
        try:
            return _ask()
        finally:
            _set_namespace(back.fileno())


def _ask() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)


def _set_namespace(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _dump(asked: socket.socket, family: int) -> Iterator[Socket]:
    request = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 1 << (_INFO - 1), 0, _STATES)
    asked.send(_HEADER.pack(_HEADER.size + len(request), _BY_FAMILY, _DUMP, 1, 0) + request)
    while True:
        data, at = asked.recv(_LEAST), 0
        while at + _HEADER.size <= len(data):
            length, kind, *_ = _HEADER.unpack_from(data, at)
            if kind == _DONE:
                return
            if kind == _ERROR:
                raise OSError(-struct.unpack_from("=i", data, at + _HEADER.size)[0], "sock_diag")
            yield _read(data[at + _HEADER.size : at + length])
            at += (length + 3) & ~3


def _read(message: bytes) -> Socket:
    """One answer."""
    fields = _MESSAGE.unpack_from(message)
    family, state, port, peer_port, peer = fields[0], fields[1], fields[4], fields[5], fields[7]
    unread, unsent, _, inode = fields[11:15]
    found = (state, int.from_bytes(port, "big"), _address(family, peer), int.from_bytes(peer_port, "big"), inode)
    at = _MESSAGE.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _INFO and length >= _ATTRIBUTE.size + _RECEIVED + 8:
            info = message[at + _ATTRIBUTE.size : at + length]
            sent, received = (struct.unpack_from("=I", info, place)[0] for place in (_LAST_SENT, _LAST_RECEIVED))
            acked, came = struct.unpack_from("=QQ", info, _ACKED)
            again = struct.unpack_from("=I", info, _RESENT)[0]
            segments = struct.unpack_from("=I", info, _SEGMENTS)[0] if len(info) >= _SEGMENTS + 4 else 0
            no_room = struct.unpack_from("=Q", info, _NO_ROOM)[0] if len(info) >= _NO_ROOM + 8 else 0
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
