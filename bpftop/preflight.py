"""What this host lacks for tracing, before anything heavy runs. Every problem names the next command to type.

The world is a ``Host``: tests give other directories, another user, other capabilities.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bpftop.attach_points import lacking
from bpftop.errors import HostError

if TYPE_CHECKING:  # the vocabulary brings numpy; what is said here must not need it
    from bpftop.model import Script

TRUSTED_DIRECTORIES = tuple(map(Path, ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin")))
OLDEST = (0, 17)
"""The oldest bpftrace that the scripts were run on."""
_TROUBLED = {
    (0, 24): "0.24 rejects scripts for the sign of numbers",
    (0, 27, 0): "0.27.0 cannot compare strings",
}
_HOST_PID_NAMESPACE = "pid:[4026531836]"
_CAPABILITIES = {"CAP_BPF": 39, "CAP_PERFMON": 38}
_CAP_SYS_ADMIN = 21
_CAPABILITIES_WITHOUT_ROOT = {**_CAPABILITIES, "CAP_DAC_READ_SEARCH": 2, "CAP_DAC_OVERRIDE": 1}
_RULES_WITHOUT_ROOT_SINCE = (0, 25)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something missing: one sentence, the next command to type, and whether nothing can be traced without it."""

    message: str
    hint: str = ""
    fatal: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: for the table of ``bpftop doctor``."""

    name: str
    detail: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """Where to look."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")
    directories: tuple[Path, ...] = TRUSTED_DIRECTORIES
    euid: int = field(default_factory=os.geteuid)
    command: str = "bpftop"
    """How the user would call this program again, for hints: an absolute path and its arguments."""
    bpftrace: Path | None = None
    """The bpftrace the user named; none looks for one."""


def problems(host: Host | None = None) -> list[Problem]:
    """What stands in the way, gravest first; empty when all is well."""
    found = [check.problem for check in checks(host) if check.problem is not None]
    return sorted(found, key=lambda problem: not problem.fatal)


def checks(host: Host | None = None) -> list[Check]:
    """Everything that can be known without running a script."""
    host = host or Host()
    return [_rights(host), _bpftrace(host), _tracefs(host), _btf(host), _namespace(host), _lockdown(host), _tmp(host)]


def missing(script: Script, host: Host | None = None) -> str | None:
    """Why the script cannot run here, in one sentence; ``None`` when it can, or when only root could tell."""
    host = host or Host()
    return lacking(script.requires, tracefs(host), host.sys)


# --- bpftrace ---------------------------------------------------------------------------------------------------------


def bpftrace_path(host: Host | None = None) -> Path:
    """The absolute path of bpftrace. Root runs only what root owns, except a path that the user named."""
    host = host or Host()
    if host.bpftrace is not None:
        if not _runnable(host.bpftrace):
            raise HostError(f"there is no program {host.bpftrace}", "bpftop doctor")
        return host.bpftrace.absolute()
    refused = None
    for path in _candidates(host):
        if host.euid != 0 or _belongs_to_root(path):
            return path
        refused = refused or path
    if refused is not None:
        raise HostError(f"{refused} can be changed by others, so root does not run it", f"--bpftrace {refused}")
    raise HostError("bpftrace is not installed", "sudo apt-get install -y bpftrace")


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
            [path, "--version"], capture_output=True, timeout=10, check=False, env={"PATH": os.defpath, "LANG": "C"}
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(rb"v?(\d+\.\d+(?:\.\d+)?)", run.stdout)
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
    """Whether only root can change the program, its folder included."""
    real = Path(os.path.realpath(path))
    try:
        return all(one.stat().st_uid == 0 and not one.stat().st_mode & 0o022 for one in (real, real.parent))
    except OSError:
        return False


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if version else ()


def _bpftrace(host: Host) -> Check:
    try:
        path = bpftrace_path(host)
    except HostError as error:
        return Check("bpftrace", error.message, Problem(error.message, error.hint))
    version = bpftrace_version(path)
    if not version:
        problem = Problem(f"{path} does not tell its version", f"{path} --version")
        return Check("bpftrace", problem.message, problem)
    parts = _parts(version)
    trouble = _TROUBLED.get(parts[:2]) or _TROUBLED.get(parts)
    if parts < OLDEST:
        trouble = f"{version} is older than 0.17, the oldest that was tried"
    detail = f"{path} {version}"
    return Check("bpftrace", detail, Problem(f"bpftrace {trouble}", fatal=False) if trouble else None)


# --- rights -----------------------------------------------------------------------------------------------------------


def _rights(host: Host) -> Check:
    """Root with the two capabilities, or from bpftrace 0.25 on four capabilities without root."""
    mask = _effective(host)
    if host.euid == 0:
        absent = [name for name, bit in _CAPABILITIES.items() if not mask >> bit & 1]
        if absent and not mask >> _CAP_SYS_ADMIN & 1:
            message = f"root without {' and '.join(absent)} cannot trace: this container is confined"
            return Check("rights", message, Problem(message, "docker run --privileged --pid=host …"))
        return Check("rights", "root")
    if all(mask >> bit & 1 for bit in _CAPABILITIES_WITHOUT_ROOT.values()) and _knows_capabilities(host):
        return Check("rights", "capabilities " + ", ".join(_CAPABILITIES_WITHOUT_ROOT))
    return Check("rights", f"user id {host.euid}", Problem("tracing needs root", f"sudo {host.command}"))


def _knows_capabilities(host: Host) -> bool:
    try:
        return _parts(bpftrace_version(bpftrace_path(host))) >= _RULES_WITHOUT_ROOT_SINCE
    except HostError:
        return False


def _effective(host: Host) -> int:
    """The effective capabilities as bits; all when the kernel does not say."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", _read(host.proc / "self" / "status"), re.MULTILINE)
    return int(match[1], 16) if match else -1


# --- the kernel -------------------------------------------------------------------------------------------------------


def tracefs(host: Host | None = None) -> Path | None:
    """Where the kernel's tracepoints are listed; ``None`` when it is not mounted or may not be read."""
    sys = (host or Host()).sys
    for path in (sys / "kernel" / "tracing", sys / "kernel" / "debug" / "tracing"):
        if os.access(path / "events", os.R_OK | os.X_OK):
            return path
    return None


def mount_tracefs(host: Host | None = None) -> str:
    """As root: mount tracefs when it is missing, and say so in one sentence; empty when there was nothing to do."""
    host = host or Host()
    if host.euid != 0 or tracefs(host) is not None:
        return ""
    where = host.sys / "kernel" / "tracing"
    command = ["mount", "-t", "tracefs", "tracefs", str(where)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        why = run.stderr.strip().splitlines()[-1:] if run.returncode else []
    except (OSError, subprocess.SubprocessError) as error:
        why = [str(error)]
    if tracefs(host) is None:
        raise HostError(f"tracefs cannot be mounted: {''.join(why) or 'no events appeared'}", " ".join(command))
    return f"mounted tracefs on {where}"


def _tracefs(host: Host) -> Check:
    path = tracefs(host)
    if path is not None:
        return Check("tracefs", str(path))
    if host.euid != 0:
        return Check("tracefs", "only root can see")
    where = host.sys / "kernel" / "tracing"
    return Check("tracefs", "not mounted", Problem("tracefs is not mounted", f"mount -t tracefs tracefs {where}"))


def _btf(host: Host) -> Check:
    path = host.sys / "kernel" / "btf" / "vmlinux"
    if path.exists():
        return Check("kernel types", str(path))
    message = "the kernel does not describe its types (BTF): the scripts need a kernel with CONFIG_DEBUG_INFO_BTF"
    return Check("kernel types", "no BTF", Problem(message, "sudo apt-get install -y linux-image-amd64"))


def _namespace(host: Host) -> Check:
    try:
        link = os.readlink(host.proc / "self" / "ns" / "pid")
    except OSError:
        return Check("process ids", "unknown")
    if link == _HOST_PID_NAMESPACE:
        return Check("process ids", "of the host")
    message = "this container numbers processes its own way: bpftrace would not find the target"
    return Check("process ids", link, Problem(message, "docker run --privileged --pid=host …"))


def _lockdown(host: Host) -> Check:
    mode = re.search(r"\[(\w+)\]", _read(host.sys / "kernel" / "security" / "lockdown"))
    if mode is None or mode[1] != "confidentiality":
        return Check("lockdown", mode[1] if mode else "unknown")
    message = "the kernel is locked down (confidentiality): BPF programs may not read its memory"
    return Check("lockdown", mode[1], Problem(message, "reboot with lockdown=integrity"))


def _tmp(host: Host) -> Check:
    """bpftrace 0.27 writes a file there before it compiles."""
    folder = _temporary()
    if folder is None:
        message = "no temporary directory can be written: bpftrace 0.27 needs one"
        return Check("temporary files", message, Problem(message, "mount -o remount,rw /tmp", fatal=False))
    return Check("temporary files", folder)


def _temporary() -> str | None:
    try:
        return tempfile.gettempdir()
    except OSError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
