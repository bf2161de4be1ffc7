"""Node.js: one event loop, or a cluster of workers that are handed connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.servers.case import Case, Phase, Server
from tests.servers.children import free_port, serving, tool, version
from tests.servers.clients import http

_APP = """
const http = require("http"), cluster = require("cluster");
const [port, workers] = process.argv.slice(2).map(Number);
if (workers && cluster.isPrimary) {
  for (let i = 0; i < workers; i++) cluster.fork();
} else {
  const server = http.createServer((request, response) => {
    response.setHeader("Content-Length", 5);
    response.end("hello");
  });
  server.keepAliveTimeout = 30000;
  server.listen(port, "127.0.0.1");
}
"""


@contextmanager
def _node(folder: Path, workers: int) -> Iterator[Server]:
    binary = tool("node", "nodejs")
    port = free_port()
    (folder / "app.js").write_text(_APP)
    with serving([binary, "app.js", str(port), str(workers)], folder, port) as process:
        yield Server(port, version(binary, "--version"), pid=process.pid)


_PHASES = (
    Phase("keep-alive", lambda server: http(server.port, 2000)),
    Phase("one request a connection", lambda server: http(server.port, 500, close=True)),
)

CASES = (
    Case("node", "Node.js", partial(_node, workers=0), _PHASES, quick=True),
    Case("node-cluster", "Node.js, cluster of 2", partial(_node, workers=2), _PHASES),
)
