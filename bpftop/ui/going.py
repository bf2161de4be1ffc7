"""From a clause of the verdict to the pane that shows more of it, with its measure and its filter."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bpftop.stats.clause import Place
from bpftop.ui.filters import FilterError
from bpftop.ui.panes.base import Pane
from bpftop.ui.panes.clients import Clients
from bpftop.ui.panes.latency import Latency
from bpftop.ui.panes.lists import ListPane
from bpftop.ui.panes.script import ScriptPane
from bpftop.ui.panes.scripts import Scripts
from bpftop.ui.panes.slow import SlowRequests

if TYPE_CHECKING:
    from bpftop.ui.screen import MainScreen

_PANES: dict[str, type[Pane]] = {"latency": Latency, "clients": Clients, "slow": SlowRequests, "scripts": Scripts}


def go_to(screen: MainScreen, place: Place) -> None:
    """Open the pane of a place, or start its script; a pane that is not there (any more) opens nothing."""
    if place.pane == "episodes":
        screen.action_stood_out()
        return
    if place.pane == "start":
        script = next((each for each in screen.view.snapshot.scripts if each.name == place.script), None)
        if script is not None:
            screen.start_script(script)
        return
    index = _pane(screen.panes, place)
    if index is None:
        return
    pane = screen.panes[index]
    if place.measure in screen.view.snapshot.measures and pane.accepts(
        screen.view.snapshot.measures[place.measure].measure
    ):
        screen.view = replace(screen.view, measure=place.measure)
    if isinstance(pane, ScriptPane):
        pane.choose(place.measure)
    if isinstance(pane, ListPane):
        with contextlib.suppress(FilterError):  # a name that reads like a comparison: all rows then
            pane.refilter(place.filter)
    screen.action_pane(index)


def _pane(panes: Sequence[Pane], place: Place) -> int | None:
    for index, pane in enumerate(panes):
        if pane.id == f"script-{place.script}" or (place.pane in _PANES and isinstance(pane, _PANES[place.pane])):
            return index
    return None
