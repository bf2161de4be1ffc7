"""Two ends of connections, in namespaces of their own with a slow and lossy link between them when asked for.

The link is a program's own (two TUN devices): it delays every packet, loses those it is told to, and counts what went
over it, so that a test has a witness besides the two kernels' own counters.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parent / "end_program.py"
SERVER, CLIENT = "198.18.0.1", "198.18.0.2"
SERVER6, CLIENT6 = "fd00:b::1", "fd00:b::2"
"""The two ends of the link: addresses for benchmarks (RFC 2544), unique local ones (RFC 4193)."""
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000


class End:
    """One process that holds sockets."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid: int = self.result()["pid"]

    def do(self, command: str, **values: Any) -> dict[str, Any]:
        """One command (a method of End in end_program.py) and its result."""
        self.begin(command, **values)
        return self.result()

    def begin(self, command: str, **values: Any) -> None:
        """The command without its result, for two ends that must act at the same time."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps((command, values)) + "\n")
        self._process.stdin.flush()

    def result(self) -> dict[str, Any]:
        """The result of the oldest command; raises RuntimeError when the end has died."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"an end of the connection ended with exit code {self._process.wait()}")
        result: dict[str, Any] = json.loads(line)
        return result

    def network_count(self, name: str) -> int:
        """A counter of the TCP line of /proc/net/snmp in the end's network namespace, such as RetransSegs."""
        lines = [li.split() for li in Path(f"/proc/{self.pid}/net/snmp").read_text().splitlines() if li[:4] == "Tcp:"]
        return int(dict(zip(*lines, strict=True))[name])


@contextmanager
def running_end(*before: str) -> Iterator[End]:
    """An end; ``before``: words to start it with, such as ``unshare --net``."""
    with subprocess.Popen(
        [*before, sys.executable, "-I", str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield End(process)
        finally:
            process.kill()


class Link:
    """Packets between two devices, each ``delay_s`` late in either direction. ``side`` 0 sends from the server's."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._files = [os.open("/dev/net/tun", os.O_RDWR) for _ in range(2)]
        self.devices = [f"bpftop{os.getpid() % 100000}{side}" for side in "sc"]
        for file, device in zip(self._files, self.devices, strict=True):
            fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI))
        self.loses: Callable[[int, Packet], bool] = lambda side, packet: False
        """Whether a packet is lost. Asked once for each, in order."""
        self.lost = 0
        self.seen: Counter[tuple[int, str]] = Counter()
        """How many came in, by side and kind: ``SYN``, ``RST``, ``data``."""
        self._due: list[tuple[float, int, int, bytes]] = []
        self._end, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="link")

    def start(self) -> None:
        """Packets begin to move."""
        self._thread.start()

    def close(self) -> None:
        """The devices go away with their files."""
        os.close(self._wake)
        if self._thread.ident:
            self._thread.join()
        for file in (*self._files, self._end):
            os.close(file)

    def _run(self) -> None:
        number = 0
        while True:
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, _, to, packet = heapq.heappop(self._due)
                os.write(self._files[to], packet)
            timeout = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            ready, _, _ = select.select([*self._files, self._end], [], [], timeout)
            if self._end in ready:
                return
            for side in (0, 1):
                if self._files[side] in ready:
                    number += 1
                    self._take(side, os.read(self._files[side], 65536), number)

    def _take(self, side: int, raw: bytes, number: int) -> None:
        packet = Packet(raw)
        for kind in packet.kinds():
            self.seen[side, kind] += 1
        if packet.is_tcp and self.loses(side, packet):
            self.lost += 1
            return
        heapq.heappush(self._due, (time.monotonic() + self._delay_s, number, 1 - side, raw))


class Packet:
    """The few fields of an IP packet that a link looks at."""

    def __init__(self, raw: bytes) -> None:
        is_v4 = raw[0] >> 4 == 4
        self.is_tcp = raw[9 if is_v4 else 6] == 6
        tcp = (raw[0] & 15) * 4 if is_v4 else 40
        self.flags = raw[tcp + 13] if self.is_tcp else 0
        self.to_port = int.from_bytes(raw[tcp + 2 : tcp + 4], "big") if self.is_tcp else 0
        self.data_bytes = len(raw) - tcp - (raw[tcp + 12] >> 4) * 4 if self.is_tcp else 0

    def kinds(self) -> Iterator[str]:
        """``SYN``, ``RST`` and ``data``, as far as it is that."""
        if self.flags & 2:
            yield "SYN"
        if self.flags & 4:
            yield "RST"
        if self.data_bytes:
            yield "data"


@contextmanager
def slow_link(delay_s: float) -> Iterator[tuple[End, End, Link]]:
    """A server's end and a client's end, each in a network namespace of its own, and the link between them."""
    unshare = ("unshare", "--net")
    with running_end(*unshare) as server, running_end(*unshare) as client:
        link = Link(delay_s)
        try:
            sides = ((server, SERVER, CLIENT, SERVER6), (client, CLIENT, SERVER, CLIENT6))
            for device, (end, own, other, own6) in zip(link.devices, sides, strict=True):
                _ip("link", "set", device, "netns", str(end.pid))
                inside = ("nsenter", "-t", str(end.pid), "-n")
                _ip("address", "add", own, "peer", other, "dev", device, before=inside)
                _ip("address", "add", f"{own6}/64", "dev", device, "nodad", before=inside)
                _ip("link", "set", device, "up", before=inside)
            link.start()
            yield server, client, link
        finally:
            link.close()


def _ip(*words: str, before: tuple[str, ...] = ()) -> None:
    subprocess.run([*before, "ip", *words], check=True, timeout=20)
