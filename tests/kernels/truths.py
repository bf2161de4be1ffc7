"""Workloads of known count for the scripts, small enough for a machine whose instructions are translated."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from bpftop.model import Script
from bpftop.preflight import bpftrace_path
from bpftop.scripts import compose
from bpftop.session import Session
from bpftop.target import resolve
from bpftop.tracer.supervisor import BpftraceSource
from tests.kernel.watching import counts_by_client, final, running_nginx
from tests.load import loopback_addresses, run_load

ATTACH_S = 120
SOURCES = [*loopback_addresses(3), "::1"]
SETTLE_S = 60


@contextmanager
def watched(spec: str, scripts: Sequence[Script]) -> Iterator[Session]:
    """A live session of the scripts on a target."""
    target = resolve(spec)
    program = compose(scripts, target)
    session = Session(BpftraceSource(program, str(bpftrace_path())), program, target)
    session.start()
    try:
        if not session.wait_live(ATTACH_S):
            raise AssertionError(f"not live: {session.snapshot(None).tracer}")
        yield session
    finally:
        session.stop()


def web(scripts: Sequence[Script]) -> str:
    """nginx, from memory (writev) and from a file (sendfile), over IPv4 and IPv6, kept alive and closed."""
    with _nginx_port() as port, watched(f":{port}", scripts) as session:
        kept = run_load(port, 300, connections=8, sources=SOURCES, paths=["/fixed", "/index.html"])
        closed = run_load(port, 100, connections=4, sources=SOURCES, close=True)
        assert kept.complete
        assert closed.complete
        names = {script.name for script in scripts}
        requests = {a: kept.sources[a].responses + closed.sources[a].responses for a in SOURCES}
        connections = {a: kept.sources[a].connections + closed.sources[a].connections for a in SOURCES}
        if "requests" in names:
            for name in ("request_latency", "response_time", "read_queue_latency"):
                _exact(session, name, requests)
        if "connections" in names:
            for name in ("connection_duration", "accept_queue_latency"):
                _exact(session, name, connections)
        produced = {"requests": sum(requests.values()), "connections": sum(connections.values())}
        _books(session, sum(produced[name] for name in names))
    return f"{produced['requests']} requests on {produced['connections']} connections of {len(SOURCES)} clients"


@contextmanager
def _nginx_port() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder, running_nginx(Path(folder)) as nginx:
        yield nginx.port


def _exact(session: Session, name: str, wanted: Mapping[str, int]) -> None:
    """The measure has exactly these counts, by client.

    Up to two in a hundred may be among the "others": a processor that the host stops in the middle of a probe for
    longer than the pause between the turns of the two halves finds its half printed already (bt/lib/tick.bt).
    """
    total = sum(wanted.values())
    end = time.monotonic() + SETTLE_S
    while (measure := session.snapshot(None).measures[name]).summary.count < total and time.monotonic() < end:
        time.sleep(0.2)
    measure = final(session, name)
    assert measure.summary.count == total == measure.histogram.counts.sum(), (name, measure.summary.count, total)
    counts = counts_by_client(measure)
    others = counts.pop("others", 0)
    assert sum(counts.values()) + others == total, (name, counts, others)
    assert all(counts.get(client, 0) <= count for client, count in wanted.items()), (name, counts, wanted)
    assert others <= total // 50, (name, counts, wanted)


def _books(session: Session, produced: int) -> None:
    """produced = shown + suppressed + lost + rejected, with nothing lost."""
    books = session.snapshot(None).accounting
    assert books.produced == produced == books.shown + books.suppressed, books
    assert (books.lost, books.rejected, books.untracked) == (0, 0, 0), books


TRUTHS: dict[tuple[str, ...], Callable[[Sequence[Script]], str]] = {("requests", "connections"): web}
"""By names of scripts. What the workload was, in words; raises when the figures are not exactly it."""
