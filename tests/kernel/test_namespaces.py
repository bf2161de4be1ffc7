"""Containers: a server in process, network and mount namespaces of its own; one port number in several networks."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bpftop.session import Session
from bpftop.session import rescan as rescan_module
from bpftop.target import resolve
from tests.kernel.watching import final, free_port, settled, wait_for, watching
from tests.load import delay_server, program, run_load

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_UNSHARE = """#!/bin/sh
exec unshare --net --pid --mount --mount-proc --fork --kill-child \\
  sh -c 'ip link set lo up; exec "$0" "$@"' {binary} "$@"
"""


@contextmanager
def container(folder: Path, name: str, port: int) -> Iterator[int]:
    """A server called ``name`` on ``port`` in namespaces of its own, where it is process 1; its id on the host."""
    folder.mkdir(exist_ok=True)
    binary, start = folder / name, folder / f"start-{name}"
    shutil.copy2(program("delay_server"), binary)
    start.write_text(_UNSHARE.format(binary=binary))
    start.chmod(0o755)
    before = set(resolve(name).pids)
    with delay_server(binary=start, port=port) as server:
        assert server.pid == 1
        (pid,) = set(resolve(name).pids) - before
        try:
            yield pid
        finally:
            os.kill(pid, signal.SIGTERM)  # unshare itself ignores it
    wait_for(lambda: pid not in resolve(name).pids, "the server lives on")


@contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Programs started in this block are in the network namespace of the process."""
    with open(f"/proc/{os.getpid()}/ns/net") as ours, open(f"/proc/{pid}/ns/net") as theirs:
        assert _libc.setns(theirs.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert _libc.setns(ours.fileno(), _CLONE_NEWNET) == 0


def load(pid: int, port: int, requests: int) -> None:
    with network_of(pid):
        assert run_load(port, requests, connections=4, close=True).complete


def counts(session: Session) -> tuple[int, int]:
    """Requests and connections since the start."""
    requests = final(session, "request_latency").summary.count
    return requests, session.snapshot(None).measures["connection_duration"].summary.count


def test_a_server_in_namespaces_of_its_own_and_its_port_elsewhere(tmp_path: Path) -> None:
    """Four servers on one port number, each in a network of its own; two have the name, the second of them later.

    The port as target means all of them.
    """
    port = free_port()
    other = tmp_path / "other-server"
    shutil.copy2(program("delay_server"), other)
    with (
        delay_server(binary=other, port=port) as host_server,
        container(tmp_path / "a", "boxed-other", port) as neighbour,
        container(tmp_path / "b", "boxed-server", port) as boxed,
        watching("boxed-server") as session,
        watching(f":{port}") as everywhere,
    ):
        assert session.snapshot(None).target.pids == (boxed,)
        assert session.snapshot(None).target.ports == (port,)
        assert set(everywhere.snapshot(None).target.pids) == {host_server.pid, neighbour, boxed}
        for _ in range(2):
            load(boxed, port, 300)
            load(host_server.pid, port, 170)
            load(neighbour, port, 130)
        assert counts(session) == (600, 600)
        with container(tmp_path / "c", "boxed-server", port) as later:
            assert set(session.snapshot(None).target.pids) <= {boxed, later}
            load(later, port, 90)
            load(host_server.pid, port, 70)
            assert counts(session) == (690, 690)
            assert set(session.snapshot(None).target.pids) == {boxed, later}
        everything = 2 * (300 + 170 + 130) + 90 + 70
        assert counts(everywhere) == (everything, everything)
        for snapshot in (session.snapshot(None), everywhere.snapshot(None)):
            assert snapshot.accounting.untracked == 0
            assert snapshot.tracer.restarts == 0


@contextmanager
def cgroup(name: str) -> Iterator[Path]:
    """A new cgroup in the first hierarchy that takes one, version 1 or 2."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    for where in [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup2", "cgroup")]:
        folder = where / name
        with suppress(OSError):
            folder.mkdir()
        if (folder / "cgroup.procs").exists():
            break
    else:
        pytest.skip("no cgroup can be made here")
    try:
        yield folder
    finally:
        wait_for(lambda: not (folder / "cgroup.procs").read_text(), "somebody lives on in the cgroup")
        folder.rmdir()


def test_a_cgroup_and_who_joins_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescan_module, "_CALM_S", 0.5)
    with (
        cgroup(f"bpftop-test-{os.getpid()}") as group,
        delay_server() as inside,
        delay_server() as outside,
        delay_server() as late,
    ):
        spec = f"cgroup:/{group.name}"
        (group / "cgroup.procs").write_text(str(inside.pid))
        with watching(spec) as session:
            assert session.snapshot(None).target.pids == (inside.pid,)
            for server, requests in ((inside, 150), (outside, 100), (late, 50)):
                assert run_load(server.port, requests, connections=3).complete
            assert counts(session)[0] == 150
            (group / "cgroup.procs").write_text(str(late.pid))
            wait_for(lambda: late.pid in session.snapshot(None).target.pids, "not found", 30)
            wait_for(lambda: late.port in session.snapshot(None).target.ports, "port not found", 30)
            settled(session)
            assert run_load(late.port, 60, connections=3).complete
            assert run_load(outside.port, 40, connections=3).complete
            assert counts(session)[0] == 210


def test_inside_a_process_namespace_bpftop_says_what_it_cannot_do() -> None:
    words = [sys.executable, "-P", "-m", "bpftop", "report", "-d", "1", "sh"]
    run = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert run.returncode == 3
    assert "numbers processes its own way" in run.stderr
    assert "--pid=host" in run.stderr
    assert run.stdout == ""


pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
