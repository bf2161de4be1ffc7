"""Limits that bpftrace may run into: locked memory, event buffers, temporary files."""

from __future__ import annotations

import tempfile

from bpftop.errors import HostError
from bpftop.preflight.bpftrace import bpftrace_path, bpftrace_version, parts
from bpftop.preflight.rights import holds
from bpftop.preflight.values import Check, Host, Problem, read

_CAP_IPC_LOCK, _CAP_SYS_RESOURCE = 14, 24
_MEMORY_IS_CHARGED_SINCE = (5, 11)
"""From then on BPF maps are charged to the memory cgroup and RLIMIT_MEMLOCK is not asked (commit 97306be45fbe)."""
_ENOUGH_LOCKED = 256 << 20
_RINGS_SINCE = (0, 19)
"""bpftrace's ring buffer is a BPF map; the perf buffers before it are mapped and locked memory."""
_BUFFER_KB = 64 * 4 + 4
"""bpftrace's 64 pages and one for the header, for each CPU, which is how kernel.perf_event_mlock_kb counts too."""


def locked_memory(host: Host) -> Check:
    """Whether maps may be as large as the scripts want them."""
    if parts(host.release)[:2] >= _MEMORY_IS_CHARGED_SINCE:
        return Check("locked memory", "not limited since Linux 5.11")
    if host.memlock < 0 or host.memlock >= _ENOUGH_LOCKED or holds(host, _CAP_SYS_RESOURCE):
        return Check("locked memory", "not limited" if host.memlock < 0 else "enough, or bpftrace may ask for more")
    message = f"at most {host.memlock >> 10} KB may be locked: the maps of the scripts need more before Linux 5.11"
    return Check("locked memory", f"{host.memlock >> 10} KB", Problem(message, "ulimit -l unlimited", fatal=False))


def event_buffers(host: Host) -> Check:
    """Whether bpftrace may map its event buffers: before 0.19 they are perf buffers."""
    try:
        version = parts(bpftrace_version(bpftrace_path(host)))
    except HostError:
        version = ()
    limit, paranoid = (_number(host, f"sys/kernel/{name}") for name in ("perf_event_mlock_kb", "perf_event_paranoid"))
    if version >= _RINGS_SINCE:
        return Check("event buffers", "a ring buffer: no limit of perf applies")
    detail = f"perf_event_mlock_kb {limit}, perf_event_paranoid {paranoid}"
    if limit is None or limit >= _BUFFER_KB or holds(host, _CAP_IPC_LOCK) or (paranoid is not None and paranoid < 0):
        return Check("event buffers", detail)
    message = f"bpftrace needs {_BUFFER_KB} KB for its event buffers, kernel.perf_event_mlock_kb allows {limit}"
    return Check("event buffers", detail, Problem(message, "sudo sysctl -w kernel.perf_event_mlock_kb=516"))


def temporary_files(_host: Host) -> Check:
    """bpftrace 0.27 writes a file there before it compiles."""
    try:
        return Check("temporary files", tempfile.gettempdir())
    except OSError:
        message = "no temporary directory can be written: bpftrace 0.27 needs one"
        return Check("temporary files", message, Problem(message, "mount -o remount,rw /tmp", fatal=False))


def _number(host: Host, name: str) -> int | None:
    try:
        return int(read(host.proc / name))
    except ValueError:
        return None
