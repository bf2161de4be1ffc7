"""Other versions of bpftrace: Debian's packages, unpacked with all they need into a folder and never installed."""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bpftop import preflight
from tests.kernels.packages import _Apt as Apt

SUITES = ("bookworm", "trixie", "sid")
"""Debian 12, Debian 13 and what comes next."""
_LINKER = "ld-linux-x86-64.so.2"
# Run by the dynamic linker of its own C library: no chroot, no mounts, and the files of this host stay where they are.
_WRAPPER = """#!/bin/sh
exec {folder}/{linker} --library-path {libraries} {folder}/usr/bin/bpftrace "$@"
"""


@dataclass(frozen=True, slots=True)
class Version:
    """One bpftrace that can be run."""

    number: str
    """``0.23.2``."""
    path: Path
    origin: str
    """``Debian trixie``, or the path that was named."""


def cache_folder() -> Path:
    """Where the packages are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bpftop-bpftraces"


def of_suite(suite: str) -> Version:
    """The bpftrace of a suite of Debian, from the cache or the mirror that this host's apt uses.

    Raises KernelUnavailable of ``tests.kernels.packages`` when it can't be had. A cached one is used for good: delete
    the cache folder for the newest of the suite.
    """
    folder = cache_folder() / suite
    if not (folder / "bpftrace").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Unpacked beside it and renamed, so that an interrupted download is never taken for a whole one.
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            unpacked = Path(scratch) / suite
            _unpack(suite, Path(scratch), unpacked)
            _write_wrapper(unpacked, folder)
            unpacked.rename(folder)
    return of_path(folder / "bpftrace", f"Debian {suite}")


def of_path(path: Path, origin: str = "") -> Version:
    """Any bpftrace. Raises ValueError when it does not tell its version."""
    number = preflight.bpftrace_version(path)
    if not number:
        raise ValueError(f"{path} is no bpftrace")
    return Version(number, path, origin or path.name)


def _unpack(suite: str, scratch: Path, folder: Path) -> None:
    apt = Apt(suite, scratch)
    apt.run("apt-get", "update", "-qq")
    apt.run("apt-get", "install", "-qq", "-y", "--download-only", "--no-install-recommends", "bpftrace")
    folder.mkdir()
    for package in sorted(scratch.glob("cache/archives/*.deb")):
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)


def _write_wrapper(unpacked: Path, folder: Path) -> None:
    """``unpacked`` will be ``folder``."""
    places = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")
    linker = next(place for place in places if (unpacked / place / _LINKER).exists())
    libraries = ":".join(f"{folder}/{place}" for place in places)
    wrapper = unpacked / "bpftrace"
    wrapper.write_text(_WRAPPER.format(folder=folder, linker=f"{linker}/{_LINKER}", libraries=libraries))
    wrapper.chmod(0o755)
