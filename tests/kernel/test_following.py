"""The target stays in view: reload, restart, a start after bpftop, other listeners."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bpftop.scripts import parse_script
from bpftop.session import Session
from tests.kernel.watching import Nginx, attached, final, free_port, running_nginx, settled, wait_for, watching
from tests.load import delay_server, program, run_load


def _count(session: Session) -> int:
    return final(session, "request_latency").summary.count


def test_a_reload_brings_new_workers(nginx: Nginx) -> None:
    with watching(str(nginx.pid)) as session:
        before = set(session.snapshot(None).target.pids)
        assert nginx.pid in before
        assert run_load(nginx.port, 300, close=True).complete
        nginx.signal("reload")
        wait_for(lambda: set(session.snapshot(None).target.pids) - before, "no new workers in view")
        wait_for(lambda: len(session.snapshot(None).target.pids) == 3, "old workers do not leave")
        assert run_load(nginx.port, 500, close=True).complete
        assert _count(session) == 800


def test_a_target_that_starts_later_and_restarts(tmp_path: Path) -> None:
    binary = tmp_path / "late-server"
    shutil.copy2(program("delay_server"), binary)
    with watching("late-server") as session:
        assert session.snapshot(None).target.pids == ()
        for expected in (200, 400):
            with delay_server(binary=binary) as server:
                assert run_load(server.port, 200, connections=4).complete
                assert _count(session) == expected
                assert session.snapshot(None).target.pids == (server.pid,)
                assert server.port in session.snapshot(None).target.ports
            wait_for(lambda: session.snapshot(None).target.pids == (), "the ended process stays in view")
        assert session.snapshot(None).tracer.restarts == 0


def test_a_port_that_is_not_open_yet(tmp_path: Path) -> None:
    port = free_port()
    with watching(f":{port}") as session, running_nginx(tmp_path, port) as nginx:
        assert run_load(nginx.port, 400, close=True).complete
        assert _count(session) == 400


@pytest.mark.parametrize("kind", ["path", "name"])
def test_a_program_by_path_and_by_name(tmp_path: Path, kind: str) -> None:
    binary = tmp_path / "some-server"
    shutil.copy2(program("delay_server"), binary)
    with delay_server(binary=binary) as server, watching(str(binary) if kind == "path" else "some-server") as session:
        assert session.snapshot(None).target.pids == (server.pid,)
        assert run_load(server.port, 100).complete
        assert _count(session) == 100


def test_a_name_that_the_kernel_cannot_follow_is_found_by_looking_again(tmp_path: Path) -> None:
    """A script is called by its interpreter: exec says python3, the user says app-under-test.py."""
    script, port = tmp_path / "app-under-test.py", free_port()
    script.write_text(f"import http.server as h\nh.test(h.BaseHTTPRequestHandler, port={port}, bind='127.0.0.1')\n")
    with watching("app-under-test.py") as session:
        child = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: child.pid in session.snapshot(None).target.pids, "not found", 30)
            wait_for(lambda: port in session.snapshot(None).target.ports, "port not found", 30)
            settled(session)
            load = run_load(port, 20, close=True)
            assert load.responses == 20
            assert _count(session) == 20
        finally:
            child.terminate()
            child.wait(10)


IDLE = """\
// idle.bt - Switches of the target's threads.
//
// /// bpftop
// title = "Idle"
// [counters.switches]
// title = "Switches"
// tells = "nothing"
// key = "none"
// ///

tracepoint:sched:sched_switch /@target_pids[(uint64)pid]/ { tally_unkeyed(switches); }
"""


def test_when_the_target_has_ended_nobody_is_left_not_even_the_idle_cpu() -> None:
    """Process 0 is the idle CPU, which switches all the time."""
    with ExitStack() as stack:
        with delay_server() as server:
            session = stack.enter_context(attached(server.pid, parse_script(IDLE, "idle", "idle.bt")))
            assert session.snapshot(None).target.pids == (server.pid,)
        wait_for(lambda: session.snapshot(None).target.pids == (), "the ended process stays in view")
        before = session.snapshot(None).counters["switches"].count
        assert settled(session).counters["switches"].count == before
