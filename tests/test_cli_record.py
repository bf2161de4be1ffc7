"""``bpftop record`` and ``replay``: files that are whole however it ends, CSV for pipes, recordings for reports."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bpftop.recording.reader import Recording

BPFTOP = [sys.executable, "-P", "-m", "bpftop"]
SIMULATE = ("--simulate", "--seed", "3")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*BPFTOP, *words], capture_output=True, text=True, check=False, timeout=90)


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([*BPFTOP, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_blocks(path: Path, count: int = 3) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if path.exists() and path.read_bytes().count(b"BLK\n") >= count:
            return
        time.sleep(0.1)
    pytest.fail("nothing was written")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("record") / "demo.bpftop"
    done = run("record", *SIMULATE, "3", "-o", str(path))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"bpftop replay {path}" in done.stderr
    return path


def test_a_recording_is_private_whole_and_never_overwritten(recording: Path) -> None:
    assert stat.S_IMODE(recording.stat().st_mode) == 0o600
    with closing(Recording(recording)) as found:
        assert (found.ended, found.problem) == (True, "")
    before = recording.read_bytes()
    again = run("record", *SIMULATE, "3", "-o", str(recording))
    assert again.returncode == 2
    assert "exists already" in again.stderr
    link = recording.with_name("link.bpftop")
    link.symlink_to(recording.with_name("nothing"))
    assert run("record", *SIMULATE, "1", "-o", str(link)).returncode == 2
    assert recording.read_bytes() == before


def test_report_and_compare_read_it(recording: Path) -> None:
    done = run("report", str(recording), "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["source"] == "replay of simulation"
    assert report["measures"]["request_latency"]["count"] > 100
    intervals = run("report", str(recording), "-i", "1", "--format", "json").stdout.splitlines()
    counts = [json.loads(line)["measures"]["request_latency"]["count"] for line in intervals]
    assert len(counts) >= 3
    assert 0 <= report["measures"]["request_latency"]["count"] - sum(counts) < max(counts)  # the last counts
    assert run("compare", str(recording), str(recording)).returncode in (0, 4)  # 4: too few samples for p99


def test_a_part_of_it_is_shown_and_proves_nothing(recording: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.bpftop"
    part.write_bytes(recording.read_bytes()[:-200])
    done = run("report", str(part))
    assert done.returncode == 4
    assert "Request latency" in done.stdout
    assert "not whole" in done.stderr
    compared = run("compare", str(part), str(recording))
    assert compared.returncode == 4
    assert "partial" in compared.stdout
    part.write_bytes(b"bpftop recording 9\n")
    for words in (("report", str(part)), ("compare", str(part), str(part)), ("report", "/no/such.bpftop")):
        failed = run(*words)
        assert (failed.returncode, failed.stdout) == (2, "")
        assert "Traceback" not in failed.stderr


def test_csv_for_a_pipe_and_compared_with_itself(tmp_path: Path) -> None:
    done = run("record", *SIMULATE, "3")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.stdout.startswith("timestamp_ns,latency_ns,event,client,client_port,")
    assert len(rows) > 20
    assert abs(int(rows[0]["timestamp_ns"]) / 1e9 - time.time()) < 300
    assert f"{len(rows):,} of " in done.stderr
    assert "not a sample of all" in done.stderr
    path = tmp_path / "all.csv"
    every = run("record", *SIMULATE, "--every-event", "-d", "3", "-o", str(path))
    assert every.returncode == 0, every.stderr
    assert every.stderr.index("costs the traced thread") < every.stderr.index("events are in the CSV")
    kept = len(path.read_text().splitlines()) - 1
    assert kept > len(rows)
    assert f"{kept:,} of {kept:,} events are in the CSV\n" in every.stderr
    compared = json.loads(run("compare", str(path), str(path), "--format", "json", "--measure", "request").stdout)
    assert {each["change_percent"] for each in compared["measures"]["request"]["changes"].values()} == {0}


@pytest.mark.parametrize(("duration", "code"), [((), 0), (("-d", "60"), 130)])
def test_ctrl_c_ends_it_in_good_order(tmp_path: Path, duration: tuple[str, ...], code: int) -> None:
    path = tmp_path / "stopped.bpftop"
    with started("record", *SIMULATE, *duration, "-o", str(path)) as process:
        wait_for_blocks(path, 2)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == code, said
    with closing(Recording(path)) as found:
        assert (found.ended, found.problem) == (True, "")


def test_sigterm_ends_the_file_too(tmp_path: Path) -> None:
    path = tmp_path / "ended.bpftop"
    with started("record", *SIMULATE, "-o", str(path)) as process:
        wait_for_blocks(path, 2)
        time.sleep(1.5)
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 143
    with closing(Recording(path)) as found:
        assert found.ended


def test_sigkill_leaves_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "killed.bpftop"
    with started("record", *SIMULATE, "-o", str(path)) as process:
        wait_for_blocks(path, 3)
        process.kill()
    with closing(Recording(path)) as found:
        assert not found.ended
        assert found.end_ns - found.start_ns > 5e9
    assert run("report", str(path)).returncode == 4


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small file system")
@pytest.mark.parametrize(("name", "more"), [("full.bpftop", ("--with", "http")), ("full.csv", ("--every-event",))])
def test_a_full_disk_is_said_and_what_was_written_can_be_read(tmp_path: Path, name: str, more: tuple[str, ...]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    try:
        (disk / "filler").write_bytes(bytes(36 << 10))
        path = disk / name
        done = run("record", *SIMULATE, *more, "60", "-o", str(path))
        assert done.returncode == 2, done.stderr
        assert "No space left" in done.stderr
        if name.endswith("csv"):
            assert path.read_text().endswith("\n")
        else:
            with closing(Recording(path)) as found:
                assert (found.ended, found.problem) == (False, "")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("record", "--simulate", "3", "-o", "x.txt"), "called .bpftop"),
        (("record", "nginx", "soon"), "not a length of time"),
        (("record", "nginx", "60", "-d", "5"), "twice"),
        (("replay",), "name a recording"),
        (("replay", "x", "--speed", "fast"), "not a speed"),
    ],
)
def test_wrong_words_are_said(words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr
