"""A server whose answers follow from the path, and that reads and writes with a system call of your choice.

``python -m tests.load.routes_server MODE...`` listens on one port per mode and prints them as JSON. Modes: ``recv``
(recvfrom, sendto), ``read`` (read, write), ``msg`` (recvmsg, sendmsg with an iovec), ``vec`` (readv, writev).
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable

READ_BYTES = 4096
SLOW_S = 0.06


def _read(sock: socket.socket, mode: str) -> bytes:
    if mode == "recv":
        return sock.recv(READ_BYTES)
    if mode == "read":
        return os.read(sock.fileno(), READ_BYTES)
    if mode == "msg":
        return sock.recvmsg(READ_BYTES)[0]
    first, second = bytearray(100), bytearray(READ_BYTES)
    got = os.readv(sock.fileno(), [first, second])
    return bytes(first + second)[:got]


def _write(sock: socket.socket, mode: str, head: bytes, body: bytes) -> None:
    if mode == "recv":
        sock.sendall(head + body)
    elif mode == "read":
        os.write(sock.fileno(), head + body)
    elif mode == "msg":
        sock.sendmsg([head, body])
    else:
        os.writev(sock.fileno(), [head, body])


def _answer(path: str) -> tuple[int, bytes]:
    found = re.match(r"/answer/([a-z]+)", path)
    status = {"missing": 404, "denied": 403, "broken": 500, "away": 503, "same": 304, "moved": 301}
    return status.get(found[1] if found else "", 200), b"" if found and found[1] == "same" else b"x" * 40


def _serve(sock: socket.socket, mode: str) -> None:
    data = b""
    with sock:
        while True:
            while b"\r\n\r\n" not in data:
                got = _read(sock, mode)
                if not got:
                    return
                data += got
            head, _, data = data.partition(b"\r\n\r\n")
            path = head.split(b" ")[1].decode("latin-1")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if b"100-continue" in head:
                _write(sock, mode, b"HTTP/1.1 100 Continue\r\n\r\n", b"")
            while length and len(data) < int(length[1]):
                data += _read(sock, mode)
            data = data[int(length[1]) :] if length else data
            if not _respond(sock, mode, head, path):
                return


def _respond(sock: socket.socket, mode: str, head: bytes, path: str) -> bool:
    """False when the connection is to be closed."""
    if path == "/hangup":
        return False
    if path == "/slow":
        time.sleep(SLOW_S)
    if path == "/plain":
        _write(sock, mode, b"this is no HTTP at all\n", b"")
        return False
    status, body = _answer(path)
    keep = b"HTTP/1.1" in head and b"connection: close" not in head.lower()
    text = f"HTTP/1.1 {status} Words\r\nContent-Length: {len(body)}\r\nSet-Cookie: secret-cookie\r\n\r\n"
    _write(sock, mode, text.encode(), b"" if head.startswith(b"HEAD") else body)
    return keep


def _accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


def _listen(mode: str) -> int:
    listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
    threading.Thread(target=_accept, args=(listener, lambda sock: _serve(sock, mode)), daemon=True).start()
    return int(listener.getsockname()[1])


def main() -> None:
    """Serve until standard input is closed."""
    print(json.dumps({mode: _listen(mode) for mode in sys.argv[1:]}), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
