"""What a target is made of: real processes with sockets, namespaces and libraries, and a /proc of our own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bpftop.model import Process, Target, TargetKind
from bpftop.target import resolve
from bpftop.target.look import Look, look, speaks_tls
from tests.processes import FakeProc, as_nobody, server

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
TALKER = """
import json, os, select, socket, ssl, sys, threading
folder = json.loads(sys.argv[1])["folder"]
kept = [select.epoll(), socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)]
kept[2].bind(folder + "/answers"); kept[2].listen()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("127.0.0.1", 0))
client_udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); client_udp.connect(("127.0.0.1", 9))
upstream = socket.create_server(("127.0.0.1", 0))
out = socket.create_connection(upstream.getsockname()); back = upstream.accept()[0]
port = upstream.getsockname()[1]
threading.Thread(target=threading.Event().wait, daemon=True).start()
print(json.dumps({"pid": os.getpid(), "ports": [kept[1].getsockname()[1], port, udp.getsockname()[1]],
                  "children": [], "threads": []}), flush=True)
sys.stdin.read()
"""


def test_a_server_that_talks_in_every_way(tmp_path: Path) -> None:
    with server(command=[sys.executable, "-c", TALKER], folder=str(tmp_path)) as one:
        seen = look(resolve(str(one.pid)))
    assert seen.threads == 2
    assert seen.unix == (f"{tmp_path}/answers",)
    assert seen.udp == (one.ports[2],), "a UDP socket with a peer is a client's"
    assert seen.outgoing == 1, "of the two ends of the connection one has a port that is listened on"
    assert seen.epoll
    assert speaks_tls(seen) == any(name.startswith("libssl") for name in seen.libraries)
    assert seen.io_uring == seen.unreadable == 0
    assert seen.inner_pids == ()


def test_a_quiet_process() -> None:
    with server(comm="zz-quiet") as one:
        seen = look(resolve(str(one.pid)))
    assert (seen.unix, seen.udp, seen.outgoing, seen.epoll, seen.threads) == ((), (), 0, False, 1)


@root
def test_a_process_in_namespaces_of_its_own() -> None:
    inside = ["unshare", "--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child"]
    script = (
        "import json, os, sys; print(json.dumps(dict(pid=os.getpid(), ports=[], children=[], threads=[])), flush=True)"
    )
    with server(command=[*inside, sys.executable, "-c", f"{script}; sys.stdin.read()"], comm="zz") as one:
        assert one.pid == 1
        [child] = [p for p in resolve(Path(sys.executable).name).processes if look_at(p.pid).inner_pids == (1,)]
        assert set(look_at(child.pid).foreign) == {"pid", "net", "mnt"}


def look_at(pid: int) -> Look:
    return look(Target(str(pid), TargetKind.PID, "", processes=(Process(pid, 0, ""),)))


@root
def test_what_may_not_be_read_is_counted() -> None:
    with server(comm="zz-secret", listen=[{"host": "127.0.0.1"}]) as one:
        assert as_nobody(lambda: repr(look_at(one.pid).unreadable)) == "1"


def test_rings_containers_and_units(tmp_path: Path) -> None:
    fake = FakeProc(tmp_path / "proc")
    base = fake.add(7, "web", exe="/bin/web")
    os.symlink("anon_inode:[io_uring]", base / "fd" / "9")
    (base / "maps").write_text("7f00-7f01 r-xp 00000000 08:01 5 /usr/lib/x86_64-linux-gnu/libnghttp2.so.14.24.1\n")
    (base / "cgroup").write_text(f"0::/system.slice/web.service/docker-{'a' * 64}.scope\n")
    seen = look(Target("7", TargetKind.PID, "", processes=(Process(7, 0, "web"), Process(99, 0, "gone"))), fake.root)
    assert seen.io_uring == 1
    assert seen.libraries == ("libnghttp2.so.14.24.1",)
    assert not speaks_tls(seen)
    assert seen.containers == ("a" * 64,)
    assert seen.units == ("web.service",)
