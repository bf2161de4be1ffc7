"""Redis, one thread, its own protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.case import Case, Phase, Server, exactly
from tests.servers.children import free_port, serving, tool, version
from tests.servers.clients import redis


@contextmanager
def _redis(folder: Path) -> Iterator[Server]:
    # Debian's redis-server is a link to redis-check-rdb of redis-tools, which brings no service of its own.
    binary = folder / "redis-server"
    binary.symlink_to(tool("redis-server", "redis-tools", "/usr/bin/redis-check-rdb"))
    port = free_port()
    options = f"--port {port} --bind 127.0.0.1 --save --appendonly no --daemonize no --protected-mode no".replace(
        "--save", '--save ""'
    )
    words = [word.strip('"') for word in options.split(" ")]
    with serving([str(binary), *words, "--dir", str(folder)], folder, port) as process:
        yield Server(port, version(str(binary), "--version"), pid=process.pid)


_BURST = exactly(
    "one a pipeline", lambda did: did.bursts, "commands sent together are read together and answered together"
)

CASES = (
    Case(
        "redis",
        "Redis",
        _redis,
        (
            Phase("one command at a time", lambda server: redis(server.port, 400)),
            Phase(
                "pipelines of 16",
                lambda server: redis(server.port, 100, depth=16),
                dict.fromkeys(("request_latency", "response_time", "read_queue_latency"), _BURST),
            ),
        ),
        quick=True,
    ),
)
