"""``bpftop run`` with real bpftrace: a program of known truth, the tools that come with bpftrace, a real terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import wait_for
from tests.ui.ptys import child_in_terminal, restored

BPFTOP = [sys.executable, "-P", "-m", "bpftop", "run"]
CALLS = 5000
WORK = f"""
import os, sys
sys.stdin.readline()
for i in range({CALLS}):
    try:
        os.getpriority(0, i % 40)
    except ProcessLookupError:
        pass
sys.stdin.readline()
"""
PROGRAM = """// /// bpftop
// title = "Calls"
// [maps.who]
// title = "Argument"
// ///
BEGIN { printf("for %d, %s of %d\\n", $1, str($2), $#); }
tracepoint:syscalls:sys_enter_getpriority /pid == $1/ {
  @n = count(); @who = hist(args->who); @lin = lhist(args->who, 0, 20, 5); @st = stats(args->who);
  @by[args->which, comm] = hist(args->who); @sum = sum(args->who); @max = max(args->who); @last = args->who;
  @even[args->who % 2] = count(); @stack[kstack(2), comm] = count();
}
interval:ms:200 { print(@n); time("%H "); printf("tick\\n"); }
"""
TOOLS = (
    *("bitesize", "cpuwalk", "execsnoop", "gethostlatency", "killsnoop", "naptime", "opensnoop", "pidpersec"),
    *("statsnoop", "syscount", "writeback"),
)
"""A third of those that come with bpftrace: they need tracepoints, uprobes or timers only."""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BPFTOP, *words], capture_output=True, text=True, check=False, timeout=120)


def edges(buckets: list[dict[str, Any]]) -> dict[tuple[int | None, int | None], int]:
    return {(each["low"], each["high"]): each["count"] for each in buckets if each["count"]}


def test_every_kind_of_map_exactly(tmp_path: Path) -> None:
    """Arguments 0 to 39, each as often: counts, buckets, sums and percentiles are known beforehand."""
    path = tmp_path / "calls.bt"
    path.write_text(PROGRAM)
    work = subprocess.Popen([sys.executable, "-c", WORK], stdin=subprocess.PIPE, text=True)
    try:
        assert work.stdin is not None
        words = [*BPFTOP, "-d", "4", "--format", "json", "-i", "2", str(path), str(work.pid), "--", "-some words"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as bpftop:
            assert bpftop.stdout is not None
            first = json.loads(bpftop.stdout.readline())
            work.stdin.write("go\n")
            work.stdin.flush()
            *_, last = (json.loads(line) for line in bpftop.stdout)
            assert bpftop.wait(60) == 0
    finally:
        work.communicate("end\n")
    assert first["state"] == "live"
    assert first["log"][0]["line"] == f"for {work.pid}, -some words of 2"
    assert first["log"][1]["line"].endswith(" tick")
    maps = last["maps"]
    each = CALLS // 40
    values = {name: maps[name]["rows"][0].get("value") for name in ("@n", "@sum", "@max", "@last")}
    assert values == {"@n": CALLS, "@sum": each * sum(range(40)), "@max": 39, "@last": 39}
    who = maps["@who"]["rows"][0]
    powers = {(0, 0): 1, (1, 1): 1, (2, 3): 2, (4, 7): 4, (8, 15): 8, (16, 31): 16, (32, 63): 8}
    assert edges(who["buckets"]) == {key: n * each for key, n in powers.items()}
    assert who["p50"] == {"low": 16, "high": 31}
    assert who["p99"] == {"low": 32, "high": 63}
    assert maps["@who"]["title"] == "Argument"
    linear = edges(maps["@lin"]["rows"][0]["buckets"])
    assert linear == {(0, 4): 5 * each, (5, 9): 5 * each, (10, 14): 5 * each, (15, 19): 5 * each, (20, None): 20 * each}
    assert {key: maps["@st"]["rows"][0][key] for key in ("count", "average", "total")} == {
        "count": CALLS, "average": 19, "total": each * sum(range(40)),
    }  # fmt: skip
    [keyed] = maps["@by"]["rows"]
    assert keyed["key"][0] == "0"
    assert keyed["count"] == CALLS
    assert {row["key"][0]: row["value"] for row in maps["@even"]["rows"]} == {"0": CALLS // 2, "1": CALLS // 2}
    [stack] = maps["@stack"]["rows"]
    assert stack["value"] == CALLS
    assert " < " in stack["key"][0]
    assert (last["lost_events"], last["rejected_lines"], last["state"]) == (0, 0, "ended")


@pytest.mark.timeout(400)
def test_the_tools_that_come_with_bpftrace() -> None:
    paths = [Path("/usr/sbin") / f"{name}.bt" for name in TOOLS]
    there = [path for path in paths if path.exists()]
    if not there:
        pytest.skip("the tools of the bpftrace package are not installed: apt-get install bpftrace")
    wrong = {}
    for path in there:
        done = run(str(path), "-d", "1", "--format", "json")
        report = json.loads(done.stdout) if done.stdout else {}
        lost = done.returncode == 4 and report.get("lost_events")  # a busy machine, and 0.17's small buffers
        if (done.returncode and not lost) or report.get("state") != "ended" or report.get("rejected_lines") != 0:
            wrong[path.name] = (done.returncode, done.stderr[-500:])
        elif not report["log"] and not report["maps"]:
            wrong[path.name] = (done.returncode, "it ran and said nothing")
    assert not wrong


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ('BEGIN { system("id"); }\n', 2, "x.bt:1: system() can change this host, and bpftop gives no program"),
        ("// a\nBEGIN { @a = nosuch(1); }\n", 2, "x.bt:2: Unknown function"),
        ("tracepoint:syscalls:sys_enter_nosuch { @ = count(); }\n", 3, "x.bt:1: the kernel has no tracepoint"),
        ("BEGIN { exit(); }\n", 0, ""),
    ],
)
def test_programs_that_do_not_run(tmp_path: Path, text: str, code: int, said: str) -> None:
    path = tmp_path / "x.bt"
    path.write_text(text)
    done = run(str(path), "-d", "1")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_in_a_terminal(tmp_path: Path) -> None:
    """Values while it runs, the maps of the end after q, the shell after the second q, and no bpftrace left behind."""
    path = tmp_path / "calls.bt"
    path.write_text(
        "tracepoint:syscalls:sys_enter_read { @reads = count(); @at_end[comm] = hist(args->count); }\n"
        "interval:ms:200 { print(@reads); }\n"
    )
    with child_in_terminal(["-m", "bpftop", "run", str(path)], size=(100, 30)) as terminal:
        terminal.until("@at_end: comes when the program ends: press q")
        terminal.until("hits/s")
        children = Path(f"/proc/{terminal.child.pid}/task/{terminal.child.pid}/children").read_text().split()
        terminal.type("q")
        terminal.until("ended as asked: these are its last figures")
        terminal.type("2")
        terminal.until("comm")
        terminal.type("q")
        assert terminal.leave() == 0
    assert children
    assert not any(os.path.exists(f"/proc/{pid}") for pid in children)


def test_ended_by_a_signal_it_leaves_terminal_and_kernel_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "calls.bt"
    path.write_text("tracepoint:syscalls:sys_enter_read { @reads = count(); } interval:ms:200 { print(@reads); }\n")
    with child_in_terminal(["-m", "bpftop", "run", str(path)]) as terminal:
        before = termios.tcgetattr(terminal.slave)
        terminal.until("@reads")
        terminal.until("hits/s")
        children = Path(f"/proc/{terminal.child.pid}/task/{terminal.child.pid}/children").read_text().split()
        terminal.child.terminate()
        assert terminal.leave() == 128 + signal.SIGTERM
        assert restored(terminal, before) == []
    assert children
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), "bpftrace was left behind")


def test_ctrl_c_is_the_end_of_a_run_without_a_duration(tmp_path: Path) -> None:
    """As with bpftrace itself: its maps come, and that is no failure."""
    path = tmp_path / "calls.bt"
    path.write_text('BEGIN { printf("ready\\n"); } tracepoint:syscalls:sys_enter_read { @reads = count(); }\n')
    with subprocess.Popen([*BPFTOP, "--format", "text", str(path)], stdout=subprocess.PIPE, text=True) as bpftop:
        assert bpftop.stdout is not None
        assert bpftop.stdout.readline() == "ready\n"
        time.sleep(1)
        bpftop.send_signal(signal.SIGINT)
        out = bpftop.stdout.read()
        assert bpftop.wait(60) == 0
    assert "@reads  " in out
