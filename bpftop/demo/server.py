"""``python -m bpftop.demo.server``: a small HTTP server that acts the story. One process, one event loop.

Delays under half a millisecond are not waited for: the server's own time is of that order. A stall is real: the loop
sleeps, and every connection waits to be read.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time

from bpftop.demo import NAME
from bpftop.demo.child import become, end_with_parent, set_name, story_s
from bpftop.demo.story import Story

LEAST_DELAY_NS = 500_000
MAX_REQUEST = 16_384
LOOK_AHEAD_S = 60.0


class Connection(asyncio.Protocol):
    """One client's connection: a request, its delay, its answer, the next request."""

    def __init__(self, story: Story, origin_ns: int, chance: random.Random) -> None:
        self._story = story
        self._origin_ns = origin_ns
        self._chance = chance
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if end:
            self._received = rest
            self._request(head)
        elif len(self._received) > MAX_REQUEST and self._transport:
            self._transport.abort()

    def _request(self, head: bytes) -> None:
        words = head.split(b" ", 2)
        path = words[1].decode("ascii", "replace") if len(words) == 3 else ""
        route = self._story.by_path.get(path)
        close = b"\r\nconnection: close" in head.lower()
        if route is None:
            self._send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", close)
            return
        delay_ns = self._story.delay_ns(route, story_s(self._origin_ns), self._chance)
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % route.body_bytes + b"x" * route.body_bytes
        if delay_ns < LEAST_DELAY_NS:
            self._send(answer, close)
        else:
            asyncio.get_running_loop().call_later(delay_ns / 1e9, self._answer, answer, route.last_part_ns, close)

    def _answer(self, answer: bytes, last_part_ns: int, close: bool) -> None:
        if not last_part_ns:
            self._send(answer, close)
            return
        half = len(answer) // 2
        self._send(answer[:half], False)
        asyncio.get_running_loop().call_later(last_part_ns / 1e9, self._send, answer[half:], close)

    def _send(self, data: bytes, close: bool) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(data)
            if close:
                self._transport.close()


def stand_still(loop: asyncio.AbstractEventLoop, story: Story, origin_ns: int, after_s: float) -> None:
    """Sleep on the event loop at each of the story's stalls."""
    now_s = story_s(origin_ns)
    coming = story.stalls(after_s, now_s + LOOK_AHEAD_S)
    if not coming:
        loop.call_later(LOOK_AHEAD_S / 2, stand_still, loop, story, origin_ns, now_s)
        return
    stall = coming[0]

    def sleep() -> None:
        left_s = stall.end_s - story_s(origin_ns)
        if left_s > 0:
            time.sleep(left_s)
        stand_still(loop, story, origin_ns, stall.end_s)

    loop.call_later(max(0.0, stall.start_s - now_s), sleep)


async def serve(port: int, story: Story, origin_ns: int, parent: int) -> None:
    """Listen on 127.0.0.1, and on ::1 where there is IPv6; say the port on stdout; run until the parent is gone."""
    loop = asyncio.get_running_loop()
    chance = random.Random(f"{story.seed} delays")

    def connection() -> Connection:
        return Connection(story, origin_ns, chance)

    server = await loop.create_server(connection, "127.0.0.1", port, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    ipv6 = True
    try:
        await loop.create_server(connection, "::1", port, backlog=1024)
    except OSError:
        ipv6 = False
    end_with_parent(loop, parent, sys.stdin.fileno(), float("inf"))
    stand_still(loop, story, origin_ns, story_s(origin_ns))
    sys.stdout.write(json.dumps({"port": port, "ipv6": ipv6}) + "\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # nobody reads it any more: it must not fill up
    await asyncio.Event().wait()


def main() -> None:
    """Read the options that ``start_demo`` gives."""
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--origin-ns", type=int, required=True)
    options.add_argument("--parent", type=int, required=True)
    options.add_argument("--uid", type=int, required=True)
    options.add_argument("--gid", type=int, required=True)
    given = options.parse_args()
    set_name(NAME)
    become(given.uid, given.gid)
    asyncio.run(serve(given.port, Story(given.seed), given.origin_ns, given.parent))


if __name__ == "__main__":
    main()
