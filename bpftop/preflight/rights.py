"""Whether this process may trace: root, or the capabilities that the installed version accepts."""

from __future__ import annotations

import re

from bpftop.capabilities import perf_wants_admin
from bpftop.errors import HostError
from bpftop.preflight.bpftrace import bpftrace_path, bpftrace_version, parts
from bpftop.preflight.values import Check, Host, Problem, read

_CAPABILITIES = {"CAP_BPF": 39, "CAP_PERFMON": 38}
_CAP_SYS_PTRACE, _CAP_SYS_ADMIN = 19, 21
_START = "docker run --pid=host"
CONTAINER = "docker run --privileged --pid=host …"
"""How to start a container that may trace; podman takes the same words."""
_TO_DIVIDE = {"CAP_SETUID": 7, "CAP_SETGID": 6}
_CAPABILITIES_WITHOUT_ROOT = {**_CAPABILITIES, "CAP_DAC_READ_SEARCH": 2, "CAP_DAC_OVERRIDE": 1}
_RULES_WITHOUT_ROOT_SINCE = (0, 25)


def rights(host: Host) -> Check:
    """Root with the two capabilities, or from bpftrace 0.25 on four capabilities without root."""
    mask = _effective(host)
    if host.euid == 0 and _is_confined_user(host):
        message = "root of a user namespace cannot trace: the kernel asks for root of the host"
        return Check("rights", message, Problem(message, "docker run --privileged --userns=host --pid=host …"))
    if host.euid == 0:
        absent = [name for name, bit in _CAPABILITIES.items() if not mask >> bit & 1]
        if absent and not mask >> _CAP_SYS_ADMIN & 1:
            message = f"root without {' and '.join(absent)} cannot trace: this container is confined"
            return Check("rights", message, Problem(message, CONTAINER))
        return Check("rights", "root", _less(host, mask))
    if all(mask >> bit & 1 for bit in _CAPABILITIES_WITHOUT_ROOT.values()) and _knows_capabilities(host):
        return Check("rights", "capabilities " + ", ".join(_CAPABILITIES_WITHOUT_ROOT), _less(host, mask))
    accepted = "takes root, or these capabilities: " + ", ".join(_CAPABILITIES_WITHOUT_ROOT)
    if not _knows_capabilities(host):
        accepted = "before 0.25 takes root only, whatever capabilities a user has"
    detail = f"user id {host.euid}; bpftrace {accepted}"
    return Check("rights", detail, Problem("tracing needs root", f"sudo {host.command}"))


def _less(host: Host, mask: int) -> Problem | None:
    """What works less well without the capability to mount or to look into processes of others."""
    if not mask >> _CAP_SYS_ADMIN & 1 and perf_wants_admin(host.proc):
        message = (
            "kernel.perf_event_paranoid is above 2: kernels of Debian and Ubuntu then want CAP_SYS_ADMIN for probes"
        )
        return Problem(message, "sudo sysctl -w kernel.perf_event_paranoid=2", fatal=False)
    if not mask >> _CAP_SYS_PTRACE & 1:
        message = "without CAP_SYS_PTRACE the ports of processes with other rights than ours cannot be seen"
        return Problem(message, f"{_START} --cap-add=SYS_PTRACE …", fatal=False)
    return None


def separation(host: Host) -> Check:
    """Whether root can hand the screen to a process without rights."""
    if host.euid != 0:
        return Check("separation", "only root divides itself")
    absent = [name for name, bit in _TO_DIVIDE.items() if not holds(host, bit)]
    if not absent:
        return Check("separation", "the screen runs without root's rights")
    message = f"without {' and '.join(absent)} the screen cannot become another user: it stays root, without rights"
    return Check("separation", message, Problem(message, "sudo bpftop TARGET --user root", fatal=False))


def holds(host: Host, capability: int) -> bool:
    """Whether this process has the capability of that number."""
    return bool(_effective(host) >> capability & 1)


def may_mount(host: Host) -> bool:
    """Whether this process may mount file systems: root of a confined container may not."""
    return holds(host, _CAP_SYS_ADMIN) and not _is_confined_user(host)


def _is_confined_user(host: Host) -> bool:
    """Whether our root is an ordinary user of the host: user_namespaces(7) maps all ids only outside of any."""
    mapped = read(host.proc / "self" / "uid_map").split()
    return bool(mapped) and mapped != ["0", "0", "4294967295"]


def _knows_capabilities(host: Host) -> bool:
    try:
        return parts(bpftrace_version(bpftrace_path(host))) >= _RULES_WITHOUT_ROOT_SINCE
    except HostError:
        return False


def _effective(host: Host) -> int:
    """The effective capabilities as bits; all when the kernel does not say."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", read(host.proc / "self" / "status"), re.MULTILINE)
    return int(match[1], 16) if match else -1
