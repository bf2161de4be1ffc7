"""A file system on a disk of our own that can be made slow: a loop device on a file of another, which is throttled.

The limit (blkio.throttle of cgroup v1) is on the lower device, so that the upper one really takes long.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SIZE_MB = 64
_V1 = Path("/sys/fs/cgroup/blkio/blkio.throttle.read_iops_device")


def run(*words: object) -> str:
    """Run a command; its output."""
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout.strip()


class SlowDisk:
    """A mounted file system and the limit below it."""

    def __init__(self, place: Path, device: str, lower: str) -> None:
        self.place = place
        self.device = device
        """``loop1``: the disk that the file system is on."""
        self._numbers = run("lsblk", "-dno", "MAJ:MIN", lower)

    def limit(self, reads_per_s: int) -> None:
        """At most so many reads a second; 0 takes the limit away."""
        if not _V1.exists():
            if reads_per_s:
                pytest.skip("no block device can be slowed down here: blkio of cgroup v1 is not mounted")
            return
        _V1.write_text(f"{self._numbers} {reads_per_s}\n")


@contextmanager
def slow_disk(folder: Path) -> Iterator[SlowDisk]:
    """One with a file ``data``, which is not in the page cache of the upper file system."""
    outer, inner = folder / "outer", folder / "inner"
    with (
        _loop(_file(folder / "outer.img", SIZE_MB)) as lower,
        _mounted(lower, outer),
        _loop(_file(outer / "inner.img", SIZE_MB // 2), direct=True) as upper,
        _mounted(upper, inner),
    ):
        (inner / "data").write_bytes(b"x" * 4096)
        inner.chmod(0o755)
        run("sync", "-f", inner)
        disk = SlowDisk(inner, Path(upper).name, lower)
        try:
            yield disk
        finally:
            disk.limit(0)


def _file(path: Path, megabytes: int) -> Path:
    with path.open("wb") as made:
        made.truncate(megabytes << 20)
    return path


@contextmanager
def _loop(file: Path, *, direct: bool = False) -> Iterator[str]:
    device = run("losetup", "--find", "--show", *(["--direct-io=on"] if direct else []), file)
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextmanager
def _mounted(device: str, place: Path) -> Iterator[None]:
    run("mkfs.ext4", "-q", "-F", device)
    place.mkdir()
    run("mount", device, place)
    try:
        yield
    finally:
        with suppress(subprocess.CalledProcessError):
            run("umount", place)
