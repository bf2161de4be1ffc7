"""The single events of a snapshot by their kind: a connection of an hour is no slow request, so they are not ranked
together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bpftop.model import SlowRequest, Snapshot

REQUEST = "request"
"""The kind of event that comes first."""
_made: list[tuple[Sequence[SlowRequest], Mapping[str, list[SlowRequest]]]] = []
"""Those of the newest snapshot: several parts of a screen ask."""


def kinds(snapshot: Snapshot) -> list[str]:
    """Which kinds of events there are, requests first."""
    return sorted(_by_kind(snapshot.slow), key=lambda name: name != REQUEST)


def of_kind(snapshot: Snapshot, kind: str) -> list[SlowRequest]:
    """The events of one kind, slowest first."""
    return _by_kind(snapshot.slow).get(kind, [])


def _by_kind(events: Sequence[SlowRequest]) -> Mapping[str, list[SlowRequest]]:
    if _made and _made[0][0] is events:
        return _made[0][1]
    found: dict[str, list[SlowRequest]] = {}
    for each in events:
        found.setdefault(each.event, []).append(each)
    _made[:] = [(events, found)]
    return found
