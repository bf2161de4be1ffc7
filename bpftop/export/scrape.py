"""A small HTTP server for a scraper: ``/metrics`` and ``/healthz``. Few connections at a time, none for long."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from bpftop.errors import UsageError

CONNECTIONS = 8
"""At a time; one more is told to come later."""
PATIENCE_S = 10.0
"""From the connection to the last byte of the answer; whoever takes longer is cut off."""
READ_S = 5.0
_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
PAGE = "bpftop\n/metrics  for Prometheus, in text or protobuf\n/healthz  200 while the kernel reports\n"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path has to say."""

    content_type: str
    body: bytes
    status: HTTPStatus = HTTPStatus.OK


@dataclass(frozen=True, slots=True)
class Pages:
    """Where answers come from. They are called from several threads, one at a time."""

    metrics: Callable[[str], Answer]
    """For an Accept header."""
    health: Callable[[], Answer]


class ScrapeServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Bound when it is made; ``scraping`` runs it."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 16
    allow_reuse_address = True

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        """Listen on an address, port 0 for any free one. Raises UsageError when that cannot be."""
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages = pages
        self.lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._since: dict[socket.socket, float] = {}
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            why = error.strerror or str(error)
            raise UsageError(f"cannot listen on {host} port {port}: {why}", "bpftop serve --help") from error

    def server_bind(self) -> None:
        """Bind without asking the name service what we are called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    @property
    def url(self) -> str:
        """Where it is."""
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for the connection, if there is one left."""
        if not self._slots.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.setblocking(False)
                request.send(_BUSY)
            self.shutdown_request(request)
            return
        self._since[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._release(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._release(request)

    def _release(self, request: socket.socket) -> None:
        if self._since.pop(request, None) is not None:
            self._slots.release()

    def service_actions(self) -> None:
        """Twice a second: cut off those who take too long."""
        late = time.monotonic() - PATIENCE_S
        for request, since in list(self._since.items()):
            if since < late:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """One request a connection."""

    server: ScrapeServer
    timeout = READ_S
    server_version = "bpftop"
    sys_version = ""
    error_content_type = TEXT
    error_message_format = "%(code)d %(message)s\n"

    def do_GET(self) -> None:
        """``/metrics``, ``/healthz``, ``/``."""
        path = self.path.partition("?")[0]
        if path not in ("/", "/metrics", "/healthz"):
            self.send_error(HTTPStatus.NOT_FOUND, "there are /metrics and /healthz")
            return
        with self.server.lock:
            answer = self._answer(path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET

    def _answer(self, path: str) -> Answer:
        if path == "/":
            return Answer(TEXT, PAGE.encode())
        if path == "/healthz":
            return self.server.pages.health()
        return self.server.pages.metrics(", ".join(self.headers.get_all("Accept", [])))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""


@contextlib.contextmanager
def scraping(server: ScrapeServer) -> Iterator[None]:
    """Answer in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, name="bpftop-scrape", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
