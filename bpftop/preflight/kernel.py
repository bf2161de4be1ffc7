"""What the kernel offers: tracepoints, types, namespaces, lockdown."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from bpftop.errors import HostError
from bpftop.preflight.rights import CONTAINER, may_mount
from bpftop.preflight.values import Check, Host, Problem, read

_HOST_PID_NAMESPACE = "pid:[4026531836]"


def tracefs(host: Host | None = None) -> Path | None:
    """Where the kernel's tracepoints are listed; ``None`` when it is not mounted or may not be read."""
    sys = (host or Host()).sys
    for path in (sys / "kernel" / "tracing", sys / "kernel" / "debug" / "tracing"):
        if os.access(path / "events", os.R_OK | os.X_OK):
            return path
    return None


def mount_tracefs(host: Host | None = None) -> str:
    """As root: mount tracefs when it is missing, and say so in one sentence; empty when there was nothing to do.

    Nor is it tried without the right to mount, as in a confined container: ``require`` says everything that is missing.
    """
    host = host or Host()
    if host.euid != 0 or tracefs(host) is not None or not may_mount(host):
        return ""
    where = host.sys / "kernel" / "tracing"
    command = ["mount", "-t", "tracefs", "tracefs", str(where)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
        why = run.stderr.strip().partition("\n")[0] if run.returncode else ""  # what follows speaks of dmesg
    except (OSError, subprocess.SubprocessError) as error:
        why = str(error)
    if tracefs(host) is None:
        why = why.removeprefix(f"mount: {where}: ").rstrip(".") or "no events appeared"
        raise HostError(f"tracefs cannot be mounted: {why}", " ".join(command))
    return f"mounted tracefs on {where}"


def tracepoints(host: Host) -> Check:
    """Whether the kernel lists its tracepoints."""
    path = tracefs(host)
    if path is not None:
        return Check("tracefs", str(path))
    if host.euid != 0:
        return Check("tracefs", "only root can see", known=False)
    cure = f"mount -t tracefs tracefs {host.sys / 'kernel' / 'tracing'}" if may_mount(host) else CONTAINER
    return Check("tracefs", "not mounted", Problem("tracefs is not mounted", cure))


def types(host: Host) -> Check:
    """Whether the kernel describes its types."""
    path = host.sys / "kernel" / "btf" / "vmlinux"
    if path.exists():
        return Check("kernel types", str(path))
    message = "the kernel does not describe its types (BTF): the scripts need a kernel with CONFIG_DEBUG_INFO_BTF"
    return Check("kernel types", "no BTF", Problem(message, "sudo apt-get install -y linux-image-amd64"))


def kprobes(host: Host) -> Check:
    """Whether kernel functions can be traced: the scripts for kernels without the tracepoints need it."""
    switch = read(host.sys / "kernel" / "debug" / "kprobes" / "enabled").strip()
    if switch == "0":
        command = f"echo 1 | sudo tee {host.sys}/kernel/debug/kprobes/enabled"
        return Check("kprobes", "switched off", Problem("kprobes are switched off", command, fatal=False))
    return _probes(host, "kprobes", "CONFIG_KPROBES", "variants of scripts for older kernels do not run")


def uprobes(host: Host) -> Check:
    """Whether functions and markers of programs can be traced."""
    return _probes(host, "uprobes", "CONFIG_UPROBES", "--func and --usdt do not work")


def _probes(host: Host, kind: str, setting: str, effect: str) -> Check:
    where = tracefs(host)
    if where is None:
        return Check(kind, "only root can see" if host.euid else "unknown without tracefs", known=False)
    if (where / f"{kind[:-1]}_events").exists():
        return Check(kind, "yes")
    message = f"the kernel has no {kind} ({setting}): {effect}"
    return Check(kind, "none", Problem(message, "sudo apt-get install -y linux-image-amd64", fatal=False))


def process_ids(host: Host) -> Check:
    """Whether we number processes as the kernel does."""
    try:
        link = os.readlink(host.proc / "self" / "ns" / "pid")
    except OSError:
        return Check("process ids", "unknown", known=False)
    if link == _HOST_PID_NAMESPACE:
        return Check("process ids", "of the host")
    message = "this container numbers processes its own way: bpftrace would not find the target"
    return Check("process ids", link, Problem(message, CONTAINER))


def lockdown(host: Host) -> Check:
    """Whether BPF programs may read the kernel's memory."""
    mode = re.search(r"\[(\w+)\]", read(host.sys / "kernel" / "security" / "lockdown"))
    if mode is None or mode[1] != "confidentiality":
        found = mode[1] if mode else "unknown: sudo mount -t securityfs none /sys/kernel/security"
        return Check("lockdown", found, known=mode is not None)
    message = "the kernel is locked down (confidentiality): BPF programs may not read its memory"
    return Check("lockdown", mode[1], Problem(message, "reboot with lockdown=integrity"))
