"""Which panes there are; their position is their number key."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bpftop.model import ScriptStatus, Snapshot, State
from bpftop.ui.panes.base import Pane
from bpftop.ui.panes.clients import Clients
from bpftop.ui.panes.heatmap import HeatMap
from bpftop.ui.panes.latency import Latency
from bpftop.ui.panes.overview import Overview
from bpftop.ui.panes.routes import Routes
from bpftop.ui.panes.script import ScriptPane
from bpftop.ui.panes.scripts import Scripts
from bpftop.ui.panes.slow import SlowRequests

FIRST: tuple[type[Pane], ...] = (Overview, Latency, HeatMap, Clients, SlowRequests)
"""What every screen begins with."""
ORDER = ("syscalls", "tcp", "http", "upstream", "eventloop", "scheduler", "disk")
"""Of the panes of scripts, whether they run or not, so that a number key stays the same."""
OWN: Mapping[str, Callable[[ScriptStatus], Pane]] = {"http": Routes}
"""Scripts whose pane is more than the general one."""


def panes_for(snapshot: Snapshot) -> list[Pane]:
    """New panes: the first ones, one for each script that has a pane, and the scripts themselves at the end."""
    return [*(pane() for pane in FIRST), *map(own_pane, with_panes(snapshot)), Scripts()]


def with_panes(snapshot: Snapshot) -> list[ScriptStatus]:
    """The scripts that have a pane of their own and run or could be started, in the order of their number keys."""
    found = [each for each in snapshot.scripts if each.pane and not (each.state is State.OFF and each.unfit)]
    return sorted(found, key=lambda each: ORDER.index(each.name) if each.name in ORDER else len(ORDER))


def own_pane(script: ScriptStatus) -> Pane:
    """A new pane for a script; its id is ``script-NAME``."""
    return OWN.get(script.name, ScriptPane)(script)
