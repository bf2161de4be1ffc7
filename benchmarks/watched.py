"""What bpftop watches in benchmarks/ui.py: nginx with or without requests, and a program with a million system calls
a second."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

PACED = """
import http.client, sys, time
own = [(f"127.0.0.{n}", 0) for n in range(2, 12)]
connections = [http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), source_address=each) for each in own]
while True:
    for each in connections:
        each.request("GET", "/"); each.getresponse().read()
    time.sleep(0.05)
"""
"""Ten clients, together at most 200 requests a second."""


@contextlib.contextmanager
def nginx(requests: bool = True) -> Iterator[int]:
    """A real nginx, with steady requests or none. Yields its port."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        free.close()
        conf = Path(name, "nginx.conf")
        conf.write_text(
            f"pid {name}/pid; error_log {name}/error; events {{}}\n"
            f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }} }}\n"
        )
        running = [subprocess.Popen(["nginx", "-c", str(conf), "-g", "daemon off;"], stderr=subprocess.DEVNULL)]
        try:
            _await(port)
            if requests:
                running.append(subprocess.Popen([sys.executable, "-c", PACED, str(port)], stderr=subprocess.DEVNULL))
            yield port
        finally:
            _end(reversed(running))


def _await(port: int) -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError("nginx does not answer")


@contextlib.contextmanager
def busy(seconds: float) -> Iterator[int]:
    """A dd that copies byte by byte on the last CPU, two system calls each; it ends by itself too. Yields its pid."""
    last = max(os.sched_getaffinity(0))
    dd = ["dd", "if=/dev/zero", "of=/dev/null", "bs=1", f"count={int(seconds * 2e6)}"]
    process = subprocess.Popen(
        dd, stderr=subprocess.DEVNULL, preexec_fn=lambda: os.sched_setaffinity(0, {last})
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        _end([process])


def calls(pid: int) -> int:
    """How many reads and writes a process has made, by the kernel's own count."""
    rows = dict(row.split(": ") for row in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(rows["syscr"]) + int(rows["syscw"])


def _end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    for each in processes:
        each.terminate()
        each.wait()
