"""HTTP backends in a thread of this process, whose delay can be changed while they run."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

STEP_S = 0.1
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Backend:
    """One of them."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s = delay_s
        self.port = 0
        self.thread_id = 0
        """Of the thread that serves it, as the kernel numbers it."""
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Take a free port of 127.0.0.1."""
        self.thread_id = threading.get_native_id()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Take no more connections."""
        if self._server is not None:
            self._server.close()

    async def _work(self) -> None:
        """Take as long as it is slow: a delay that ends meanwhile ends here, too."""
        begun = time.monotonic()
        while (left := begun + self.delay_s - time.monotonic()) > 0:
            await asyncio.sleep(min(left, STEP_S))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await reader.readuntil(b"\r\n\r\n"):
                    await self._work()
                    writer.write(ANSWER)
                    await writer.drain()
        finally:
            writer.close()


@contextmanager
def running_backends(*delays_s: float) -> Iterator[list[Backend]]:
    """So many backends with these delays."""
    backends = [Backend(delay) for delay in delays_s]
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="backends", daemon=True)
    thread.start()
    try:
        for each in backends:
            asyncio.run_coroutine_threadsafe(each.listen(), loop).result(10)
        yield backends
    finally:
        asyncio.run_coroutine_threadsafe(_end(backends), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(backends: list[Backend]) -> None:
    for each in backends:
        each.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0)  # the transports close in the next turn
