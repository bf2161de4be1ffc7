"""What the kernel tests share: a live session on a target, an nginx of one's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bpftop import preflight
from bpftop.clock import boot_ns
from bpftop.model import Histogram, MeasureSnapshot, Script, Snapshot, Target
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.target import resolve
from bpftop.tracer.supervisor import BpftraceSource
from tests.kernel.missed import tracers

ATTACH_S = 170
"""A virtual machine whose instructions are translated takes long to compile a program."""
TICK_S = 60
"""How long the next tick may take on a busy host, there."""
PREFERRED = False
"""Whether bpftrace runs before others."""
OTHERS_SHARE = 0.0
"""What a stopped processor may move from a client to the others: a virtual machine on a busy host sets it."""
_CONFIG = """
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    listen [::1]:{port} backlog=4096;
    root {folder}/www;
    location /fixed {{ return 200 "ok\\n"; }}
  }}
  {more}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    port: int
    pid: int
    """Of the master."""
    binary: str
    config: Path

    def signal(self, name: str) -> None:
        """``nginx -s NAME``."""
        subprocess.run([self.binary, "-c", str(self.config), "-s", name], check=True, capture_output=True)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def running_nginx(folder: Path, port: int = 0, more: str = "") -> Iterator[Nginx]:
    """nginx in the foreground with all its files in ``folder``, ended by its pid. ``more``: lines for ``http``."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if binary is None:
        pytest.skip("nginx is not installed: apt-get install nginx")
    port = port or free_port()
    (folder / "www").mkdir(exist_ok=True)
    (folder / "www" / "index.html").write_text("<p>hello</p>\n" * 20)
    folder.chmod(0o755)
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port, more=more))
    process = subprocess.Popen([binary, "-c", str(config), "-e", str(folder / "error.log")], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _accepts(port) and _workers(process.pid) == 2, "nginx does not listen")
        yield Nginx(port, process.pid, binary, config)
    finally:
        process.terminate()
        process.wait(10)


def _workers(pid: int) -> int:
    """The master listens before it has workers; what forks just then is only found by the second look for processes."""
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


def wait_for(condition: object, why: str, timeout_s: float = 60) -> None:
    """Poll until ``condition()`` is true; fail with ``why`` after ``timeout_s``."""
    assert callable(condition)
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(why)
        time.sleep(0.02)


def offered(names: Sequence[str]) -> list[Script]:
    """The scripts of these names, in the variants that this kernel can run."""
    return [preflight.suited(catalog()[name]) for name in names]


def source_for(target: Target, scripts: tuple[str, ...] = ("requests", "connections")) -> BpftraceSource:
    """A bpftrace run on a target, not started; ``make test-bpftraces`` names another bpftrace."""
    program = compose(offered(scripts), target)
    return BpftraceSource(program, os.environ.get("BPFTOP_TEST_BPFTRACE") or str(preflight.bpftrace_path()))


@contextmanager
def watching(spec: str, scripts: tuple[str, ...] = ("requests", "connections")) -> Iterator[Session]:
    """A live session on a target; everything that happens in the block is counted."""
    target = resolve(spec)
    program = compose(offered(scripts), target)
    session = Session(
        source_for(target, scripts),
        program,
        target,
        renew=lambda found: source_for(found, scripts),
        rescan=lambda: resolve(spec),
    )
    with started(session):
        yield session


@contextmanager
def attached(pid: int, *scripts: Script) -> Iterator[Session]:
    """A live session with these scripts on one process."""
    target = resolve(str(pid))
    program = compose(scripts, target)
    with started(Session(BpftraceSource(program, str(preflight.bpftrace_path())), program, target)) as session:
        yield session


@contextmanager
def started(session: Session) -> Iterator[Session]:
    """The session, from its first tick on, until the block ends."""
    session.start()
    try:
        if not session.wait_live(ATTACH_S):
            pytest.fail(f"not live: {session.snapshot(None).tracer}")
        prefer_tracers()
        yield session
    finally:
        session.stop()


def prefer_tracers() -> None:
    """Where asked for, let bpftrace read before the load runs on.

    It has a second to print a half of the clients' maps before the kernel fills that again (bt/lib/tick.bt); where
    instructions are translated on a busy host, a load that takes all processors keeps it from that.
    """
    for pid in tracers() if PREFERRED else ():
        os.setpriority(os.PRIO_PROCESS, pid, -15)


def settled(session: Session, *, events: bool = False) -> Snapshot:
    """All figures of the whole run once everything that happened before is in them; with the single events, too.

    What keys count is printed when the second in which it happened is over; one more is for what a server does after
    its client has gone. Reports that come after the call may be from before it: on a busy host two more prove nothing,
    and one that was printed late has what keys counted in an earlier second. So up to three more are waited for while
    keys and totals differ.
    """
    over_ns = (boot_ns() // 10**9 + 2) * 10**9
    assert not events or session.wait_tick(TICK_S), session.snapshot(None).tracer
    assert session.settle(TICK_S, over_ns), session.snapshot(None).tracer
    for _ in range(3):
        snapshot = session.snapshot(None)
        if all(_agree(measure) for measure in snapshot.measures.values()) or not session.wait_tick(TICK_S):
            break
    return session.snapshot(None)


def _agree(measure: MeasureSnapshot) -> bool:
    """Whether the keys have all that was counted; the row ``others`` is one of them."""
    return not measure.clients or sum(row.count for row in measure.clients) == measure.summary.count


def final(session: Session, name: str) -> MeasureSnapshot:
    """One measure of ``settled``."""
    return settled(session).measures[name]


def counts_by_client(measure: MeasureSnapshot) -> dict[str, int]:
    """The count of each client."""
    return {row.client: row.count for row in measure.clients}


def assert_counts(measure: MeasureSnapshot, wanted: Mapping[str, int]) -> None:
    """Each client, upstream … has its count. Of the whole, no more than OTHERS_SHARE is among the others instead."""
    counts = counts_by_client(measure)
    others, total = counts.pop("others", 0), sum(wanted.values())
    assert sum(counts.values()) + others == measure.summary.count == total, (counts, others, wanted)
    assert counts.keys() <= wanted.keys(), (counts, wanted)
    assert all(counts.get(key, 0) <= count for key, count in wanted.items()), (counts, others, wanted)
    assert others <= total * OTHERS_SHARE, (others, counts, wanted)


def assert_between(
    histogram: Histogram, low_ns: NDArray[np.int64], high_ns: NDArray[np.int64], soft_share: float = 0
) -> None:
    """Every reported value, in order, must fit between the bounds of its rank, within one bucket (1.6 %).

    ``low_ns`` and ``high_ns`` have one entry per observation, sorted. ``soft_share``: so many of them may be below
    their low bound; a queue's begins when the sender's call returned, and the data may arrive after that.
    """
    assert (histogram.counts.sum(), len(low_ns)) == (len(high_ns), len(high_ns))
    reported_low = np.repeat(histogram.low_ns, histogram.counts)
    reported_high = np.repeat(histogram.high_ns, histogram.counts)
    too_high = reported_low > high_ns
    too_low = reported_high < low_ns
    assert not too_high.any(), _first_wrong(too_high, reported_low, low_ns, high_ns)
    assert too_low.mean() <= soft_share, _first_wrong(too_low, reported_high, low_ns, high_ns)


def _first_wrong(
    wrong: NDArray[np.bool_], reported: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
) -> str:
    at = int(np.flatnonzero(wrong)[0])
    return (
        f"rank {at} of {len(wrong)}: reported {reported[at]}, truth {low[at]} to {high[at]} ({int(wrong.sum())} wrong)"
    )
