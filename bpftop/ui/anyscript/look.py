"""What is looked at: one snapshot of a run, what the user chose, and the tabs that follow from both."""

from __future__ import annotations

from dataclasses import dataclass, field

from bpftop.anyscript.model import MapView, RunSnapshot

OVERVIEW, MAP, LOG, SCRIPT = "overview", "map", "log", "program"


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab."""

    kind: str
    name: str = ""
    """Of its map."""
    title: str = ""


@dataclass(slots=True)
class Place:
    """Where the user is in one tab."""

    cursor: int = 0
    top: int = 0
    left: int = 0
    sort: int = 0
    reversed: bool = False
    opened: tuple[str, ...] | None = None
    """The key whose details are shown instead of the table."""
    chosen: tuple[str, ...] | None = None
    """The key under the cursor, so that it stays there when the order changes."""
    follow: bool = True
    """The log shows its newest line."""
    rows: int = 1
    """How many rows there is room for, as last drawn."""
    count: int = 0
    """How many there are."""


@dataclass(frozen=True, slots=True)
class Look:
    """Everything that a drawing function may use."""

    snapshot: RunSnapshot
    paused: bool = False
    filter: str = ""
    log_counts: bool = False
    """Bars on a log scale."""
    places: dict[Tab, Place] = field(default_factory=dict)

    def place(self, tab: Tab) -> Place:
        """Where the user is in a tab."""
        return self.places.setdefault(tab, Place())

    def map_of(self, tab: Tab) -> MapView | None:
        """The map of a tab; ``None`` when there is none."""
        return next((view for view in self.snapshot.maps if view.name == tab.name), None)


def tabs_of(snapshot: RunSnapshot) -> list[Tab]:
    """The tabs: overview, a tab for each table, the log, the program; the program's memory comes last."""
    tables = [view for view in snapshot.maps if view.is_table or (view.facts.is_table and not view.prints)]
    first = [Tab(MAP, view.name, view.title) for view in tables if not view.facts.scratch]
    last = [Tab(MAP, view.name, view.title) for view in tables if view.facts.scratch]
    return [Tab(OVERVIEW, title="Overview"), *first, Tab(LOG, title="Log"), Tab(SCRIPT, title="Program"), *last]
