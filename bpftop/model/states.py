"""Where tracer and scripts are in their lives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Where a tracer is in its life."""

    WAITING = "waiting"
    """Nothing to trace yet."""
    ATTACHING = "attaching"
    LIVE = "live"
    STALLED = "stalled"
    """No heartbeat for more than 2 s."""
    STOPPED = "stopped"
    OFF = "off"
    """A script that does not run and could be started."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ScriptStatus:
    """One script at one moment, for the Scripts pane."""

    name: str
    title: str
    state: State
    probes: int = 0
    detail: str = ""
    """Why it failed or what it waits for: one sentence."""
    pane: str = ""
    """The short title of its pane; empty when the fixed panes show its figures."""
    measures: tuple[str, ...] = ()
    """The names of its measures and counters."""
    summary: str = ""
    """What it is for, while it is off."""
    cost: str = ""
    """What it takes from a busy server, in words; empty when that is little."""
    unfit: str = ""
    """Why it cannot be started here; empty when it can."""
    budget: str = ""
    """One sentence when it was stopped because it cost more than it may."""


@dataclass(frozen=True, slots=True)
class TracerStatus:
    """The bpftrace child at one moment."""

    state: State
    detail: str = ""
    """One sentence for people: ``attaching 9 probes``, ``bpftrace ended with exit code 255``."""
    hint: str = ""
    """The next command to type, when there is one."""
    stderr: tuple[str, ...] = ()
    """The last lines bpftrace wrote on stderr, known harmless ones left out; oldest first."""
    exit_code: int | None = None
    restarts: int = 0
    """After a crash."""
    runs: int = 1
    """How often bpftrace was started, for other processes too: between two runs nothing is counted."""
    lost_messages: int = 0
    """What bpftrace itself says it could not hand over."""
    source: str = "bpftrace"
    """``bpftrace``, ``simulation`` or ``replay``: where the figures come from."""
    rights: str = ""
    """One sentence: as which user what bpftrace says is read and drawn."""
    budget: str = ""
    """One sentence when the probes cost more than they may, or when that cannot be known."""
