"""The words between our bpftrace programs and Python: record tags, map names, how numbers are packed into map keys.

The scripts in ``bt/lib`` follow these rules; simulation writes the same bytes. One tick on the wire::

    printf "T <boot_ns>"                      interval probe; the map prints that follow belong to it
    map    @counts     measure<<16|bucket     cumulative, never cleared: global counts, 64 buckets per octave
    map    @clients_a  client<<16|measure<<10|bucket   since this half was last printed: 16 buckets per octave
           or @clients_b                      a counts in even seconds since boot, b in odd ones; the idle half is
                                              printed, then cleared
    map    @addresses_a or _b  client -> (high, low)   IPv6 clients seen since the last print of this half
    map    @names_a or _b      key -> eight words      what Python makes the names of other keys from, likewise
    map    @sent       stream                 cumulative: events sent on the events lane
    map    @untracked                         cumulative: connections that found the socket table full
    map    @target_pids, @target_ports        the target as the kernel follows it, and NOBODY
    printf "t <boot_ns>"                      the prints of this tick are complete
    printf "E <stream> <number> ..."          one event, at any time
    printf "H <cpu>"                          heartbeat, at any time

A key of ``@clients_*`` is 48 bits; its measure says what it stands for. A client is an IPv4 address as the kernel keeps
it (network order, read as a little-endian integer), or for IPv6 bit 47 and a 47-bit hash whose address is in
``@addresses``.
"""

from __future__ import annotations

import functools
import ipaddress
import sys

REQUEST, HTTP = "request", "http"
"""The streams that tell of the same events: in one program each event of the second is one of the first, too."""
EVENTS_CAP, EVENTS_CAP_BESIDE = 3, 9
"""Events of a stream in 100 ms; of one that is to have all those of a program beside this one."""
TICK = "T"
TICK_END = "t"
HEARTBEAT = "H"
EVENT = "E"

COUNTS = "@counts"
CLIENTS = ("@clients_a", "@clients_b")
ADDRESSES = ("@addresses_a", "@addresses_b")
NAMES = ("@names_a", "@names_b")
NAME_WORDS = 8
SENT = "@sent"
UNTRACKED = "@untracked"
TARGET_PIDS = "@target_pids"
TARGET_PORTS = "@target_ports"
MAPS = frozenset({COUNTS, *CLIENTS, *ADDRESSES, *NAMES, SENT, UNTRACKED, TARGET_PIDS, TARGET_PORTS})
"""Every map that is printed."""
NOBODY = 1 << 32
"""In ``@target_*``: no process and no port has this number. It gives an empty map its type and has it printed."""

MEASURE_SHIFT = 16
"""In keys of ``@counts``."""
CLIENT_SHIFT = 16
CLIENT_MEASURE_SHIFT = 10
CLIENT_BUCKET_MASK = (1 << CLIENT_MEASURE_SHIFT) - 1
CLIENT_MEASURE_MASK = 63
MAX_MEASURES = 63
IPV6_BIT = 1 << 47
OTHERS = 0
"""The client code of everything that is not kept one by one."""


def counts_key(measure: int, bucket: int) -> int:
    """The key in ``@counts`` of a 64-per-octave bucket of a measure (ids from 1)."""
    return measure << MEASURE_SHIFT | bucket


def clients_key(client: int, measure: int, bucket: int) -> int:
    """The key in ``@clients_*`` of a 16-per-octave bucket of a measure for a client code."""
    return client << CLIENT_SHIFT | measure << CLIENT_MEASURE_SHIFT | bucket


def client_code(address: str) -> int:
    """The 48-bit code of an address, as the kernel side computes it. IPv4-mapped IPv6 counts as IPv4."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is None:
            return ipv6_code(*halves(ip))
        ip = ip.ipv4_mapped
    return int.from_bytes(ip.packed, sys.byteorder)


def ipv6_code(high: int, low: int) -> int:
    """The code of the IPv6 address whose halves these are."""
    mixed = ((high ^ high >> 32) * 0x1E3779B97F4A7C15 ^ (low ^ low >> 32) * 0x42B2AE3D27D4EB4F) & (1 << 64) - 1
    return IPV6_BIT | mixed >> 17


@functools.lru_cache(maxsize=4096)
def ipv4_text(code: int) -> str:
    """The dotted address of an IPv4 client code."""
    return str(ipaddress.IPv4Address(code.to_bytes(4, sys.byteorder)))


def halves(ip: ipaddress.IPv6Address) -> tuple[int, int]:
    """The two 64-bit halves of an IPv6 address as the kernel side reads them: memory order, native integers."""
    packed = ip.packed
    return int.from_bytes(packed[:8], sys.byteorder), int.from_bytes(packed[8:], sys.byteorder)


def ipv6_text(high: int, low: int) -> str:
    """The address whose halves these are."""
    packed = high.to_bytes(8, sys.byteorder) + low.to_bytes(8, sys.byteorder)
    return str(ipaddress.IPv6Address(packed))
