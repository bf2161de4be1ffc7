"""Which bpftrace runs here, and what is known of its version."""

from __future__ import annotations

import functools
import os
import re
import shlex
import stat
import subprocess
from pathlib import Path

from bpftop.errors import HostError
from bpftop.preflight.values import Check, Host, Problem

OLDEST = (0, 17)
"""The oldest bpftrace that the scripts run on; Debian 11's 0.11 does not even know ``--no-warnings``."""
_TROUBLED = {
    (0, 24): "0.24 rejects programs of others for the sign of numbers (ours run)",
    (0, 27, 0): "0.27.0 rejects programs that call strncmp (ours do not)",
}


def bpftrace_path(host: Host | None = None) -> Path:
    """The absolute path of bpftrace. Root runs only what root alone can change, a path that the user named too."""
    host = host or Host()
    if host.bpftrace is not None:
        if not _runnable(host.bpftrace):
            raise HostError(f"there is no program {host.bpftrace}", "bpftop doctor")
        if host.euid == 0 and not _belongs_to_root(host.bpftrace):
            raise _changeable(host.bpftrace)
        return host.bpftrace.absolute()
    refused = None
    for path in _candidates(host):
        if host.euid != 0 or _belongs_to_root(path):
            return path
        refused = refused or path
    if refused is not None:
        raise _changeable(refused)
    raise HostError("bpftrace is not installed", "sudo apt-get install -y bpftrace")


def _changeable(path: Path) -> HostError:
    """The error for a program that runs as root and that others could replace."""
    said = f"{path} can be changed by others than root, so root does not run it"
    return HostError(said, f"sudo install -m 755 {shlex.quote(str(path))} /usr/local/bin/bpftrace")


_ANSWERS_S = 60
"""A hundred megabytes of libraries, read for the first time on a busy host, have taken more than ten seconds."""


def bpftrace_version(path: Path) -> str:
    """``0.17.0``; empty when the program does not say."""
    try:
        return _version(path, path.stat().st_mtime_ns)
    except OSError:
        return ""


@functools.cache
def _version(path: Path, _modified_ns: int) -> str:
    try:
        run = subprocess.run(
            [path, "--version"],
            capture_output=True,
            timeout=_ANSWERS_S,
            check=False,
            env={"PATH": os.defpath, "LANG": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(rb"bpftrace v?(\d+\.\d+(?:\.\d+)?)", run.stdout)
    return match[1].decode() if match else ""


def _candidates(host: Host) -> list[Path]:
    """Every bpftrace, trusted directories first, then the caller's PATH."""
    folders = dict.fromkeys([*host.directories, *map(Path, os.environ.get("PATH", "").split(os.pathsep))])
    found = [folder / "bpftrace" for folder in folders if folder.is_absolute()]
    return [path for path in found if _runnable(path)]


def _runnable(path: Path) -> bool:
    try:
        return path.is_file() and os.access(path, os.X_OK)
    except OSError:
        return False


def _belongs_to_root(path: Path) -> bool:
    """Whether only root can change the program or put another in its place, up to the root of the file system."""
    real = Path(os.path.realpath(path))
    try:
        return _only_root_changes(real.stat()) and all(_only_root_changes(one.stat(), True) for one in real.parents)
    except OSError:
        return False


def _only_root_changes(found: os.stat_result, folder: bool = False) -> bool:
    """In a folder with the sticky bit, as /tmp, nobody can replace what belongs to root."""
    shared = bool(found.st_mode & 0o022) and not (folder and found.st_mode & stat.S_ISVTX)
    return found.st_uid == 0 and not shared


def parts(version: str) -> tuple[int, ...]:
    """The numbers at the beginning of a version (``6.1.0-13-amd64``: 6, 1, 0); none when it is unknown."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def installed(host: Host) -> Check:
    """Whether bpftrace is there, and a version that works."""
    try:
        path = bpftrace_path(host)
    except HostError as error:
        return Check("bpftrace", error.message, Problem(error.message, error.hint))
    version = bpftrace_version(path)
    if not version:
        problem = Problem(f"{path} does not tell its version", f"{path} --version")
        return Check("bpftrace", problem.message, problem)
    number = parts(version)
    detail = f"{path} {version}"
    if number < OLDEST:
        message = f"bpftrace {version} is too old: the scripts need {'.'.join(map(str, OLDEST))} or newer"
        return Check("bpftrace", detail, Problem(message, "sudo bpftop TARGET --bpftrace FILE"))
    trouble = _TROUBLED.get(number[:2]) or _TROUBLED.get(number)
    return Check("bpftrace", detail, Problem(f"bpftrace {trouble}", fatal=False) if trouble else None)
