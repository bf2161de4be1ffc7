"""A server that accepts, reads and writes through io_uring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.load import compiler, program
from tests.servers.case import Case, Missing, Phase, Server, unseen
from tests.servers.children import free_port, serving
from tests.servers.clients import http


@contextmanager
def _uring(folder: Path) -> Iterator[Server]:
    if compiler() is None:
        raise Missing("build-essential")
    port = free_port()
    with serving([str(program("uring_server")), str(port)], folder, port) as process:
        yield Server(port, "our own", pid=process.pid)


_ACCEPT = {"accept_queue_latency": unseen("io_uring accepts without a system call of its own")}

CASES = (
    Case(
        "io_uring",
        "io_uring server",
        _uring,
        (
            Phase("keep-alive", lambda server: http(server.port, 2000), _ACCEPT),
            Phase("one request a connection", lambda server: http(server.port, 500, close=True), _ACCEPT),
        ),
    ),
)
