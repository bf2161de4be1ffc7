"""Apache: a process for each connection (prefork), or threads and one listener (event)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.servers.case import Case, Phase, Server
from tests.servers.children import free_port, serving, tool, version
from tests.servers.clients import http

_CONFIG = """
LoadModule mpm_{mpm}_module {modules}/mod_mpm_{mpm}.so
LoadModule authz_core_module {modules}/mod_authz_core.so
ServerName localhost
ServerRoot {folder}
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
DefaultRuntimeDir {folder}
Mutex fcntl:{folder} default
User www-data
Group www-data
DocumentRoot {folder}/www
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 30
StartServers {processes}
{spare} 1
"""  # enough processes from the first: none is forked while bpftop attaches
_MODULES = "/usr/lib/apache2/modules"


@contextmanager
def _apache(folder: Path, mpm: str) -> Iterator[Server]:
    binary = tool("apache2", "apache2-bin")
    port = free_port()
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("<p>hello</p>\n" * 20)
    config = folder / "apache.conf"
    spare, processes = ("MinSpareServers", 8) if mpm == "prefork" else ("MinSpareThreads", 2)
    config.write_text(
        _CONFIG.format(spare=spare, processes=processes, mpm=mpm, modules=_MODULES, folder=folder, port=port)
    )
    with serving([binary, "-D", "FOREGROUND", "-f", str(config)], folder, port) as process:
        yield Server(port, version(binary, "-v"), pid=process.pid)


_PHASES = (
    Phase("keep-alive", lambda server: http(server.port, 2000, path="/index.html")),
    Phase("one request a connection", lambda server: http(server.port, 500, close=True, path="/index.html")),
)

CASES = (
    Case("apache-event", "Apache, event", partial(_apache, mpm="event"), _PHASES, quick=True),
    Case("apache-prefork", "Apache, prefork", partial(_apache, mpm="prefork"), _PHASES),
)
