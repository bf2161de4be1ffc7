"""A process name is data: quotes, braces, newlines, a dash, thirty characters; no injection, no option taken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bpftop.errors import TargetError
from bpftop.target import resolve
from tests.kernel.watching import final, watching
from tests.load import delay_server, program, run_load

INJECTION = 'x"/ { } BEGIN { cat("/etc/hostname"); exit(); } interval:s:1 /comm == "x'


@pytest.mark.parametrize("name", ["qu'o\"te", "br{a}ce", "new\nline", "dollar$1", "a-name-of-thirty-characters-xyz"])
def test_a_process_with_an_odd_name_is_watched(tmp_path: Path, name: str) -> None:
    binary = tmp_path / name
    shutil.copy2(program("delay_server"), binary)
    with watching(name) as session, delay_server(binary=binary) as server:
        assert run_load(server.port, 150, connections=3).complete
        assert final(session, "request_latency").summary.count == 150
        assert server.pid in session.snapshot(None).target.pids


def test_an_injection_is_only_a_name_that_nobody_has() -> None:
    with watching(INJECTION) as session:
        snapshot = session.snapshot(None)
        assert snapshot.target.pids == ()
        assert snapshot.tracer.stderr == ()


@pytest.mark.parametrize("name", ["-o/tmp/bpftop-injected", "--unsafe", "", "a\0b", "x" * 300])
def test_an_impossible_name_is_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(TargetError) as caught:
        resolve(name)
    assert "\n" not in caught.value.message
    assert not os.path.exists("/tmp/bpftop-injected")


def test_the_printed_program_runs_as_it_is(tmp_path: Path) -> None:
    """``bpftop script requests TARGET`` is plain bpftrace."""
    with delay_server() as server:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        printed = subprocess.run(
            [sys.executable, "-P", "-m", "bpftop", "script", "requests", f":{server.port}"],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        script = tmp_path / "requests.bt"
        script.write_text(printed.stdout)
        bpftrace = subprocess.Popen(
            ["bpftrace", str(script)], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
        )
        try:
            assert bpftrace.stdout is not None
            for line in bpftrace.stdout:
                if line.startswith("T "):
                    break
            assert run_load(server.port, 321).complete
            bpftrace.send_signal(2)
            rest = bpftrace.communicate(timeout=30)[0]
        finally:
            bpftrace.kill()
            bpftrace.wait()
    last = rest.rpartition("@counts[")[0].rfind("\n\n")
    counts = [line for line in rest[last:].splitlines() if line.startswith("@counts[")]
    requests = sum(int(line.split(": ")[1]) for line in counts if int(line[8 : line.index("]")]) >> 16 == 2)
    assert requests == 321
