"""What a pane draws: one snapshot and what the user chose to see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bpftop.model import MeasureSnapshot, SlowRequest, Snapshot, State
from bpftop.stats.clause import Clause
from bpftop.ui.kinds import REQUEST, of_kind
from bpftop.ui.options import Position, RecordingState

HEADLINE = "request_latency"
"""The measure that the screen opens with, when a script observes it."""


@dataclass(frozen=True, slots=True)
class Box:
    """A piece of the heat map: a span of time and a range of latencies of one measure."""

    measure: str
    from_unix_ns: int
    to_unix_ns: int
    low_ns: float
    high_ns: float

    def covers(self, unix_ns: float, latency_ns: float) -> bool:
        """Whether a point of the map lies in it."""
        return self.from_unix_ns <= unix_ns < self.to_unix_ns and self.low_ns <= latency_ns < self.high_ns

    def reaches(self, event: SlowRequest) -> bool:
        """Whether the latency of a single event is in this range, in terms of the measure."""
        value = _value(event, self.measure)
        return value is not None and self.low_ns <= value < self.high_ns

    def tells(self, event: SlowRequest) -> bool:
        """Whether a single event has a latency of the measure at all."""
        return _value(event, self.measure) is not None


def telling(snapshot: Snapshot, measure: str) -> list[SlowRequest]:
    """The single events that have a latency of a measure, slowest first."""
    if measure == "read_queue_latency":
        return [each for each in snapshot.slow if "read_queue_ns" in each.fields]
    return of_kind(snapshot, _OWN[measure]) if measure in _OWN else []


_OWN: Mapping[str, str] = {
    "request_latency": REQUEST,
    "connection_duration": "connection",
    "route_latency": "http",
    "upstream_latency": "upstream",
}
"""The kind of event that has the latency of a measure."""


def _value(event: SlowRequest, measure: str) -> int | None:
    """The latency of the event in terms of a measure; None when the event does not tell."""
    if measure == "read_queue_latency":
        return event.fields.get("read_queue_ns")
    if _OWN.get(measure) != event.event:
        return None
    return event.latency_ns - (event.fields.get("read_queue_ns", 0) if event.event == REQUEST else 0)


@dataclass(frozen=True, slots=True)
class Baseline:
    """The figures of a moment, kept to compare with."""

    unix_ns: int
    window: str
    """The label of its window; of a file its name."""
    measures: Mapping[str, MeasureSnapshot]
    snapshot: Snapshot | None = None
    """All of that moment, for one client alone; a file does not have it."""
    from_file: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """One look: everything a drawing function may use."""

    snapshot: Snapshot
    measure: str = HEADLINE
    """The chosen measure; another one is taken when the scripts do not observe it."""
    paused: bool = False
    until_unix_ns: int | None = None
    """The moment of the past at which the view stands still; None: now, or where it was paused."""
    position: Position | None = None
    """Where a replay is; None: this is no replay."""
    recording: RecordingState | None = None
    """How far a recording is; None: nothing can be recorded here."""
    window_s: float | None = 60.0
    """The window asked for; the snapshot may still show the one before."""
    before: Clause | None = None
    """What stood out last, not long ago."""
    banner: str = ""
    absent: str = ""
    """What to say while no process of the target runs."""
    log_counts: bool = False
    """Bars of counts on a log scale."""
    curve: bool = False
    """The cumulative curve over the bars."""
    baseline: Baseline | None = None
    """What later figures are compared with."""
    box: Box | None = None
    """The piece of the heat map that is pinned: panes show its seconds only, and mark its range of latencies."""
    whole: Snapshot | None = None
    """The snapshot of the whole window, when ``snapshot`` is cut to the seconds of ``box``."""

    def moved(self, to: Snapshot) -> View:
        """The same view by the clock of a newer snapshot, for when the host's was set: it keeps its seconds."""
        by_ns = to.unix_offset_ns - self.snapshot.unix_offset_ns
        if not by_ns or not to.unix_offset_ns or not self.snapshot.unix_offset_ns:
            return self
        box, until = self.box, self.until_unix_ns
        if box is not None:
            box = replace(box, from_unix_ns=box.from_unix_ns + by_ns, to_unix_ns=box.to_unix_ns + by_ns)
        return replace(self, box=box, until_unix_ns=None if until is None else until + by_ns)

    @property
    def shown(self) -> MeasureSnapshot | None:
        """The chosen measure; None when no script observes anything."""
        measures = self.snapshot.measures
        return measures.get(self.measure) or headline(self.snapshot)

    @property
    def empty(self) -> bool:
        """No script has observed anything in this window."""
        return not any(each.summary.count for each in self.snapshot.measures.values())

    @property
    def healthy(self) -> bool:
        """Figures are coming."""
        return self.snapshot.tracer.state is State.LIVE


def headline(snapshot: Snapshot) -> MeasureSnapshot | None:
    """The measure that answers first: request latency, else the first with observations, else the first."""
    measures = snapshot.measures
    if HEADLINE in measures:
        return measures[HEADLINE]
    counted = (each for each in measures.values() if each.summary.count)
    return next(counted, next(iter(measures.values()), None))
