"""The vocabulary: frozen values in the field's words. No behaviour beyond properties, no input or output.

Units are in the names: ``_ns`` nanoseconds, ``_s`` seconds. ``boot_ns`` counts from boot (CLOCK_BOOTTIME, the clock of
bpftrace's ``nsecs``); ``unix_ns`` counts from 1970.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bpftop.model.figures import (
        ClientRow,
        CounterSnapshot,
        Counts,
        Histogram,
        History,
        Keyed,
        MeasureSnapshot,
        Names,
        Summary,
        Trend,
    )
    from bpftop.model.incomplete import Losses, losses, recent_losses, run_s, too_much
    from bpftop.model.messages import (
        Attached,
        Heartbeat,
        Lost,
        MapPrint,
        Message,
        Record,
        Rejected,
        Text,
        Tick,
        TickEnd,
    )
    from bpftop.model.scripts import KEY_KINDS, Cost, EventStream, Measure, Program, Script
    from bpftop.model.snapshot import Accounting, Overhead, Recent, SlowRequest, Snapshot, Window
    from bpftop.model.standstill import Backlog, CpuWait, Held, Neighbour, Resender, Resent, Scarce, Standstill, Waiting
    from bpftop.model.states import ScriptStatus, State, TracerStatus
    from bpftop.model.target import Process, Target, TargetKind

__all__ = [
    "KEY_KINDS",
    "Accounting",
    "Attached",
    "Backlog",
    "ClientRow",
    "Cost",
    "CounterSnapshot",
    "Counts",
    "CpuWait",
    "EventStream",
    "Heartbeat",
    "Held",
    "Histogram",
    "History",
    "Keyed",
    "Losses",
    "Lost",
    "MapPrint",
    "Measure",
    "MeasureSnapshot",
    "Message",
    "Names",
    "Neighbour",
    "Overhead",
    "Process",
    "Program",
    "Recent",
    "Record",
    "Rejected",
    "Resender",
    "Resent",
    "Scarce",
    "Script",
    "ScriptStatus",
    "SlowRequest",
    "Snapshot",
    "Standstill",
    "State",
    "Summary",
    "Target",
    "TargetKind",
    "Text",
    "Tick",
    "TickEnd",
    "TracerStatus",
    "Trend",
    "Waiting",
    "Window",
    "losses",
    "recent_losses",
    "run_s",
    "too_much",
]

_PARTS = ("target", "scripts", "standstill", "states", "messages", "figures", "snapshot", "incomplete")


def __getattr__(name: str) -> object:
    """A name is imported when it is wanted: a process with root's rights needs the first parts only."""
    if name in __all__:
        for part in _PARTS:
            found = vars(import_module(f"bpftop.model.{part}"))
            if name in found:
                globals()[name] = found[name]
                return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
