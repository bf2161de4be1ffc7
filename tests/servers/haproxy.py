"""HAProxy: threads that accept, read and write for each other, a server behind it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.case import OF_REQUESTS, UPSTREAM, Case, Phase, Server
from tests.servers.children import free_port, serving, tool, version
from tests.servers.clients import http
from tests.servers.nginx import nginx

_CONFIG = """
global
  nbthread 2
  stats socket {folder}/stats.sock
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:{port}
  default_backend back
backend back
  server one 127.0.0.1:{back}
"""


@contextmanager
def _haproxy(folder: Path) -> Iterator[Server]:
    binary = tool("haproxy", "haproxy")
    port = free_port()
    with nginx(folder) as back:
        (folder / "haproxy.cfg").write_text(_CONFIG.format(folder=folder, port=port, back=back.port))
        with serving([binary, "-db", "-f", str(folder / "haproxy.cfg")], folder, port) as process:
            yield Server(port, version(binary, "-v"), pid=process.pid)


CASES = (
    Case(
        "haproxy",
        "HAProxy, 2 threads",
        _haproxy,
        (
            Phase("keep-alive", lambda server: http(server.port, 2000), {UPSTREAM: OF_REQUESTS}),
            Phase(
                "one request a connection", lambda server: http(server.port, 500, close=True), {UPSTREAM: OF_REQUESTS}
            ),
        ),
        quick=True,
    ),
)
