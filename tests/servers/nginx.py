"""nginx: keep-alive, TLS, a proxy, php-fpm behind it over a unix socket, HTTP/2, a reload in between."""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.case import (
    OF_REQUESTS,
    REQUESTS,
    UPSTREAM,
    Case,
    Expect,
    Phase,
    Server,
    Work,
    exactly,
    more_per_connection,
)
from tests.servers.children import free_port, serving, tool, version
from tests.servers.clients import http, http2, https

_MAIN = """
user root;
worker_processes 2;
daemon off;
pid {folder}/nginx{port}.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  {extra}
  server {{
    listen 127.0.0.1:{port}{options};
    {server}
  }}
}}
"""
_FILES = "root {folder}/www;"
_TLS = "ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; return 200 hello;"
_PROXY = "location / {{ proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ''; }}"
_PHP = (
    "location / {{ fastcgi_pass unix:{folder}/php.sock; "
    "fastcgi_param REQUEST_METHOD GET; fastcgi_param SCRIPT_FILENAME {folder}/www/index.php; }}"
)
_POOL = """[global]
daemonize = no
error_log = {folder}/php.log
[www]
user = {user}
listen = {folder}/php.sock
listen.mode = 0666
pm = static
pm.max_children = 2
"""


def nginx_version() -> str:
    """The installed one."""
    return version(tool("nginx", "nginx"), "-v")


@contextmanager
def nginx(folder: Path, server: str = _FILES, *, options: str = "", extra: str = "") -> Iterator[Server]:
    """nginx with one ``server`` block."""
    binary = tool("nginx", "nginx")
    (folder / "www").mkdir(exist_ok=True)
    (folder / "www" / "index.html").write_text("<p>hello</p>\n" * 20)
    port = free_port()
    config = folder / f"nginx{port}.conf"
    text = _MAIN.format(folder=folder, port=port, options=options, extra=extra, server=server.format(folder=folder))
    config.write_text(text)
    command = [binary, "-c", str(config), "-e", str(folder / "error.log")]

    def reload() -> None:
        subprocess.run([*command, "-s", "reload"], check=True, capture_output=True)
        time.sleep(1)  # the old workers go when their connections have; none is open

    with serving(command, folder, port) as process:
        yield Server(port, nginx_version(), pid=process.pid, tell=reload)


@contextmanager
def _with_tls(folder: Path) -> Iterator[Server]:
    request = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 -keyout key.pem -out cert.pem"
    subprocess.run([tool("openssl", "openssl"), *request.split()], cwd=folder, check=True, capture_output=True)
    with nginx(folder, _TLS, options=" ssl", extra="ssl_session_cache shared:a:1m;") as server:
        yield server


@contextmanager
def _as_proxy(folder: Path) -> Iterator[Server]:
    with nginx(folder) as back:
        extra = f"upstream back {{ server 127.0.0.1:{back.port}; keepalive 8; }}"
        with nginx(folder, _PROXY, extra=extra) as front:
            yield front


@contextmanager
def php_fpm(folder: Path) -> Iterator[int]:
    """php-fpm on ``folder/php.sock``, answering every request with three bytes; gives the master's pid."""
    binary = tool("php-fpm", "php-fpm", "/usr/sbin/php-fpm*")
    (folder / "www").mkdir(exist_ok=True)
    (folder / "www" / "index.php").write_text("<?php header('Content-Length: 3'); echo 'php';\n")
    (folder / "pool.conf").write_text(_POOL.format(folder=folder, user="root"))
    command = [binary, "-F", "-R", "-n", "-y", str(folder / "pool.conf")]
    with serving(command, folder, folder / "php.sock") as process:
        yield process.pid


@contextmanager
def _before_php(folder: Path) -> Iterator[Server]:
    with php_fpm(folder), nginx(folder, _PHP) as server:
        yield server


@contextmanager
def _http2(folder: Path) -> Iterator[Server]:
    with nginx(folder, options=" http2") as server:
        yield server


def _after_reload(server: Server) -> Work:
    server.tell()
    return http(server.port, 2000, connections=10)


_UPSTREAM = {UPSTREAM: OF_REQUESTS}
_HELLO = "TLS 1.2: two exchanges of the handshake are read and answered before the first request"
_TICKETS = "TLS 1.3: the client's hello is answered, and the end of its handshake is answered with session tickets"
_READS = Expect(
    "at least exact",
    lambda did: did.requests,
    lambda did: did.requests + 4 * did.connections,
    "a handshake may arrive in more pieces than are answered",
)
_TLS13 = {name: more_per_connection(2, _TICKETS) for name in ("request_latency", "response_time")}
_TLS12 = {name: more_per_connection(2, _HELLO) for name in ("request_latency", "response_time")}
_SETTINGS = "the settings of HTTP/2 are exchanged before the first request"
_STREAMS = "requests that arrive together are read together, and the answer to any of them ends the wait"
_HTTP2 = {name: more_per_connection(1, _SETTINGS) for name in REQUESTS}
_HTTP2_BURSTS = {
    name: exactly("one a burst, + 1 a connection", lambda did: did.bursts + did.connections, _STREAMS)
    for name in REQUESTS
}

CASES = (
    Case(
        "nginx",
        "nginx, 2 workers",
        nginx,
        (
            Phase("keep-alive", lambda server: http(server.port, 5000)),
            Phase("one request a connection", lambda server: http(server.port, 500, close=True)),
            Phase("keep-alive, after a reload", _after_reload),
        ),
    ),
    Case(
        "nginx-tls",
        "nginx, TLS",
        _with_tls,
        (
            Phase(
                "TLS 1.3",
                lambda server: https(server.port, 40, newest=ssl.TLSVersion.TLSv1_3),
                {**_TLS13, "read_queue_latency": _READS},
            ),
            Phase(
                "TLS 1.2",
                lambda server: https(server.port, 40, newest=ssl.TLSVersion.TLSv1_2),
                {**_TLS12, "read_queue_latency": _READS},
            ),
        ),
    ),
    Case(
        "nginx-proxy",
        "nginx, proxy to HTTP",
        _as_proxy,
        (
            Phase("keep-alive", lambda server: http(server.port, 2000), _UPSTREAM),
            Phase("one request a connection", lambda server: http(server.port, 500, close=True), _UPSTREAM),
        ),
    ),
    Case(
        "nginx-php",
        "nginx, php-fpm over a unix socket",
        _before_php,
        (
            Phase("keep-alive", lambda server: http(server.port, 1000), _UPSTREAM),
            Phase("one request a connection", lambda server: http(server.port, 300, close=True), _UPSTREAM),
        ),
    ),
    Case(
        "nginx-http2",
        "nginx, HTTP/2",
        _http2,
        (
            Phase("one stream after another", lambda server: http2(server.port, 100), _HTTP2),
            Phase("8 streams at once", lambda server: http2(server.port, 20, depth=8), _HTTP2_BURSTS),
        ),
    ),
)
