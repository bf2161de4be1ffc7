"""Which panes there are; their position is their number key."""

from __future__ import annotations

from bpftop.ui.panes.base import Pane
from bpftop.ui.panes.clients import Clients
from bpftop.ui.panes.latency import Latency
from bpftop.ui.panes.overview import Overview
from bpftop.ui.panes.scripts import Scripts
from bpftop.ui.panes.slow import SlowRequests

PANES: tuple[type[Pane], ...] = (Overview, Latency, Clients, SlowRequests, Scripts)
