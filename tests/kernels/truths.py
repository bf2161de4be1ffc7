"""Workloads of known count for the scripts, small enough for a machine whose instructions are translated."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bpftop.model import Script, Target, TargetKind
from bpftop.preflight import bpftrace_path
from bpftop.scripts import compose
from bpftop.session import Session
from bpftop.syscalls import syscall_name
from bpftop.target import resolve
from bpftop.tracer.supervisor import BpftraceSource
from tests.kernel.test_tcp import connects_resets_and_slow_receivers, round_trips_and_lost_packets
from tests.kernel.test_upstream import nginx_and_its_upstreams, what_is_an_upstream_and_what_is_not
from tests.kernel.watching import counts_by_client, final, prefer_tracers, running_nginx
from tests.kernels.withheld import Withheld, withheld
from tests.load import loopback_addresses, run_load
from tests.load.told import told

ATTACH_S = 170
SOURCES = [*loopback_addresses(3), "::1"]
SETTLE_S = 60
OTHERS_SHARE = 0.05
UPSTREAM_REQUESTS = 240


@dataclass(frozen=True, slots=True)
class Counted:
    """A workload that was counted."""

    words: str
    """What it was."""
    missed: int = 0
    """Observations that the kernel kept from our probes: it runs none in an interrupt that hits another one."""


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
        prefer_tracers()
        yield session
        said = session.snapshot(None).tracer.stderr
        assert not any("few capabilities" in line for line in said), said
    finally:
        session.stop()


def web(scripts: Sequence[Script]) -> Counted:
    """nginx, from memory (writev) and from a file (sendfile), over IPv4 and IPv6, kept alive and closed."""
    with _nginx_port() as port, watched(f":{port}", scripts) as session, withheld(_heads(scripts)) as kept_out:
        kept = run_load(port, 300, connections=8, sources=SOURCES, paths=["/fixed", "/index.html"])
        closed = run_load(port, 100, connections=4, sources=SOURCES, close=True)
        assert kept.complete
        assert closed.complete
        names, missed = {script.name for script in scripts}, 0
        requests = {a: kept.sources[a].responses + closed.sources[a].responses for a in SOURCES}
        connections = {a: kept.sources[a].connections + closed.sources[a].connections for a in SOURCES}
        if "requests" in names:
            for name in ("request_latency", "response_time", "read_queue_latency"):
                missed += _exact(session, name, requests, kept_out)
        if "connections" in names:
            for name in ("connection_duration", "accept_queue_latency"):
                missed += _exact(session, name, connections, kept_out)
        produced = {"requests": sum(requests.values()), "connections": sum(connections.values())}
        _books(session, sum(produced[name] for name in names), missed)
    words = f"{produced['requests']} requests on {produced['connections']} connections of {len(SOURCES)} clients"
    return Counted(words, missed)


def http(scripts: Sequence[Script]) -> Counted:
    """nginx, from memory and from a file: where the first lines of requests and responses are differs by kernel."""
    with _nginx_port() as port, watched(f":{port}", scripts) as session, withheld(_heads(scripts)) as kept_out:
        load = run_load(port, 200, connections=4, paths=["/fixed", "/index.html?q=1"])
        assert load.complete
        missed = _exact(session, "route_latency", {"GET /fixed": 100, "GET /index.html": 100}, kept_out)
        assert session.snapshot(None).counters["http_unseen"].count == 0
    return Counted("200 requests of 2 routes", missed)


def tcp(_scripts: Sequence[Script]) -> Counted:
    """Two ends over a link that delays, loses and breaks: the kernel's own counters and both clocks."""
    round_trips_and_lost_packets()
    connects_resets_and_slow_receivers()
    return Counted("51 sends and 36 reads with their round trips, 10 connects, lost packets and resets by cause")


def upstream(_scripts: Sequence[Script]) -> Counted:
    """nginx and its upstreams, and a client whose every call is known; over TCP and unix sockets."""
    with tempfile.TemporaryDirectory(prefix="bpftop-up-") as folder:
        Path(folder).chmod(0o755)
        nginx_and_its_upstreams(Path(folder), UPSTREAM_REQUESTS)
        what_is_an_upstream_and_what_is_not(Path(folder))
    return Counted(f"{UPSTREAM_REQUESTS} answers of 4 upstreams to nginx, 253 to another client, with their times")


def _heads(scripts: Sequence[Script]) -> str:
    """A program with the attach points of the one that runs."""
    return compose(scripts, Target("", TargetKind.PORT, "")).text


@contextmanager
def _nginx_port() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder, running_nginx(Path(folder)) as nginx:
        yield nginx.port


def _exact(session: Session, name: str, wanted: Mapping[str, int], kept_out: Withheld) -> int:
    """The measure has these counts, by client; returns how many the kernel kept from us, no more than it left runs out.

    Up to OTHERS_SHARE may be among the "others": a processor that the host stops in the middle of a probe for longer
    than the pause between the turns of the two halves finds its half printed already (bt/lib/tick.bt).
    """
    total = sum(wanted.values())
    end = time.monotonic() + SETTLE_S
    while (measure := session.snapshot(None).measures[name]).summary.count < total and time.monotonic() < end:
        time.sleep(0.2)
    measure = final(session, name)
    left_out = kept_out.count()
    missed = total - measure.summary.count
    assert 0 <= missed <= left_out, (name, measure.summary.count, total, left_out)
    counts = counts_by_client(measure)
    others = counts.pop("others", 0)
    print(f"{name}: {missed} of {total} missing, {left_out} left out, {others} others", file=sys.stderr)
    assert sum(counts.values()) + others == measure.summary.count == measure.histogram.counts.sum(), (name, counts)
    assert all(counts.get(client, 0) <= count for client, count in wanted.items()), (name, counts, wanted)
    assert others <= total * OTHERS_SHARE, (name, counts, wanted)
    return missed


def _books(session: Session, produced: int, missed: int) -> None:
    """produced = shown + suppressed + lost + rejected, with nothing lost."""
    books = session.snapshot(None).accounting
    assert produced - missed <= books.produced <= produced, books
    _books_hold(session)


def _books_hold(session: Session) -> None:
    books = session.snapshot(None).accounting
    assert books.produced == books.shown + books.suppressed, books
    assert (books.lost, books.rejected, books.untracked) == (0, 0, 0), books


def syscalls(scripts: Sequence[Script]) -> Counted:
    """A program that writes down each of its calls; besides, it answers once, and signals return by a call."""
    rows = _told("known_calls", scripts)
    calls = Counter(syscall_name(int(number)) for number in rows.truth[:, 0]) + Counter(rt_sigreturn=50, write=1)
    counted = rows.counts["syscall_latency"] | rows.counts["waiting_latency"]
    # Where the virtual clock is not trusted, looking at it is a system call; here it is none.
    counted.pop("clock_gettime", 0)
    assert counted == calls, (counted, calls)
    return Counted(f"{sum(calls.values())} calls of {len(calls)} kinds")


def eventloop(scripts: Sequence[Script]) -> Counted:
    """Turns of a loop of epoll and a loop of poll, which both wrote them down: thread first in each row."""
    rows = _told("event_loop", scripts)
    turns = Counter(int(thread) for thread in rows.truth[:, 0])
    for name, less in (("loop_wait", 0), ("loop_stall", 1)):
        counted = {int(key.rpartition(" ")[2]): count for key, count in rows.counts[name].items()}
        assert counted == {thread: count - less for thread, count in turns.items()}, (name, counted, turns)
    return Counted(f"{sum(turns.values())} turns of {len(turns)} loops")


def disk(scripts: Sequence[Script]) -> Counted:
    """Direct reads and writes of the guest's second disk."""
    rows = _told("disk_io", scripts, "/dev/vdb", ("write 100", "read 200"), "end")
    for name in ("disk_latency", "disk_queue_latency"):
        assert rows.counts[name] == {"vdb read": 200, "vdb write": 100}, (name, rows.counts[name])
    return Counted("200 reads and 100 writes")


@dataclass(frozen=True, slots=True)
class _Told:
    truth: NDArray[np.int64]
    """What the program wrote down: one row for each thing it did."""
    counts: dict[str, dict[str, int]]
    """By measure and key."""


def _told(
    program: str, scripts: Sequence[Script], place: str = "", work: Sequence[str] = ("go",), end: str = "go"
) -> _Told:
    """Watch a program of tests/load while it does its work; then have it write down what that was."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "truth"
        with told(program, file, place or Path(folder) / "scratch") as running:
            with watched(str(running.pid), scripts) as session:
                for line in work:
                    running.tell(line)
                session.wait_tick(SETTLE_S)
                measures = {name: final(session, name) for script in scripts for name in _names(script)}
                _books_hold(session)
            running.tell(end)
        truth = np.fromfile(file, np.int64)
    return _Told(truth.reshape(-1, _COLUMNS[program]), {name: counts_by_client(m) for name, m in measures.items()})


_COLUMNS = {"known_calls": 4, "event_loop": 5, "disk_io": 3}


def _names(script: Script) -> list[str]:
    return [measure.name for measure in script.measures]


TRUTHS: dict[tuple[str, ...], Callable[[Sequence[Script]], Counted]] = {
    ("requests", "connections"): web,
    ("http",): http,
    ("tcp",): tcp,
    ("upstream",): upstream,
    ("syscalls",): syscalls,
    ("eventloop",): eventloop,
    ("disk",): disk,
}
"""By names of scripts. What the workload was, in words; raises when the figures are not exactly it."""

PROGRAMS = ("http_load", "delay_server", *_COLUMNS)
"""Of tests/load: to be compiled before the guest starts, where gcc is slow."""
