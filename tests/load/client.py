"""The load generator: exactly N requests, counted per source address."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.load.build import program

TRACE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "client",  # IPv4 in host order, 0 for ::1
            "port",
            "connect_start_ns",
            "connect_end_ns",
            "due_ns",  # when the open loop wanted to send it
            "send_start_ns",
            "send_end_ns",
            "first_byte_ns",
            "last_byte_ns",
        )
    ]
)
"""One row per answered request; all times CLOCK_BOOTTIME, as bpftrace's ``nsecs``."""


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What one source address did."""

    requests: int
    responses: int
    connections: int


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the generator did: counts are exact, latencies are its own view (send to last byte)."""

    sources: dict[str, SourceCount]
    requests: int
    responses: int
    connections: int
    errors: int
    not_2xx: int
    bytes: int
    complete: bool
    """All N requests were answered and no connection broke."""
    started_ns: int
    elapsed_ns: int
    rate_per_s: float
    p50_ns: int
    p90_ns: int
    p99_ns: int
    max_ns: int
    trace: NDArray[np.void] = field(default_factory=lambda: np.empty(0, TRACE), repr=False, compare=False)
    """Rows of TRACE when asked for."""


def loopback_addresses(count: int) -> list[str]:
    """``count`` different client addresses: 127.0.1.1, 127.0.1.2 …"""
    return [f"127.0.{1 + i // 250}.{1 + i % 250}" for i in range(count)]


def run_load(
    port: int,
    requests: int,
    *,
    connections: int = 8,
    close: bool = False,
    sources: Sequence[str] = (),
    rate_per_s: float = 0,
    paths: Sequence[str] = (),
    host: str = "127.0.0.1",
    trace: bool = False,
    time_limit_s: int = 60,
) -> LoadResult:
    """Send the requests and wait for the end. Sources ``::1`` connect to ``[::1]:port``, all others to ``host``."""
    with load_in_background(
        port,
        requests,
        connections=connections,
        close=close,
        sources=sources,
        rate_per_s=rate_per_s,
        paths=paths,
        host=host,
        trace=trace,
        time_limit_s=time_limit_s,
    ) as load:
        return load.result()


class Load:
    """A running generator."""

    def __init__(self, process: subprocess.Popen[str], trace: Path | None, time_limit_s: int) -> None:
        self._process = process
        self._trace = trace
        self._time_limit_s = time_limit_s
        self.pid = process.pid

    def result(self) -> LoadResult:
        """Wait for the end; raises RuntimeError with the generator's words when it failed."""
        out, err = self._process.communicate(timeout=self._time_limit_s + 10)
        if self._process.returncode:
            raise RuntimeError(f"http_load: {err.strip()}")
        values = json.loads(out)
        sources: dict[str, SourceCount] = {}
        for row in values.pop("sources"):
            before = sources.get(row["address"], SourceCount(0, 0, 0))
            sources[row["address"]] = SourceCount(
                before.requests + row["requests"],
                before.responses + row["responses"],
                before.connections + row["connections"],
            )
        rows = np.fromfile(self._trace, TRACE) if self._trace else np.empty(0, TRACE)
        return LoadResult(sources=sources, trace=rows, **values)


@contextmanager
def load_in_background(
    port: int,
    requests: int,
    *,
    connections: int = 8,
    close: bool = False,
    sources: Sequence[str] = (),
    rate_per_s: float = 0,
    paths: Sequence[str] = (),
    host: str = "127.0.0.1",
    trace: bool = False,
    time_limit_s: int = 60,
) -> Iterator[Load]:
    """The same while the test does something else, such as SIGSTOP of the server. Killed on leaving."""
    options = [f"--{name}={value}" for name, value in _options(port, requests, connections, host, time_limit_s)]
    if close:
        options.append("--close")
    if sources:
        options.append("--sources=" + ",".join(sources))
    if rate_per_s:
        options.append(f"--rate={rate_per_s}")
    if paths:
        options.append("--paths=" + ",".join(paths))
    with tempfile.TemporaryDirectory(prefix="bpftop-load-") as folder:
        path = Path(folder) / "trace" if trace else None
        if path:
            options.append(f"--trace={path}")
        process = subprocess.Popen(
            [program("http_load"), *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with process:
            try:
                yield Load(process, path, time_limit_s)
            finally:
                process.kill()


def _options(
    port: int, requests: int, connections: int, host: str, time_limit_s: int
) -> list[tuple[str, int | float | str]]:
    return [
        ("port", port),
        ("requests", requests),
        ("connections", connections),
        ("host", host),
        ("time-limit", time_limit_s),
    ]
