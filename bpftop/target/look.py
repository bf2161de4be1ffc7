"""What a target is made of, as /proc shows it: where it runs, how it talks, what no probe sees. Attaches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bpftop import procfs
from bpftop.model import Target
from bpftop.procfs import PROC
from bpftop.target.cgroups import containers, unit_of

_TLS = re.compile(r"lib(?:ssl|gnutls|nss3|wolfssl|mbedtls|rustls)[-.\d]*\.so")
_HTTP2 = re.compile(r"lib(?:nghttp2|h2o)[-.\d]*\.so")
_ESTABLISHED = "01"
_ACCEPTS = 0x10000
"""__SO_ACCEPTCON in the flags of /proc/net/unix."""


@dataclass(frozen=True, slots=True)
class Look:
    """Facts about the processes of a target; those of processes that may not be read are missing."""

    containers: tuple[str, ...] = ()
    """Ids and names of the containers around them."""
    units: tuple[str, ...] = ()
    """Their systemd units."""
    foreign: tuple[str, ...] = ()
    """The kinds of namespaces that are not ours: ``pid``, ``net``, ``mnt``, ``user``."""
    inner_pids: tuple[int, ...] = ()
    """The process ids inside their own process namespace, in the order of the target's processes; empty when ours."""
    threads: int = 0
    unix: tuple[str, ...] = ()
    """Paths of the unix sockets they listen on."""
    udp: tuple[int, ...] = ()
    """UDP ports they receive on from anybody."""
    outgoing: int = 0
    """TCP connections they opened that are open now."""
    libraries: tuple[str, ...] = ()
    """Loaded libraries for TLS and HTTP/2; programs in Go or Java bring their own, which are not seen."""
    io_uring: int = 0
    """Rings they have open."""
    epoll: bool = False
    """They wait with epoll."""
    unreadable: int = 0
    """Processes whose open files may not be listed."""


def look(target: Target, proc: Path = PROC) -> Look:
    """Everything at one moment; what ends meanwhile is left out."""
    pids = target.pids
    links = {pid: procfs.open_files(pid, proc) for pid in pids}
    open_files = [link for found in links.values() for link in found or ()]
    groups = [path for pid in pids for path in procfs.cgroups(pid, proc)]
    foreign = tuple(
        kind
        for kind in ("pid", "net", "mnt", "user")
        if any(not procfs.same_namespace(kind, pid, proc) for pid in pids)
    )
    sockets = [(pid, procfs.sockets_of(found or ())) for pid, found in links.items()]
    return Look(
        containers=tuple(sorted(containers(groups))),
        units=tuple(sorted({unit for pid in pids if (unit := unit_of(procfs.cgroups(pid, proc)))})),
        foreign=foreign,
        inner_pids=tuple(_inner_pid(pid, proc) for pid in pids) if "pid" in foreign else (),
        threads=sum(_number(_status(pid, proc), "Threads") for pid in pids),
        unix=tuple(sorted({path for pid, inodes in sockets for path in _unix(pid, inodes, proc)})),
        udp=tuple(sorted({port for pid, inodes in sockets for port in _udp(pid, inodes, proc)})),
        outgoing=len(set().union(*(_outgoing(pid, inodes, target.ports, proc) for pid, inodes in sockets))),
        libraries=tuple(sorted({name for pid in pids for name in _libraries(pid, proc)})),
        io_uring=sum(link == "anon_inode:[io_uring]" for link in open_files),
        epoll="anon_inode:[eventpoll]" in open_files,
        unreadable=sum(found is None for found in links.values()),
    )


def _rows(path: Path) -> Iterator[list[str]]:
    """The fields of each line."""
    try:
        with path.open(errors="surrogateescape") as lines:
            for line in lines:
                yield line.split()
    except OSError:
        return


def _table(path: Path) -> Iterator[list[str]]:
    """The fields of each line below the titles."""
    return islice(_rows(path), 1, None)


def _inet(pid: int, kind: str, proc: Path) -> Iterator[tuple[int, str, int, bool]]:
    """Inode, state, own port and whether there is a peer, of each socket in the network namespace of the process."""
    for table in (kind, f"{kind}6"):
        for fields in _table(proc / str(pid) / "net" / table):
            if len(fields) > 9:
                own, peer = (int(fields[at].rpartition(":")[2], 16) for at in (1, 2))
                yield int(fields[9]), fields[3], own, peer != 0


def _udp(pid: int, inodes: frozenset[int], proc: Path) -> set[int]:
    return {port for inode, _, port, has_peer in _inet(pid, "udp", proc) if inode in inodes and not has_peer}


def _outgoing(pid: int, inodes: frozenset[int], listening: tuple[int, ...], proc: Path) -> set[int]:
    """The sockets of connections whose own port is none that the target listens on."""
    rows = _inet(pid, "tcp", proc)
    return {i for i, state, port, _ in rows if i in inodes and state == _ESTABLISHED and port not in listening}


def _unix(pid: int, inodes: frozenset[int], proc: Path) -> set[str]:
    """Paths of listening unix sockets; ``@…`` for abstract ones."""
    return {
        fields[7]
        for fields in _table(proc / str(pid) / "net" / "unix")
        if len(fields) > 7 and int(fields[3], 16) & _ACCEPTS and int(fields[6]) in inodes
    }


def _libraries(pid: int, proc: Path) -> set[str]:
    names = {fields[5].rpartition("/")[2] for fields in _rows(proc / str(pid) / "maps") if len(fields) > 5}
    return {name for name in names if _TLS.match(name) or _HTTP2.match(name)}


def speaks_tls(seen: Look) -> bool:
    """Whether a library for TLS is loaded."""
    return any(_TLS.match(name) for name in seen.libraries)


def _status(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "status").read_text(errors="replace")
    except OSError:
        return ""


def _number(status: str, key: str) -> int:
    match = re.search(rf"^{key}:\s*(\d+)", status, re.MULTILINE)
    return int(match[1]) if match else 0


def _inner_pid(pid: int, proc: Path) -> int:
    """The id in the innermost process namespace; 0 when the kernel does not say."""
    match = re.search(r"^NSpid:.*?(\d+)$", _status(pid, proc), re.MULTILINE)
    return int(match[1]) if match else 0
