"""Java: a dispatcher that accepts, a pool of threads that serve, each with a name of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.case import Case, Phase, Server
from tests.servers.children import free_port, serving, tool, version
from tests.servers.clients import http

_SOURCE = Path(__file__).with_name("Server.java")
_OPTIONS = (
    "-Dsun.net.httpserver.nodelay=true",
    "-Dsun.net.httpserver.maxIdleConnections=1000",
    "-Xmx128m",
    "-XX:TieredStopAtLevel=1",
)


@contextmanager
def _java(folder: Path) -> Iterator[Server]:
    binary = tool("java", "default-jdk-headless")
    port = free_port()
    with serving([binary, *_OPTIONS, str(_SOURCE), str(port)], folder, port) as process:
        yield Server(port, version(binary, "-version"), pid=process.pid)


CASES = (
    Case(
        "java",
        "Java, HttpServer, 4 threads",
        _java,
        (
            Phase("keep-alive", lambda server: http(server.port, 1000)),
            Phase("one request a connection", lambda server: http(server.port, 300, close=True)),
        ),
    ),
)
