"""gunicorn (processes) and uvicorn (one event loop), from PyPI, in an environment of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

from tests.servers.case import Case, Missing, Phase, Server
from tests.servers.children import free_port, serving, version
from tests.servers.clients import http

_APP = """
BODY = b"hello"


def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(BODY)))])
    return [BODY]


async def asgi(scope, receive, send):
    headers = [(b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})
"""


@cache
def environment() -> Path:
    """The folder of programs of a virtual environment with both servers, made once and kept in the user's cache."""
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache_home / "bpftop-tests" / f"python-servers-{sys.version_info.major}.{sys.version_info.minor}"
    if not all((folder / "bin" / name).exists() for name in ("gunicorn", "uvicorn")):
        venv.create(folder, with_pip=True, clear=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "gunicorn", "uvicorn"]
        if subprocess.run(install, capture_output=True, check=False).returncode:
            raise Missing("gunicorn and uvicorn of PyPI")
    return folder / "bin"


@contextmanager
def _server(folder: Path, name: str, options: tuple[str, ...]) -> Iterator[Server]:
    (folder / "app.py").write_text(_APP)
    binary = str(environment() / name)
    port = free_port()
    command = [binary, *(word.format(port=port) for word in options)]
    with serving(command, folder, port) as process:
        yield Server(port, version(binary, "--version"), pid=process.pid)


_UVICORN = ("--port", "{port}", "--no-access-log", "--log-level", "warning", "app:asgi")
_BIND = ("-w", "2", "-b", "127.0.0.1:{port}")
_SYNC = (*_BIND, "app:wsgi")
_THREADS = (*_BIND, "-k", "gthread", "--threads", "4", "--keep-alive", "30", "app:wsgi")
_KEPT = Phase("keep-alive", lambda server: http(server.port, 1000))
_CLOSED = Phase("one request a connection", lambda server: http(server.port, 300, close=True))

CASES = (
    Case("gunicorn", "gunicorn, sync", partial(_server, name="gunicorn", options=_SYNC), (_CLOSED,), quick=True),
    Case(
        "gunicorn-threads", "gunicorn, threads", partial(_server, name="gunicorn", options=_THREADS), (_KEPT, _CLOSED)
    ),
    Case("uvicorn", "uvicorn", partial(_server, name="uvicorn", options=_UVICORN), (_KEPT, _CLOSED)),
)
