"""The bpftrace child: how it is started, what it is told, and that it never outlives us."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bpftop import capabilities
from bpftop.btf_file import told_types
from bpftop.errors import HostError
from bpftop.tracer.overhead import OverheadMeter
from bpftop.tracer.programs import ProgramCosts
from bpftop.tracer.reader import pump
from bpftop.tracer.source import Source
from bpftop.tracer.supervisor import BpftraceSource, harmless, map_keys
from tests.fakes import FakeBpftrace, alive, descriptors, wait_for
from tests.recordings import program

HOSTILE = 'nginx"; system("id"); $1 {\n}'


def run_to_end(source: BpftraceSource) -> int | None:
    source.start()
    pump(source, lambda _: None, lambda _: None, lambda: True)
    return source.wait(20)


def test_the_words_and_the_environment_are_fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BPFTRACE_STRLEN", "BPFTRACE_BTF", "LD_PRELOAD_NOT", "LD_LIBRARY_PATH", "HOME", "PYTHONPATH"):
        monkeypatch.setenv(name, "/tmp/of-the-caller")
    monkeypatch.setenv("BPFTRACE_MAP_KEYS_MAX", "1")
    fake = FakeBpftrace(tmp_path, "")
    assert run_to_end(BpftraceSource(program("BEGIN { } // ünïcode\n", (HOSTILE,)), str(fake.path))) == 0
    [run] = fake.runs
    assert run["argv"][:3] == ["--no-warnings", "-f", "json"]
    assert run["argv"][3].startswith("/proc/self/fd/")
    assert run["argv"][4:] == ["--", HOSTILE]
    assert run["text"] == "BEGIN { } // ünïcode\n"
    assert run["cwd"] == "/"
    assert run["group"] == run["pid"] != os.getpgid(0)
    ours = {name: value for name, value in run["env"].items() if name != "LC_CTYPE"}  # Python's own
    assert ours == {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "BPFTRACE_MAP_KEYS_MAX": str(map_keys()),
        "BPFTRACE_MAX_MAP_KEYS": str(map_keys()),
        **told_types(),
    }


@pytest.mark.parametrize("name", ["-x", "--unsafe", "-o/etc/passwd", "$(id)", "`id`", "*/", "'", "a\nb"])
def test_no_name_is_an_option(tmp_path: Path, name: str) -> None:
    fake = FakeBpftrace(tmp_path, "")
    assert run_to_end(BpftraceSource(program("BEGIN { }\n", (name,)), str(fake.path))) == 0
    [run] = fake.runs
    assert run["argv"][4:] == ["--", name]


@pytest.mark.parametrize(
    ("body", "code"),
    [("", 0), ("sys.exit(1)", 1), ("os._exit(255)", 255), ("os.kill(os.getpid(), signal.SIGSEGV)", -11)],
)
def test_exit_codes_come_through_and_nothing_stays_open(tmp_path: Path, body: str, code: int) -> None:
    before = descriptors()
    source = BpftraceSource(program(), str(FakeBpftrace(tmp_path, body).path))
    assert run_to_end(source) == code
    assert source.wait(0) == code, "asking again is no error"
    source.stop()
    source.kill()
    assert descriptors() == before


def test_it_is_a_source_that_can_be_asked_before_it_starts() -> None:
    source: Source = BpftraceSource(program())
    assert (source.label, source.stdout, source.pid) == ("bpftrace", -1, None)
    source.stop()
    source.kill()
    assert source.wait(0) is None


def test_a_program_that_cannot_be_executed_is_an_error_of_the_host(tmp_path: Path) -> None:
    before = descriptors()
    (tmp_path / "data").write_text("no program")
    for path in (tmp_path / "missing", tmp_path / "data", tmp_path):
        with pytest.raises(HostError, match=f"cannot start {path}: "):
            BpftraceSource(program(), str(path)).start()
    assert descriptors() == before


def test_the_steps_reach_the_whole_group(tmp_path: Path) -> None:
    fake = FakeBpftrace(tmp_path, "ignores()\nif not os.fork(): note(grandchild=os.getpid())\nforever()")
    source = BpftraceSource(program(), str(fake.path))
    source.start()
    wait_for(lambda: len(fake.notes) == 2)
    pids = [source.pid, fake.notes[1]["grandchild"]]
    source.stop()
    wait_for(lambda: fake.signals == [signal.SIGINT] * 2)
    source.terminate()
    wait_for(lambda: fake.signals == [signal.SIGINT] * 2 + [signal.SIGTERM] * 2)
    assert source.wait(0) is None
    source.kill()
    assert source.wait(20) == -signal.SIGKILL
    wait_for(lambda: not any(alive(pid) for pid in pids if pid), "the group lives on")


PARENT = """
import sys, time
from bpftop.model import Program
from bpftop.tracer.supervisor import BpftraceSource
source = BpftraceSource(Program("", (), (), ()), sys.argv[1])
source.start()
print(source.pid, flush=True)
time.sleep(600)
"""


def test_it_dies_with_us_however_we_die(tmp_path: Path) -> None:
    """Also when it says nothing and hears nothing: a silent script would live for ever."""
    fake = FakeBpftrace(tmp_path, "ignores()\nforever()")
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", PARENT, str(fake.path)], stdout=subprocess.PIPE, cwd=root) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        wait_for(lambda: fake.runs)
        assert alive(child)
        parent.kill()
    wait_for(lambda: not alive(child), "bpftrace outlives us")


def test_maps_take_a_bounded_share_of_memory_on_many_cpus() -> None:
    assert map_keys(1) == 65_536
    assert map_keys(2) == 65_536
    for cpus in (1, 8, 64, 256, 1024):
        assert 4096 <= map_keys(cpus) <= 65_536
        assert map_keys(cpus) * (cpus * 8 + 80) <= 64 << 20 or map_keys(cpus) == 4096
    assert map_keys(1024) < map_keys(64)


def test_only_known_chatter_is_harmless() -> None:
    assert harmless("\n")
    assert harmless("ERROR: Unknown error -1: couldn't set RLIMIT_MEMLOCK for bpftrace. If your program is not loading")
    assert not harmless("ERROR: Could not resolve symbol: /usr/bin/x:y")


def test_costs_of_a_process_without_programs_are_nothing() -> None:
    costs = ProgramCosts()
    assert costs(os.getpid()) == costs(1 << 30) == (0, 0, 0)
    meter = OverheadMeter()
    meter.tick(None)
    assert meter.overhead.ns_per_hit is None
    before = descriptors()
    for _ in range(25):
        meter.tick(os.getpid())
    meter.close()
    assert descriptors() == before


def test_the_statistics_are_let_go_once_whoever_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader and the one who stops the session may both close them: the second must not hit another file."""
    closed: list[int] = []

    def close(descriptor: int) -> None:
        time.sleep(0.05)
        closed.append(descriptor)

    monkeypatch.setattr("bpftop.tracer.overhead.os.close", close)
    meter = OverheadMeter(lambda _: (0, 0, 0), lambda: 12345)
    meter.tick(1)
    closers = [threading.Thread(target=meter.close) for _ in range(4)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join()
    assert closed == [12345]


def test_the_cost_of_a_short_run_is_the_mean_of_half_of_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """One busy second and nine idle ones: what is said is neither the busy one nor an idle one."""
    seconds = iter(range(1000))
    clock: list[float] = [0.0]
    counted = [0]
    monkeypatch.setattr("bpftop.tracer.overhead.time.monotonic", lambda: clock[0])

    def costs(_: int) -> tuple[int, int, int]:
        clock[0] = float(next(seconds))
        return counted[0] * 200, counted[0], 0

    meter = OverheadMeter(costs, lambda: os.open("/dev/null", os.O_RDONLY))
    for tick in range(10):
        meter.tick(1)
        counted[0] += 10_000 if tick == 0 else 0
    assert meter.overhead.hits_per_s == pytest.approx(2000)
    assert meter.overhead.ns_per_hit == pytest.approx(200)
    assert meter.overhead.cpu_percent == pytest.approx(0.04)
    meter.close()


def test_what_the_kernel_left_out_is_as_new_as_the_last_tick() -> None:
    """Also while the cost is not measured: a report leaves out a loss that is seen ten seconds later."""
    asked = itertools.count(1)
    meter = OverheadMeter(lambda _: (0, 0, next(asked)), lambda: os.open("/dev/null", os.O_RDONLY))
    seen = []
    for _ in range(25):
        meter.tick(1)
        seen.append(meter.overhead.missed)
    meter.close()
    assert seen == list(range(1, 26))


@pytest.mark.parametrize("wants", [False, True])
def test_a_kernel_that_opens_perf_events_for_admins_only_is_not_tried_without(
    monkeypatch: pytest.MonkeyPatch, wants: bool
) -> None:
    """bpftrace would fail, and be started a second time: twice as long until the first figure, on every Debian."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(capabilities, "perf_wants_admin", lambda: wants)
    kept = BpftraceSource(program())._capabilities()
    assert kept is not None
    assert {capabilities.CAP_BPF, capabilities.CAP_PERFMON} < kept
    assert (capabilities.CAP_SYS_ADMIN in kept) == wants
