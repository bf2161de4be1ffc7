"""One end of connections, driven step by step: commands as JSON lines on stdin, what happened on stdout.

A program of its own, started by ``ends.py``. Times are CLOCK_BOOTTIME, the clock of bpftrace's ``nsecs``, taken just
before and just after the system call. Ends with its parent: stdin is closed then.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

_TCP_INFO_TOTAL_RETRANS = 100
_TCP_INFO_RTT = 68
"""Byte offsets in struct tcp_info, linux/tcp.h: they are part of the kernel's interface."""


class End:
    """The sockets of this process by number; each method is one command."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    def listen(self, host: str) -> dict[str, Any]:
        """A listening TCP socket on a free port, or a unix one when ``host`` is a path."""
        if "/" in host:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(host)
        else:
            listener = socket.socket(_family(host))
            listener.bind((host, 0))
        listener.listen(64)
        return {"id": self._keep(listener), "port": 0 if "/" in host else listener.getsockname()[1]}

    def connect(self, host: str, port: int = 0, own: str = "") -> dict[str, Any]:
        """Connect; ``error`` is 0 or the error's number. ``own``: the path of this end of a unix socket."""
        made = socket.socket(socket.AF_UNIX if "/" in host else _family(host))
        if own:
            made.bind(own)
        before = _now_ns()
        error = made.connect_ex(host if "/" in host else (host, port))
        after = _now_ns()
        return {"id": self._keep(made), "error": error, "before": before, "after": after}

    def give_up(self, host: str, port: int) -> dict[str, Any]:
        """Begin to connect and close before an answer came."""
        made = socket.socket(_family(host))
        made.setblocking(False)
        made.connect_ex((host, port))
        made.close()
        return {}

    def accept(self, listener: int, non_blocking: bool = False) -> dict[str, Any]:
        """The next connection."""
        made, _ = self._sockets[listener].accept()
        made.setblocking(not non_blocking)
        return {"id": self._keep(made)}

    def send(self, id: int, size: int) -> dict[str, Any]:
        """Send all of it, blocking; the kernel's own round trip time just before and just after, in microseconds."""
        data = bytes(size)
        sent = self._sockets[id]
        old = self.info(id)
        before = _now_ns()
        done = sent.send(data)
        after = _now_ns()
        if done != size:
            raise RuntimeError(f"{done} of {size} bytes sent")
        rtts = [info["rtt_us"] for info in (old, self.info(id)) if info]
        return {"before": before, "after": after, "rtts_us": rtts}

    def info(self, id: int) -> dict[str, Any]:
        """The kernel's own figures of a TCP socket."""
        if self._sockets[id].family == socket.AF_UNIX:
            return {}
        raw = self._sockets[id].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        (rtt_us,) = struct.unpack_from("=I", raw, _TCP_INFO_RTT)
        (retransmits,) = struct.unpack_from("=I", raw, _TCP_INFO_TOTAL_RETRANS)
        return {"rtt_us": rtt_us, "retransmits": retransmits}

    def receive(self, id: int, size: int) -> dict[str, Any]:
        """Read until ``size`` bytes are there, the end or a reset; one (before, after) of each call that gave data.

        The end has a pair of its own, and ``missing`` says how many bytes did not come.
        """
        reader, calls, left = self._sockets[id], [], size
        while left:
            select.select([reader], [], [])
            before = _now_ns()
            try:
                data = reader.recv(left)
            except ConnectionResetError:
                break
            calls.append((before, _now_ns()))
            left -= len(data)
            if not data:
                break
        return {"calls": calls, "missing": left}

    def answer(self, id: int, request: int, pauses_s: list[float], size: int) -> dict[str, Any]:
        """Read a request of that many bytes, then send ``size`` bytes after each pause."""
        read = self.receive(id, request)["calls"][-1]
        sends = []
        for pause_s in pauses_s:
            time.sleep(pause_s)
            sends.append(self.send(id, size))
        return {"read": read, "sends": sends}

    def ask(self, host: str, port: int, connections: int, requests: int) -> dict[str, Any]:
        """HTTP requests of an asyncio client, one after the other on each connection: port, before, sent, answered."""
        return {"rows": asyncio.run(_ask(host, port, connections, requests))}

    def pair(self) -> dict[str, Any]:
        """Two connected unix sockets without names, and one exchange over them."""
        one, other = socket.socketpair()
        one.send(b"question")
        other.recv(8)
        other.send(b"answer")
        one.recv(6)
        return {}

    def datagram(self, path: str) -> dict[str, Any]:
        """Bind a datagram socket there and send to it, as programs do with /dev/log."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log, socket.socket(log.family, log.type) as sender:
            log.bind(path)
            sender.connect(path)
            sender.send(b"a line")
        return {}

    def close(self, id: int, reset: bool = False) -> dict[str, Any]:
        """Close, with a reset instead of a FIN when asked for."""
        closed = self._sockets.pop(id)
        if reset:
            closed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        before = _now_ns()
        closed.close()
        return {"before": before, "after": _now_ns()}

    def _keep(self, made: socket.socket) -> int:
        self._sockets[made.fileno()] = made
        return made.fileno()


async def _ask(host: str, port: int, connections: int, requests: int) -> list[tuple[int, int, int, int]]:
    rows = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        own = writer.get_extra_info("sockname")[1]
        for _ in range(requests):
            before = _now_ns()
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            sent = _now_ns()
            await reader.readuntil(b"\r\n\r\nxx")
            rows.append((own, before, sent, _now_ns()))
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(one() for _ in range(connections)))
    return rows


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def main() -> None:
    end = End()
    print(json.dumps({"pid": os.getpid()}), flush=True)
    for line in sys.stdin:
        command, values = json.loads(line)
        do: Callable[..., dict[str, Any]] = getattr(end, command)
        print(json.dumps(do(**values)), flush=True)


if __name__ == "__main__":
    main()
