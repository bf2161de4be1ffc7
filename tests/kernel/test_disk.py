"""Disk requests: counted as the block device counts them, timed below what the program saw, held by a frozen disk."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from bpftop.model import MeasureSnapshot
from tests.kernel.missed import missed_runs, tracers
from tests.kernel.watching import counts_by_client, settled, watching
from tests.load.told import told

BOTH = ("disk_latency", "disk_queue_latency")
KINDS = {"read": 1, "write": 2, "flush": 3}
SIZE = 32 << 20
FIRST_SECTOR = 2048


def _run(*words: object) -> str:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def _loop_device(file: Path) -> Iterator[Path]:
    """A block device of our own with one partition (which would outlive it), backed by a file."""
    with file.open("wb") as made:
        made.truncate(SIZE)
    device = Path(_run("losetup", "--find", "--show", file))
    try:
        _run("addpart", device, 1, FIRST_SECTOR, SIZE // 512 - FIRST_SECTOR)
        try:
            yield device
        finally:
            _run("delpart", device, 1)
    finally:
        _run("losetup", "--detach", device)


@contextmanager
def _file_system(device: Path, place: Path) -> Iterator[Path]:
    """An ext4 of our own on it, mounted."""
    _run("mkfs.ext4", "-q", "-F", device)
    place.mkdir()
    _run("mount", device, place)
    try:
        yield place
    finally:
        _run("umount", place)


def _done(device: Path) -> dict[str, int]:
    """What the device has finished (Documentation/block/stat.rst); a flush is counted as an empty write as well."""
    numbers = [int(word) for word in Path(f"/sys/block/{device.name}/stat").read_text().split()]
    return {"read": numbers[0], "write": numbers[4] - numbers[15], "flush": numbers[15]}


def _tools() -> None:
    for tool, package in (
        ("losetup", "mount"),
        ("mkfs.ext4", "e2fsprogs"),
        ("fsfreeze", "util-linux"),
        ("addpart", "util-linux"),
    ):
        if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{tool} is not installed: apt-get install {package}")
    if not Path("/dev/loop-control").exists():
        pytest.skip("this kernel has no loop devices: modprobe loop")


def test_requests_of_a_device_of_our_own_and_a_disk_that_freezes(tmp_path: Path) -> None:
    """On a partition of it. The device lies on a file system of our own; freezing that holds a write back for a time we
    know."""
    _tools()
    truth_file = tmp_path / "truth"
    with (
        _loop_device(tmp_path / "outer") as outer,
        _file_system(outer, tmp_path / "mounted") as mounted,
        _loop_device(mounted / "inner") as device,
        told("disk_io", truth_file, f"{device}p1") as disk,
        told("disk_io", tmp_path / "other", f"{device}p1") as other,
        watching(str(disk.pid), ("disk",)) as live,
    ):
        other.tell("write 600")  # every place is written once; not the target's
        before = _done(device)
        for line in ("write 300", "read 400", "sync 20"):
            disk.tell(line)
        finished = {kind: count - before[kind] for kind, count in _done(device).items()}
        _run("fsfreeze", "--freeze", mounted)
        try:
            disk.start("write 1")
            time.sleep(0.7)
            thawed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        finally:
            _run("fsfreeze", "--unfreeze", mounted)
        disk.answer()
        snapshot = settled(live, events=True)
        measure, queue, slowest = (*(snapshot.measures[name] for name in BOTH), snapshot.slow[0])
        missed = missed_runs(tracers())
        disk.tell("end")
    asked = {"read": 400, "write": 300, "flush": 20}
    assert all(asked[kind] <= finished[kind] <= asked[kind] + 2 for kind in asked), finished  # + others' own
    expected = {f"{device.name} {kind}": count for kind, count in (asked | {"write": 301}).items()}
    _assert_counts(counts_by_client(measure), expected, missed)
    _assert_counts(counts_by_client(queue), expected, missed)
    truth = np.fromfile(truth_file, np.int64).reshape(-1, 3)
    _assert_below(measure, queue, truth)
    _, start, end = truth[-1]
    assert (thawed_ns - start) * 0.98 <= slowest.latency_ns <= end - start
    assert (slowest.event, slowest.texts) == ("disk_io", {"device": f"{device.name} write"})
    assert (slowest.fields["pid"], slowest.fields["sectors"]) == (disk.pid, 8)


def _assert_counts(counted: dict[str, int], expected: dict[str, int], missed: int) -> None:
    """Equal, but for requests of which the kernel showed our programs only a part."""
    assert counted.keys() == expected.keys()
    assert sum(expected.values()) - missed <= sum(counted.values())
    assert all(expected[kind] // 2 < count <= expected[kind] for kind, count in counted.items()), counted


def _assert_below(measure: MeasureSnapshot, queue: MeasureSnapshot, truth: NDArray[np.int64]) -> None:
    """Queue and device together are a part of the program's own time."""
    for kind, number in KINDS.items():
        seen = truth[truth[:, 0] == number]
        seen_ns = np.sort(seen[:, 2] - seen[:, 1])
        (row,) = (row for row in measure.clients if row.client.endswith(kind))
        (waited,) = (row for row in queue.clients if row.client.endswith(kind))
        assert row.total_ns is not None
        assert waited.total_ns is not None
        assert row.max_ns is not None
        assert 0 < row.total_ns + waited.total_ns <= seen_ns.sum() * 1.032
        assert row.max_ns <= seen_ns[-1] * 1.032
        assert row.p50_ns is not None
        assert row.p50_ns <= np.median(seen_ns) * 1.032


def _busy_ns(pid: int) -> int:
    """How long a process has run and waited for a CPU, neither of which is the disk's."""
    ran_ns, delayed_ns, _ = map(int, Path(f"/proc/{pid}/schedstat").read_text().split())
    return ran_ns + delayed_ns


def test_direct_writes_and_reads_of_a_file(tmp_path: Path) -> None:
    """On whatever disk the temporary directory lies: one request for each call, none for those of another program."""
    file, truth_file = tmp_path / "file", tmp_path / "truth"
    file.write_bytes(b"x" * SIZE)
    with file.open("rb+") as made:
        os.fsync(made.fileno())
    with told("disk_io", truth_file, file) as disk, watching(str(disk.pid), ("disk",)) as live:
        busy_ns = -_busy_ns(disk.pid)
        assert disk.tell("write 150") == {"done": 150}
        assert disk.tell("read 150") == {"done": 150}
        busy_ns += _busy_ns(disk.pid)
        measure, queue = (settled(live).measures[name] for name in BOTH)
        missed = missed_runs(tracers())
        disk.tell("end")
    counts = {name.partition(" ")[2]: count for name, count in counts_by_client(measure).items()}
    counts.pop("discard", None)  # blocks of files deleted before: the file system discards them when it likes
    _assert_counts(counts, {"read": 150, "write": 150}, missed)
    truth = np.fromfile(truth_file, np.int64).reshape(-1, 3)
    spent_ns = int((truth[:, 2] - truth[:, 1]).sum())
    assert measure.summary.total_ns is not None
    assert queue.summary.total_ns is not None
    both_ns = measure.summary.total_ns + queue.summary.total_ns
    assert (spent_ns - busy_ns) * 0.1 < both_ns < spent_ns * 1.01, (spent_ns, busy_ns)
