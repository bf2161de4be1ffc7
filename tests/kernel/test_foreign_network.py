"""A target in another network namespace: the queues and connections that are looked at are its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import pytest

from bpftop.model import Backlog, Process, Target, TargetKind
from bpftop.standstill import connections
from bpftop.standstill.look import Looks
from tests.incidents.namespace import namespace

pytestmark = pytest.mark.kernel
LISTENS = """
import socket, sys
listening = socket.create_server(("127.0.0.1", 0), backlog=1)
clients = [socket.create_connection(listening.getsockname()) for _ in range(2)]
[each.send(b"request") for each in clients]
print(listening.getsockname()[1], flush=True)
sys.stdin.read()
"""


def target(pid: int, port: int) -> Target:
    return Target("x", TargetKind.PID, "x", processes=(Process(pid, 0, "x"),), ports=(port,))


def test_the_queue_of_a_target_in_another_network_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its port is one of ours, too: there nobody waits."""
    monkeypatch.setattr(connections, "LATE_MS", 100)
    with namespace() as theirs:
        with theirs.entered():
            other = subprocess.Popen([sys.executable, "-c", LISTENS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with other:
            try:
                assert other.stdout is not None
                port = int(other.stdout.readline())
                with socket.create_server(("127.0.0.1", port)):
                    time.sleep(0.3)
                    found, ours = Looks()(target(other.pid, port)), Looks()(target(os.getpid(), port))
            finally:
                other.kill()
    assert found.backlogs == (Backlog(port, 2, 1),)
    assert (found.open, found.unread) == (2, 2)
    assert (ours.backlogs, ours.open) == ((), 0)
