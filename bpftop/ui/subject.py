"""What one can look at alone: a client, a network, a route, a system call, a thread."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bpftop import wire
from bpftop.model import History, SlowRequest, Snapshot
from bpftop.stats.groups import Networks, network_of, spread
from bpftop.stats.onekey import only
from bpftop.stats.past import history_of
from bpftop.stats.routes import route_of

NETWORK = "network"
"""The kind of a group of clients; all other kinds are those of keys."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One key, or a network."""

    kind: str
    name: str
    code: int
    measure: str
    """The measure in which it was chosen."""

    def alone(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot of it alone."""
        if self.kind == NETWORK:
            histories = tuple(_spread(each) for each in snapshot.histories)
            snapshot = replace(snapshot, histories=histories)
            return only(snapshot, "client", self._codes(snapshot), self.owns)
        return only(snapshot, self.kind, {self.code}, self.owns)

    def _codes(self, snapshot: Snapshot) -> set[int]:
        history = history_of(snapshot, self.measure)
        if history.keyed is None or history.names is None:
            return set()
        clients = np.unique(history.keyed.keys >> np.uint64(wire.CLIENT_SHIFT))
        return set(clients[Networks(history.names).codes(clients) == self.code].tolist())

    def owns(self, event: SlowRequest) -> bool:
        """Whether a single event is about it."""
        if self.kind == "client":
            return event.client == self.name
        if self.kind == NETWORK:
            return bool(event.client) and network_of(event.client) == self.name
        if self.kind == "route":
            return "route" in event.texts and route_of(event.texts["route"]) == self.name
        if self.kind in ("pid", "tid"):
            return event.fields.get(self.kind) == self.code
        return event.texts.get(self.kind) == self.name


def _spread(history: History) -> History:
    """With the counts that are known by network only."""
    keyed = history.keyed and spread(history.keyed)
    return replace(history, keyed=keyed, keyed_pieces=tuple(map(spread, history.keyed_pieces)))


def subject_of(event: SlowRequest, snapshot: Snapshot) -> Subject | None:
    """Whom a single event is about; None when that is not known."""
    measure = {"request": "request_latency", "connection": "connection_duration"}.get(event.event, "")
    if event.client:
        try:
            return Subject("client", event.client, wire.client_code(event.client), measure)
        except ValueError:
            return None  # the name of an IPv6 client whose address never came
    for kind in ("peer", "device", "label", "tid", "pid"):
        name = event.texts.get(kind, "")
        for shown in snapshot.measures.values():
            rows = (row for row in shown.clients if shown.measure.key == kind and row.code)
            found = next((row for row in rows if row.client == name or row.code == event.fields.get(kind)), None)
            if found is not None:
                return Subject(kind, found.client, found.code, shown.measure.name)
    return None
