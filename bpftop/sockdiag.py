"""The kernel's table of TCP sockets over netlink, as ``ss`` reads it: sock_diag(7).

struct inet_diag_req, inet_diag_msg and the attributes are in include/uapi/linux/inet_diag.h.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import closing

LISTEN = 10
_SOCK_DIAG = 4
_ALL_FAMILIES, _DUMP, _DONE, _ERROR = 18, 0x301, 3, 2
"""TCPDIAG_GETSOCK is of no family: IPv4 and IPv6 in one walk through the kernel's tables, which takes milliseconds for
others than listening ones. /proc/net/tcp walks through all of them always."""
_HEADER, _REQUEST = struct.Struct("=IHHII"), struct.Struct("=BBBB48xII")
MESSAGE = struct.Struct("=BBBB2s2s16s16sI8sIIIII")
"""struct inet_diag_msg; ports in the network's order."""
_CLONE_NEWNET = 0x40000000
_TIMEOUT_S = 2.0
_LONGEST = 1 << 15
"""The kernel gives no larger piece at once (netlink_dump in net/netlink/af_netlink.c)."""


def dump(pid: int, states: int, extension: int = 0) -> Iterator[bytes]:
    """Each socket in one of these states (a bit for each), in the network namespace of this process: ``MESSAGE`` and
    the attributes. ``extension``: one that is asked for. Raises OSError when the kernel does not tell."""
    with closing(_in_namespace(pid)) as asked:
        asked.settimeout(_TIMEOUT_S)
        request = _REQUEST.pack(socket.AF_INET, 0, 0, extension, states, 0)
        asked.send(_HEADER.pack(_HEADER.size + len(request), _ALL_FAMILIES, _DUMP, 1, 0) + request)
        while True:
            data, at = asked.recv(_LONGEST), 0
            while at + _HEADER.size <= len(data):
                length, kind, *_ = _HEADER.unpack_from(data, at)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError(-struct.unpack_from("=i", data, at + _HEADER.size)[0], "sock_diag")
                yield data[at + _HEADER.size : at + length]
                at += (length + 3) & ~3


def listening(pid: int) -> dict[int, int]:
    """Listening TCP sockets in the network namespace of the process: inode to port. Raises OSError."""
    found = (MESSAGE.unpack_from(message) for message in dump(pid, 1 << LISTEN))
    return {fields[14]: int.from_bytes(fields[4], "big") for fields in found}


def _in_namespace(pid: int) -> socket.socket:
    """A socket to ask with: it stays in the network namespace in which it was made."""
    theirs, ours = f"/proc/{pid}/ns/net", "/proc/thread-self/ns/net"  # of this thread
    try:
        foreign = os.readlink(theirs) != os.readlink(ours)
    except OSError:
        foreign = False  # we may not know: then we look at ours
    if not foreign:
        return _ask()
    with open(theirs) as wanted, open(ours) as back:
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
