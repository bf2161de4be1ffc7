"""Clients that count what they do, per source address."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
from pathlib import Path

from tests.load import loopback_addresses, run_load
from tests.servers.case import Tally, Work
from tests.servers.children import tool

ADDRESSES = loopback_addresses(5)


def http(port: int, requests: int, *, connections: int = 10, close: bool = False, path: str = "/") -> Work:
    """Keep-alive or one request a connection, from five addresses; every answer must be 2xx and whole."""
    load = run_load(port, requests, connections=connections, close=close, sources=ADDRESSES, paths=[path])
    if not load.complete or load.not_2xx or load.responses != requests:
        raise RuntimeError(f"not every request was answered: {load}")
    return {a: Tally(one.responses, one.connections, one.responses) for a, one in load.sources.items()}


def https(port: int, requests: int, *, connections: int = 5, newest: ssl.TLSVersion) -> Work:
    """``requests`` a connection over TLS, one connection after another, each with a whole handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = newest
    done: dict[str, Tally] = {}
    for i in range(connections):
        address = ADDRESSES[i % len(ADDRESSES)]
        with (
            socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0)) as raw,
            context.wrap_socket(raw) as tls,
        ):
            for _ in range(requests):
                tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                _read_answer(tls)
        done[address] = done.get(address, Tally()) + Tally(requests, 1, requests)
    return done


def _read_answer(connection: socket.socket) -> None:
    got = b""
    while b"\r\n\r\n" not in got:
        got += _some(connection)
    head, _, body = got.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(head.decode(errors="replace"))
    while len(body) < length:
        body += _some(connection)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data


def redis(port: int, bursts: int, *, depth: int = 1, connections: int = 5) -> Work:
    """``bursts`` a connection of ``depth`` commands sent at once; every reply is read before the next burst."""
    done: dict[str, Tally] = {}
    for i in range(connections):
        address = ADDRESSES[i % len(ADDRESSES)]
        with socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0)) as connection:
            for _ in range(bursts):
                connection.sendall(b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n" * depth)
                replies = b""
                while replies.count(b"\r\n") < depth:
                    replies += _some(connection)
        done[address] = done.get(address, Tally()) + Tally(bursts * depth, 1, bursts)
    return done


def pgbench(port: int, transactions: int, *, connections: int = 4, sslmode: str = "disable", folder: Path) -> Work:
    """``transactions`` a connection of one SELECT each, and the one connection that pgbench opens to look around."""
    script = folder / "select.sql"
    script.write_text("SELECT 1;\n")
    command = [tool("pgbench", "postgresql", "/usr/lib/postgresql/*/bin/pgbench"), "-n", "-h", "127.0.0.1"]
    command += ["-p", str(port), "-U", "bpftop", "-c", str(connections), "-t", str(transactions), "-f", str(script)]
    environment = {**os.environ, "PGSSLMODE": sslmode, "PGGSSENCMODE": "disable"}
    run = subprocess.run([*command, "postgres"], capture_output=True, text=True, check=False, env=environment)
    count = transactions * connections
    if run.returncode or f"{count}/{count}" not in run.stdout:
        raise RuntimeError(run.stdout + run.stderr)
    return {"127.0.0.1": Tally(count, connections + 1, count)}


def http2(port: int, bursts: int, *, depth: int = 1, connections: int = 5) -> Work:
    """HTTP/2 without TLS: ``bursts`` a connection of ``depth`` requests sent at once, each a stream of its own."""
    done: dict[str, Tally] = {}
    for i in range(connections):
        address = ADDRESSES[i % len(ADDRESSES)]
        with socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0)) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0))
            frames = _Frames(connection)
            while frames.next()[0] != _SETTINGS:
                pass
            for burst in range(bursts):
                streams = [1 + 2 * (burst * depth + n) for n in range(depth)]
                connection.sendall(b"".join(_frame(_HEADERS, _END_STREAM | _END_HEADERS, n, _GET) for n in streams))
                open_streams = set(streams)
                while open_streams:
                    kind, flags, stream = frames.next()
                    if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
                        open_streams.discard(stream)
        done[address] = done.get(address, Tally()) + Tally(bursts * depth, 1, bursts)
    return done


_DATA, _HEADERS, _RESET, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7  # frame types of RFC 9113
_END_STREAM, _END_HEADERS = 1, 4
_GET = b"\x82\x84\x86\x41\x01a"  # RFC 7541: GET, /, http from the static table; the authority "a"


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class _Frames:
    """The frames that the server sends."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = b""

    def next(self) -> tuple[int, int, int]:
        """Type, flags and stream of the next frame."""
        while len(self._data) < 9 or len(self._data) < 9 + int.from_bytes(self._data[:3], "big"):
            self._data += _some(self._connection)
        size, kind, flags = int.from_bytes(self._data[:3], "big"), self._data[3], self._data[4]
        stream = int.from_bytes(self._data[5:9], "big")
        self._data = self._data[9 + size :]
        if kind in (_RESET, _GOAWAY):
            raise RuntimeError(f"the server refused stream {stream}")
        return kind, flags, stream
