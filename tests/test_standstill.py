"""Who stands still, from the kernel itself: real processes that stop or spin, real connections without an answer."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from bpftop.model import Backlog, Held, Process, Resender, Resent, Scarce, Standstill, Target, TargetKind, Waiting
from bpftop.standstill import connections, look, processes, sockets
from bpftop.standstill.look import Looks
from bpftop.standstill.neighbours import Neighbours
from bpftop.standstill.processes import Processes
from bpftop.standstill.resends import Resends
from bpftop.standstill.scarcity import Scarcity
from bpftop.stats.exclude import Excluded

LATE_MS = 300


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LATE_MS", LATE_MS)
    monkeypatch.setattr(processes, "BUSY_S", 0.3)
    monkeypatch.setattr(processes, "LINGER_S", 0.3)


@contextmanager
def child(code: str) -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", code]) as running:
        try:
            yield running.pid
        finally:
            running.kill()


def until(found: Callable[[], bool], most_s: float = 20.0) -> None:
    end = time.monotonic() + most_s
    while not found():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def held(seen: Processes, pid: int, found: list[Held]) -> list[Held]:
    found += seen.held([pid], time.monotonic())
    return found


def target(port: int) -> Target:
    return Target("x", TargetKind.NAME, "x", processes=(Process(os.getpid(), 0, "x"),), ports=(port,))


def calm(found: Standstill) -> bool:
    """Nothing stands still; this very process may wait for a CPU."""
    return replace(found, scarce=Scarce()) == Standstill()


def test_a_stopped_process_is_held_until_it_goes_on_and_was_stopped_for_ten_seconds_more() -> None:
    with child("import time; time.sleep(60)") as pid:
        seen = Processes()
        until(lambda: not seen.held([pid], time.monotonic()))
        os.kill(pid, signal.SIGSTOP)
        found: list[Held] = []
        began = time.monotonic()
        until(lambda: bool(held(seen, pid, found)))
        assert (found[0].pid, found[0].state) == (pid, "stopped")
        os.kill(pid, signal.SIGCONT)
        now = time.monotonic()
        [still] = seen.held([pid], now)
        assert (still.state, still.for_s <= now - began) == ("stopped", True), "it may stop and go on by turns"
        [was] = seen.held([pid], now + 6.0)
        assert (was.state, was.for_s <= now - began) == ("was stopped", True)
        assert not seen.held([pid], now + 11.0)


def test_a_process_that_never_pauses_is_busy() -> None:
    with child("while True: pass") as pid:
        seen, found = Processes(), list[Held]()
        until(lambda: bool(held(seen, pid, found)))
        assert found[0].state == "busy"
        assert seen.held([2**22 + 1], time.monotonic()) == ()


def test_connections_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is unread, one read and not answered, one answered, one silent; one waits to be accepted."""
    monkeypatch.setattr(look, "CALM_PAUSE_S", 0.0)
    monkeypatch.setattr(look, "PAUSE_S", 0.0)
    monkeypatch.setattr(look, "COST", 1e9)
    with closing(socket.create_server(("127.0.0.1", 0), backlog=8)) as listening:
        place = listening.getsockname()
        looks = Looks()
        clients = [socket.create_connection(place, source_address=(f"127.0.5.{i}", 0)) for i in range(5)]
        served = [listening.accept()[0] for _ in range(4)]
        assert calm(looks(target(place[1])))
        time.sleep(0.05)  # the clocks of the kernel tick every few milliseconds
        for i in (0, 1, 2, 4):
            clients[i].send(b"request")
        served[1].recv(100)
        served[2].recv(100)
        time.sleep(0.05)
        served[2].send(b"answer")
        until(lambda: looks(target(place[1])).open == 3)
        last = looks(target(place[1]))
        assert (last.unread, last.connections, last.given_up) == (2, 5, 0)
        assert sorted(each.name for each in last.clients) == ["127.0.5.0", "127.0.5.1", "127.0.5.4"]
        assert [(each.name, each.count) for each in last.workers] == [(str(os.getpid()), 2)]
        clients[0].close()
        until(lambda: looks(target(place[1])).given_up == 1)
        served.append(listening.accept()[0])
        for each in (*clients, *served):
            each.close()
        until(lambda: calm(looks(target(place[1]))))


def test_an_upstream_that_does_not_answer_and_a_full_accept_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(look, "COST", 1e9)
    with closing(socket.create_server(("::1", 0), family=socket.AF_INET6, backlog=1)) as listening:
        port = listening.getsockname()[1]
        clients = [socket.create_connection(("::1", port)) for _ in range(2)]
        time.sleep(0.05)
        for each in clients:
            each.send(b"request")
        own = target(1)  # its port is another: these are connections to others
        until(lambda: bool(Looks()(own).upstreams))
        [found] = Looks()(own).upstreams
        assert (found.name, found.count) == (f"[::1]:{port}", 2)
        assert Looks()(target(port)).backlogs == (Backlog(port, 2, 1),)
        for each in clients:
            each.close()


def test_what_is_usual_is_learnt_from_the_looks_before() -> None:
    now, waits = [100.0], [2]

    def found(_: int, __: bool) -> list[sockets.Socket]:
        late = sockets.Socket(sockets.ESTABLISHED, 80, "10.0.0.1", 1, 0, 0, 0, 9000, 8000, 5, 5)
        return [late] * waits[0]

    looks = Looks(found, lambda: now[0], lambda: 0.0)
    assert looks(target(80)).usual is None
    for _ in range(15):
        now[0] += 2.0
        last = looks(target(80))
    assert (last.open, last.usual) == (2, 2)
    waits[0] = 9
    now[0] += 2.0
    assert (looks(target(80)).open, looks(target(80)).usual) == (9, 2)


def test_the_cost_of_a_look_makes_the_next_one_later() -> None:
    asked: list[int] = []
    now, spent = [0.0], [0.0]

    def found(pid: int, all_of_them: bool) -> list[sockets.Socket]:
        if all_of_them:
            asked.append(pid)
            spent[0] += 0.1
        return []

    looks = Looks(found, lambda: now[0], lambda: spent[0])
    for _ in range(100):
        looks(target(80))
        now[0] += 1.0
    assert len(asked) == 5


class Network:
    """One client's connection on a network of a fake clock; looks at it and how many of them were at everything."""

    def __init__(self) -> None:
        self.now, self.asked_s, self.again, self.whole = 100.0, 0.0, 0, list[float]()
        self.looks = Looks(self._sockets, lambda: self.now, lambda: 0.0, lambda _: self.again)

    def _sockets(self, _: int, all_of_them: bool) -> list[sockets.Socket]:
        if not all_of_them:
            return []
        self.whole.append(self.now)
        quiet_ms = int((self.now - self.asked_s) * 1000) if self.asked_s else 50
        since = (quiet_ms + 10, quiet_ms) if self.asked_s else (quiet_ms, quiet_ms + 10)
        return [sockets.Socket(sockets.ESTABLISHED, 80, "10.0.0.1", 1, 0, 0, 0, *since, 100, 100)]

    def watch(self, seconds: int) -> list[Standstill]:
        """A look each second."""
        found = []
        for _ in range(seconds):
            self.now += 1.0
            found.append(self.looks(target(80)))
        return found


def test_all_connections_are_looked_at_only_when_an_answer_may_be_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LATE_MS", 5000)
    monkeypatch.setattr(Scarcity, "look", lambda *_: Scarce())
    for began in range(10):
        network = Network()
        assert all(calm(each) for each in network.watch(40 + began))
        assert 40 / 7 <= len(network.whole) <= 50 / 5 + 1
        network.asked_s = network.now + 0.5
        said = [each.open for each in network.watch(12)]
        assert said.index(1) + 0.5 <= connections.LATE_MS / 1000 + look.CALM_PAUSE_S, (began, said)
        assert network.whole[-3:] == [network.now - 2, network.now - 1, network.now], "every second while one waits"


def test_all_connections_are_looked_at_when_something_was_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LATE_MS", 5000)
    monkeypatch.setattr(Scarcity, "look", lambda *_: Scarce())
    network = Network()
    network.watch(2)
    while network.whole[-1] == network.now:
        network.watch(1)
    network.again += 1
    network.watch(2)
    assert network.whole[-1] > network.now - 2
    grown = len(network.whole)
    network.watch(3)
    assert len(network.whole) == grown


def test_resends_are_counted_by_client_and_usual_is_known() -> None:
    resends = Resends()

    def conn(peer: str, resent: int, sent: int, port: int = 80) -> sockets.Socket:
        return sockets.Socket(sockets.ESTABLISHED, port, peer, 5, 0, 0, 0, resent=resent, segments=sent)

    assert resends.look([conn("10.0.0.7", 50, 90)], [80], 0.0) == Resent(), "before the first look nothing is known"
    found = [conn("10.0.0.7", 54, 100), conn("10.0.0.1", 0, 200), conn("10.0.0.9", 1, 1), conn("10.9.9.9", 9, 9, 5000)]
    assert resends.look(found, [80], 2.0) == Resent(
        5, 211, None, (Resender("10.0.0.7", 4, 10), Resender("10.0.0.9", 1, 1)), 2.0
    )
    assert resends.look(found, [80], 20.0) == Resent(), "the last ten seconds"
    found[0] = conn("10.0.0.7", 64, 120)
    assert resends.look(found, [80], 22.0) == Resent(10, 20, 0.0237, (Resender("10.0.0.7", 10, 20),), 2.0)

    for second in range(24, 80, 2):
        found[0] = conn("10.0.0.7", found[0].resent + 10, found[0].segments + 100)
        last = resends.look(found, [80], second)
        assert last.unusual(), "what is unusual never becomes usual"
    assert last.usual == 0.0237

    found[0] = found[0]._replace(resent=found[0].resent + 50, segments=found[0].segments + 100, no_room_us=900_000)
    assert resends.look(found, [80], 80.0).segments == last.segments - 10, "a slow reader is no network that loses"
    slow = conn("10.0.0.8", 9, 30)._replace(no_room_us=20_000)
    assert "10.0.0.8" not in [each.name for each in resends.look([*found, slow], [80], 82.0).clients], "nor a new one"


def test_an_upstream_on_this_machine_and_how_long_it_has_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes on one CPU: each waits about half of the time. One of them has a listening socket."""
    cpu = min(os.sched_getaffinity(0))
    spin = f"import os, socket; os.sched_setaffinity(0, [{cpu}])\n"
    listens = "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True)\nwhile True: pass"
    with (
        subprocess.Popen([sys.executable, "-c", spin + listens], stdout=subprocess.PIPE) as upstream,
        child(spin + "while True: pass"),
    ):
        try:
            assert upstream.stdout is not None
            port = int(upstream.stdout.readline())
            with closing(socket.create_connection(("127.0.0.1", port))):
                near = Neighbours()
                until(lambda: _waited(near, port) >= 0.2)
        finally:
            upstream.kill()


def _waited(near: Neighbours, port: int) -> float:
    found = {each.name: each.cpu for each in near.look(sockets.sockets_of(os.getpid()), [], time.monotonic())}
    return found[f"127.0.0.1:{port}"].longest_s


def test_excluded_clients_are_counted_and_not_named() -> None:
    waiting = tuple(Waiting(name, 4, 9.0, 4) for name in ("10.0.0.9", "2001:db8::7", "10.0.1.9", "unknown"))
    again = tuple(Resender(name, 9, 90) for name in ("10.0.0.9", "10.0.1.9"))
    seen = Standstill(open=16, clients=waiting, resent=Resent(18, 180, None, again, 10.0))
    out = Excluded([ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("2001:db8::/64")]).without(seen)
    assert [each.name for each in out.clients] == ["10.0.1.9", "unknown"]
    assert [each.name for each in out.resent.clients] == ["10.0.1.9"]
    assert (out.open, out.resent.segments) == (16, 18)
    assert Excluded().without(seen) is seen
