"""Whether the kernel has the attach points a script requires, as far as files tell. Nothing is attached."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

SINCE = {
    "sock:sock_recv_length": "6.3",
    "sock:sock_send_length": "6.3",
    "sock:sk_data_ready": "6.2",
    "sock:inet_sock_set_state": "4.16",
    "tcp:tcp_rcv_space_adjust": "4.18",
}
"""The Linux that brought a tracepoint, for the sentence."""


def lacking(required: Iterable[str], tracefs: Path | None, sys: Path = Path("/sys")) -> str | None:
    """The first thing that is missing, in one sentence; ``None`` when all is there or cannot be known."""
    for point in required:
        kind, _, rest = point.partition(":")
        why = _CHECKS.get(kind, _unknowable)(rest, tracefs, sys)
        if why:
            return why
    return None


def _tracepoint(name: str, tracefs: Path | None, _sys: Path) -> str | None:
    if tracefs is None:
        return None
    group, _, event = name.partition(":")
    pattern = f"{group}/{event}/id"
    events = tracefs / "events"
    found = any(events.glob(pattern)) if "*" in name else (events / pattern).exists()
    if found:
        return None
    since = f": it came with Linux {SINCE[name]}, this is {os.uname().release}" if name in SINCE else ""
    return f"the kernel has no tracepoint {name}{since}"


def _kprobe(name: str, tracefs: Path | None, _sys: Path) -> str | None:
    if tracefs is None:
        return None
    if not (tracefs / "kprobe_events").exists():
        return f"the kernel has no kprobes (CONFIG_KPROBES), so {name} cannot be traced"
    functions = _functions(tracefs)
    if functions and name not in functions and "*" not in name:
        return f"the kernel has no function {name} that can be traced"
    return None


@lru_cache(maxsize=2)
def _functions(tracefs: Path) -> frozenset[str]:
    """The functions that kprobes can be put on, modules' included; empty when the kernel does not list them."""
    try:
        with (tracefs / "available_filter_functions").open() as file:
            return frozenset(line.split(maxsplit=1)[0] for line in file if line.strip())
    except OSError:
        return frozenset()


def _program(name: str, _tracefs: Path | None, _sys: Path) -> str | None:
    path = name.rpartition(":")[0].split(":", 1)[0]
    return None if not path.startswith("/") or os.path.exists(path) else f"there is no program {path}"


def _types(name: str, _tracefs: Path | None, sys: Path) -> str | None:
    return None if (sys / "kernel/btf/vmlinux").exists() else f"{name} needs BTF, which this kernel does not have"


def _machine(name: str, _tracefs: Path | None, _sys: Path) -> str | None:
    here = os.uname().machine
    return None if here == name else f"it knows the registers of {name} only, and this machine is {here}"


def _unknowable(_name: str, _tracefs: Path | None, _sys: Path) -> str | None:
    return None


_CHECKS = {
    "tracepoint": _tracepoint,
    "kprobe": _kprobe,
    "kretprobe": _kprobe,
    "uprobe": _program,
    "uretprobe": _program,
    "usdt": _program,
    "kfunc": _types,
    "kretfunc": _types,
    "machine": _machine,
}
