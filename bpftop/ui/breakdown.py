"""Where the time of requests goes, as stacked bars: of all together, of the medians, of the slowest ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bpftop import units
from bpftop.model import MeasureSnapshot, Snapshot
from bpftop.stats.stages import ACCEPT, READ, REQUEST, RESPONSE, UPSTREAM, stages
from bpftop.ui import kinds
from bpftop.ui.paint import Line, Role, Span, fit, line, pad

ABOUT = (
    "The bars share out the time of requests. 'all': the time of all requests of the window together, from their "
    "exact counts; the wait of a request for the accept of its connection is counted as accept queue only. 'medians': "
    "the median of each stage side by side; medians do not add up to the median of the whole, and a stage that fewer "
    "than half of the requests go through (the accept queue with keep-alive) is left out. 'slowest': of the single "
    "requests that the kernel sent, the slowest, up to 1 % of all; only their read queue and their time in the "
    "server, upstreams included, are known one by one. Upstream is a part of the server's time that is known while "
    "the script 'upstream' runs. Sending is what the response time has beyond the request latency."
)
SHARE = 0.01
"""Of the requests: the slowest."""
KNOWN = 0.9
"""A script that was started later is left out of totals until it has seen so much of the window."""
_LABEL, _TOTAL = 13, 8


@dataclass(frozen=True, slots=True)
class Stage:
    """How one stage looks."""

    name: str
    glyph: str
    role: Role


TOGETHER = "server_and_upstream"
"""What is known of a single request while upstreams are measured: not which part of its time was whose."""
STAGES: Mapping[str, Stage] = {
    ACCEPT: Stage("accept queue", "░", "accent"),
    READ: Stage("read queue", "▒", "p99"),
    REQUEST: Stage("server", "█", "p50"),
    TOGETHER: Stage("server or upstream", "▆", "p50"),
    UPSTREAM: Stage("upstream", "▓", "good"),
    RESPONSE: Stage("sending", "▄", "dim"),
}
"""In the order of the life of a request. The glyphs differ without colours, too."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it is of, and the time (ns) of each stage in it; ``whole_ns`` is said at its end."""

    label: str
    parts: Mapping[str, float]
    whole_ns: float


def bars(snapshot: Snapshot) -> list[Bar]:
    """Those that there are figures for: all requests, medians, the slowest."""
    request = snapshot.measures.get(REQUEST)
    if request is None or not request.summary.count:
        return []
    return [
        each for each in (_all(snapshot, request), _medians(snapshot, request), _slowest(snapshot, request)) if each
    ]


def _all(snapshot: Snapshot, request: MeasureSnapshot) -> Bar | None:
    parts = stages({name: each.summary for name, each in snapshot.measures.items()})
    upstream = snapshot.measures.get(UPSTREAM)
    if upstream is not None and upstream.summary.count and _covers(snapshot, upstream):
        inside = min(float(upstream.summary.total_ns or 0), parts[REQUEST])
        parts = {**parts, REQUEST: parts[REQUEST] - inside, UPSTREAM: inside}
    if len(parts) < 2:
        return None
    return Bar(f"all {units.count(request.summary.count)}", parts, sum(parts.values()))


def _covers(snapshot: Snapshot, shown: MeasureSnapshot) -> bool:
    """Whether the script has run for nearly the whole window."""
    seen_s = shown.summary.count / shown.summary.rate_per_s if shown.summary.rate_per_s else 0.0
    return seen_s >= KNOWN * snapshot.window.span_s


def _medians(snapshot: Snapshot, request: MeasureSnapshot) -> Bar | None:
    half = request.summary.count / 2
    medians = {
        name: float(each.summary.p50_ns or 0) for name, each in snapshot.measures.items() if each.summary.count >= half
    }
    if REQUEST not in medians or READ not in medians:
        return None
    parts = {name: medians[name] for name in (ACCEPT, READ, REQUEST) if name in medians}
    if ACCEPT in parts:
        parts[READ] = max(parts[READ] - parts[ACCEPT], 0.0)
    if UPSTREAM in medians:
        parts[UPSTREAM] = min(medians[UPSTREAM], parts[REQUEST])
        parts[REQUEST] -= parts[UPSTREAM]
    if medians.get(RESPONSE, 0.0) > medians[REQUEST] * 1.02:
        parts[RESPONSE] = medians[RESPONSE] - medians[REQUEST]
    return Bar("medians", parts, sum(parts.values()))


def _slowest(snapshot: Snapshot, request: MeasureSnapshot) -> Bar | None:
    """The mean of the slowest single requests, of which only two stages are known."""
    events = kinds.of_kind(snapshot, kinds.REQUEST)[: max(int(request.summary.count * SHARE), 1)]
    if not events:
        return None
    waited = sum([each.fields.get("read_queue_ns", 0) for each in events]) / len(events)
    whole = sum([each.latency_ns for each in events]) / len(events)
    upstream = snapshot.measures.get(UPSTREAM)
    served = TOGETHER if upstream is not None and upstream.summary.count else REQUEST
    return Bar(f"slowest {len(events)}", {READ: waited, served: whole - waited}, whole)


def breakdown(snapshot: Snapshot, width: int) -> list[Line]:
    """A heading with the legend, and the bars; nothing without figures."""
    found = bars(snapshot)
    if not found:
        return []
    used = [name for name in STAGES if any(each.parts.get(name) for each in found)]
    title = Span("Where the time goes", "strong")
    heading = line(title, *_legend(used))
    if heading.cells > width:
        heading = line(title, *_legend(used, short=True))
    if heading.cells > width:
        first, *rest = heading.spans[1:]
        heading = fit(line(first._replace(text=first.text.lstrip()), *rest), width)
    shares = {id(each): _shares(each) for each in found}
    size = max(sum(len(span.text) for span in spans) for spans in shares.values())
    room = max(width - _LABEL - _TOTAL - size - 2, 8)
    return [heading, *(_row(each, shares[id(each)], room) for each in found)]


def _legend(used: Sequence[str], *, short: bool = False) -> list[Span]:
    """``░ accept queue  █ server``; short: the first words, where they tell it from the others."""
    spans: list[Span] = []
    for name in used:
        stage = STAGES[name]
        said = stage.name if not short else "both" if name == TOGETHER else stage.name.partition(" ")[0]
        spans += [Span(f"  {stage.glyph}", stage.role), Span(f" {said}", "dim")]
    return spans


def _row(bar: Bar, shares: list[Span], room: int) -> Line:
    total = units.duration(bar.whole_ns)
    return line(
        Span(pad(bar.label, _LABEL, left=True)), *_stack(bar, room), Span(pad(total, _TOTAL), "strong"), "  ", *shares
    )


def _stack(bar: Bar, room: int) -> list[Span]:
    """The stages one after the other in exactly ``room`` cells, by the largest remainders."""
    whole = sum(bar.parts.values()) or 1.0
    exact = {name: bar.parts[name] / whole * room for name in STAGES if bar.parts.get(name)}
    cells = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda each: cells[each] - exact[each])[: room - sum(cells.values())]:
        cells[name] += 1
    return [Span(STAGES[name].glyph * n, STAGES[name].role) for name, n in cells.items() if n]


def _shares(bar: Bar) -> list[Span]:
    """``▒ 91 % █ 9 %``."""
    whole = sum(bar.parts.values()) or 1.0
    spans: list[Span] = []
    for name, stage in STAGES.items():
        part = bar.parts.get(name, 0.0) / whole
        if part > 0:
            said = f"{part * 100:.0f}" if part >= 0.005 else "<1"
            spans += [Span(f"{' ' if spans else ''}{stage.glyph} ", stage.role), Span(f"{said} %")]
    return spans
