"""The story is the same for everybody who asks; the demo's children act it and never outlive their parent."""

from __future__ import annotations

import json
import os
import pwd
import random
import select
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bpftop.demo import NAME, start_demo
from bpftop.demo.story import CLIENTS, CYCLE_S, ROUTES, SPELL_END_S, SPELL_START_S, Story
from bpftop.errors import BpftopError
from tests.fakes import wait_for

ROOT = Path(__file__).resolve().parents[1]


def gone(pid: int, within_s: float) -> bool:
    """The process ended, or is a zombie that nobody has reaped."""
    for _ in range(int(within_s / 0.05)):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_the_story_adds_up() -> None:
    story = Story()
    for client in CLIENTS:
        assert sum(client.routes.values()) == pytest.approx(1)
        assert set(client.routes) <= set(story.by_path)
    assert len({client.address for client in CLIENTS}) == len(CLIENTS) >= 12
    assert 150 < sum(story.rate_per_s(client, 1.0) for client in CLIENTS) < 350


def test_the_slow_spell_comes_every_cycle_and_ends() -> None:
    story = Story()
    middle = (SPELL_START_S + SPELL_END_S) / 2
    for cycle in range(3):
        at = cycle * CYCLE_S
        assert story.spell(at) == story.spell(at + SPELL_START_S) == story.spell(at + SPELL_END_S + 1) == 0
        assert story.spell(at + middle) == 1
    reports = ROUTES[-1]
    assert story.median_ns(reports, middle) == 5 * story.median_ns(reports, 1.0)


def test_delays_follow_the_seed_and_the_median() -> None:
    story = Story()
    route = story.by_path["/api/search"]
    drawn = [story.delay_ns(route, 1.0, chance) for chance in [random.Random(3)] for _ in range(2_000)]
    again = [story.delay_ns(route, 1.0, chance) for chance in [random.Random(3)] for _ in range(2_000)]
    assert drawn == again
    assert statistics.median(drawn) == pytest.approx(route.median_ns, rel=0.1)


def test_stalls_do_not_depend_on_how_one_asks() -> None:
    story = Story(seed=5)
    whole = story.stalls(0, 300)
    pieces = tuple(stall for start in range(300) for stall in story.stalls(start, start + 1))
    assert whole == pieces
    assert len(whole) == 30
    assert all(0.2 < stall.end_s - stall.start_s < 0.4 for stall in whole)
    assert whole != Story(seed=6).stalls(0, 300)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("user", [None, (1234, 2345)])
def test_as_root_both_become_somebody_else(user: tuple[int, int] | None) -> None:
    uid, gid = user or (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    with start_demo(user=user) as demo:
        expected = ([str(uid)] * 4, [str(gid)] * 4, "", "0000000000000000")
        wait_for(lambda: [_ids(demo.pid), _ids(demo.load_pid)] == [expected] * 2)


def _ids(pid: int) -> tuple[list[str], list[str], str, str]:
    words = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return words["Uid"].split(), words["Gid"].split(), words["Groups"].strip(), words["CapPrm"]


def test_server_and_load_act_the_story() -> None:
    with start_demo() as demo:
        assert Path(f"/proc/{demo.pid}/comm").read_text().strip() == NAME
        with socket.create_connection(("127.0.0.1", demo.port), timeout=10) as client:
            client.sendall(b"GET /static/app.css HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n")
        assert len(answer.partition(b"\r\n\r\n")[2]) == 20_000
        assert visitors(demo.port, at_least=6) >= {"127.0.1.10", "127.0.3.66"}
        assert demo.running()
    assert gone(demo.pid, 0.1)
    assert gone(demo.load_pid, 0.1)
    demo.close()


def visitors(port: int, at_least: int) -> set[str]:
    """The clients with an open connection to the port, once there are so many."""
    found: set[str] = set()
    for _ in range(100):
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, peer, state = line.split()[:4]
            if state == "01" and int(local.split(":")[1], 16) == port:
                found.add(".".join(str(b) for b in reversed(bytes.fromhex(peer.split(":")[0]))))
        if len(found) >= at_least:
            break
        time.sleep(0.05)
    return found


def test_a_port_in_use_is_an_error_for_people() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(BpftopError, match="did not start") as error, start_demo(taken.getsockname()[1]):
            pass
        assert error.value.hint


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_children_end_with_their_parent(how: signal.Signals) -> None:
    program = (
        "import json, time\nfrom bpftop.demo import start_demo\n"
        "with start_demo() as demo:\n print(json.dumps([demo.pid, demo.load_pid]), flush=True)\n time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    with parent:
        assert select.select([parent.stdout], [], [], 20)[0]
        children = json.loads(parent.stdout.readline())
        assert all(os.path.exists(f"/proc/{pid}") for pid in children)
        parent.send_signal(how)
        parent.wait(timeout=10)
        assert all(gone(pid, 5) for pid in children)


def test_the_load_has_an_end_of_its_own() -> None:
    with start_demo(limit_s=0.3) as demo:
        assert gone(demo.load_pid, 5)
        assert not gone(demo.pid, 0.1)
