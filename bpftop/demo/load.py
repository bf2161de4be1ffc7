"""``python -m bpftop.demo.load``: the story's clients. Bounded in rate, connections, waiting requests and time.

Each client sends at its own moments whatever the server does (open loop), so a server that stands still is met by a
crowd when it wakes, as in life. What waits for a free connection is bounded: beyond that, requests are not sent.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections import deque

from bpftop.demo.child import become, end_with_parent, set_name, story_s
from bpftop.demo.story import Client, Story

NAME = "demo-load"
MAX_WAITING = 40
REUSE = 500
"""Requests on one keep-alive connection before the client opens another."""
IDLE_CHECK_S = 0.5


class Link(asyncio.Protocol):
    """One connection of a client. Knows when a response is complete; tells its owner when it is free or gone."""

    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._transport: asyncio.Transport | None = None
        self._missing = 0
        self._head = b""
        self._left = REUSE if visitor.client.keep_alive else 1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._visitor.ready(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._visitor.gone(self)

    def send(self, path: str) -> None:
        """One request in one segment."""
        assert self._transport is not None
        self._left -= 1
        close = "Connection: close\r\n" if self._left <= 0 else ""
        self._transport.write(f"GET {path} HTTP/1.1\r\nHost: demo\r\n{close}\r\n".encode("ascii"))

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        else:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            self._missing = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]) - len(body)
        if self._missing <= 0:
            self._missing = 0
            if self._left > 0:
                self._visitor.ready(self)

    def close(self) -> None:
        """End the connection from the client's side."""
        if self._transport:
            self._transport.close()


class Visitor:
    """One client of the story: when it sends what, on which of its connections."""

    def __init__(self, client: Client, story: Story, origin_ns: int, port: int) -> None:
        self.client = client
        self._story = story
        self._origin_ns = origin_ns
        self._port = port
        self._chance = random.Random(f"{story.seed} load {client.address}")
        self._paths = tuple(client.routes)
        self._shares = tuple(client.routes.values())
        self._free: list[Link] = []
        self._waiting: deque[str] = deque()
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to send."""
        rate = self._story.rate_per_s(self.client, story_s(self._origin_ns))
        pause = self._chance.expovariate(rate) if rate else IDLE_CHECK_S
        asyncio.get_running_loop().call_later(min(pause, IDLE_CHECK_S), self._turn, pause <= IDLE_CHECK_S and rate > 0)

    def ready(self, link: Link) -> None:
        """A connection can take the next request."""
        if self._waiting:
            link.send(self._waiting.popleft())
        else:
            self._free.append(link)

    def gone(self, link: Link) -> None:
        """A connection has ended."""
        self._open -= 1
        if link in self._free:
            self._free.remove(link)
        if self._waiting:
            self._connect()

    def _turn(self, send: bool) -> None:
        if send:
            self._request(self._chance.choices(self._paths, self._shares)[0])
        self.start()

    def _request(self, path: str) -> None:
        if self._free:
            self._free.pop().send(path)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(path)
            self._connect()

    def _connect(self) -> None:
        if self._open < self.client.connections:
            self._open += 1
            task = asyncio.get_running_loop().create_task(self._connection())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connection(self) -> None:
        host = "::1" if ":" in self.client.address else "127.0.0.1"
        local = (self.client.address, 0)
        try:
            await asyncio.get_running_loop().create_connection(lambda: Link(self), host, self._port, local_addr=local)
        except OSError:
            self._open -= 1  # a server that is gone or stands still; the next turn tries again


async def visit(port: int, story: Story, origin_ns: int, parent: int, limit_s: float, ipv6: bool) -> None:
    """All clients, until the parent is gone or the time is over."""
    end_with_parent(asyncio.get_running_loop(), parent, sys.stdin.fileno(), limit_s)
    visitors = [Visitor(c, story, origin_ns, port) for c in story.clients if ipv6 or ":" not in c.address]
    for visitor in visitors:
        visitor.start()
    await asyncio.Event().wait()


def main() -> None:
    """Read the options that ``start_demo`` gives."""
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--origin-ns", type=int, required=True)
    options.add_argument("--parent", type=int, required=True)
    options.add_argument("--uid", type=int, required=True)
    options.add_argument("--gid", type=int, required=True)
    options.add_argument("--limit-s", type=float, required=True)
    options.add_argument("--ipv6", action="store_true")
    given = options.parse_args()
    set_name(NAME)
    become(given.uid, given.gid)
    story = Story(given.seed, given.scale)
    asyncio.run(visit(given.port, story, given.origin_ns, given.parent, given.limit_s, given.ipv6))


if __name__ == "__main__":
    main()
