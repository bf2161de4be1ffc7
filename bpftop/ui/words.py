"""Sentences on the screen, built only from measured figures and known states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bpftop import units
from bpftop.model import ClientRow, State, Summary, Target
from bpftop.ui.paint import Line, Role, Span, line, wrapped
from bpftop.ui.safe import safe

if TYPE_CHECKING:
    from bpftop.ui.view import View

OTHERS = "others"
KEY_TITLES: Mapping[str, str] = {
    "client": "Client",
    "peer": "Peer",
    "pid": "Process",
    "tid": "Thread",
    "syscall": "System call",
    "label": "Name",
    "device": "Device",
    "route": "Route",
}
ENOUGH_P99 = 100
"""Fewer observations than this, and p99 is the maximum or nearly so: drawn dim."""
ENOUGH_P999 = 1000
NOUNS: Mapping[str, str] = {
    "request_latency": "requests",
    "response_time": "responses",
    "read_queue_latency": "reads",
    "accept_queue_latency": "connections",
    "connection_duration": "connections",
    "upstream_latency": "upstream requests",
    "route_latency": "requests",
    "upstream_response_time": "answers",
    "connect_latency": "connects",
    "send_latency": "sends",
    "receive_latency": "reads",
    "smoothed_rtt": "samples",
    "syscall_latency": "system calls",
    "waiting_latency": "waits",
    "loop_stall": "turns",
    "loop_wait": "waits",
    "disk_latency": "disk requests",
    "disk_queue_latency": "disk requests",
    "run_queue_latency": "wake-ups",
    "preempted_time": "preemptions",
    "blocked_time": "waits",
}


def key_titles(kind: str) -> str:
    """What a table is of, in the plural: ``Clients``, ``Processes``."""
    title = KEY_TITLES.get(kind, "Name")
    return f"{title}{'es' if title.endswith('s') else 's'}"


def noun(measure: str, n: int = 0) -> str:
    """What is counted: ``requests``; of one, ``request``."""
    many = NOUNS.get(measure, "observations")
    return many.removesuffix("s") if n == 1 else many


def name_of(target: Target) -> str:
    """The target's name, harmless."""
    return safe(target.name or target.spec, 32)


def doubtful(value: str, n: int, enough: int, role: Role = "") -> Span:
    """A percentile, dim when there are too few observations behind it."""
    return Span(value, "dim" if n < enough else role)


def p99(summary: Summary | ClientRow, role: Role = "") -> Span:
    """The p99 of a summary or of a client."""
    return doubtful(units.duration(summary.p99_ns), summary.count, ENOUGH_P99, role)


def waiting(view: View) -> list[Line]:
    """What the middle of an empty pane says: what is awaited, since when, and what to try."""
    snapshot = view.snapshot
    target, state = snapshot.target, snapshot.tracer.state
    name = name_of(target)
    detail = safe(snapshot.tracer.detail)
    if state is State.WAITING:
        return [line(Span(detail or f"waiting for a process named {name}", "strong"))]
    if state is State.ATTACHING:
        doing = detail or "attaching"
        return [line(Span(f"{doing} {'to' if doing.startswith('attaching') else 'for'} {name} …", "strong"))]
    if state is State.FAILED:
        return [line(Span("no figures: the tracer failed (the Scripts pane says more)", "dim"))]
    if state is State.STOPPED:
        return [line(Span("the run has ended without an observation", "dim"))]
    return _first_request(view, name)


def _first_request(view: View, name: str) -> list[Line]:
    target = view.snapshot.target
    if not target.processes:
        lines = [line(Span(f"waiting for {'a process named ' if not target.ports else ''}{name}", "strong"))]
        return [*lines, line(), line(Span(safe(view.absent), "dim"))] if view.absent else lines
    since = units.span(view.snapshot.quiet_s)
    seen = view.snapshot.accounting.produced > 0
    first = f"no request of {name} for {since}" if seen else f"waiting for the first request of {name}, {since}"
    lines = [line(Span(first, "strong"))]
    if target.ports:
        lines += [line(), line(Span(f"it listens on {ports(target, 6)}", "dim"))]
        lines.append(line(Span(f"try: curl -s {_url(target.ports[0])} >/dev/null", "dim")))
    return lines


def _url(port: int) -> str:
    return "https://127.0.0.1/ -k" if port == 443 else f"http://127.0.0.1:{port}/"


def share(part: float) -> str:
    """A share of 1 as a percentage; a little is never written as nothing."""
    return "<0.1 %" if 0 < part < 0.0005 else units.percent(part)


def ports(target: Target, most: int = 3) -> str:
    """``:80 :443 +5``."""
    shown = " ".join(f":{port}" for port in target.ports[:most])
    rest = len(target.ports) - most
    return f"{shown} +{rest}" if rest > 0 else shown


def notice(view: View, width: int) -> list[Line]:
    """Rows above the pane when something needs saying; none when all is well."""
    snapshot = view.snapshot
    tracer = snapshot.tracer
    lines: list[Line] = []
    if view.banner:
        lines += wrapped(safe(view.banner), width, "warn")[:2]
    detail = safe(tracer.detail)
    if view.recording is not None and view.recording.problem and not view.recording.active:
        lines += wrapped(f"the recording has ended: {safe(view.recording.problem)}", width, "bad")[:2]
    if view.position is not None and view.position.at_end:
        lines += wrapped(
            "the end of the recording: these are its last figures ([ a second back, Home plays it again)", width, "warn"
        )[:2]
        if tracer.state is State.STOPPED:
            return lines
    if tracer.state is State.FAILED:
        lines += wrapped(f"failed: {detail or 'bpftrace ended'}", width, "bad")[:3]
        lines += [line(Span("try: ", "dim"), Span(safe(tracer.hint, width - 5), "accent"))] if tracer.hint else []
        lines += [line(Span(f"  {safe(text, width - 2)}", "dim")) for text in tracer.stderr[-3:]]
    elif tracer.state is State.STALLED:
        lines += wrapped(f"stalled: {detail or 'the kernel has not reported for more than 2 s'}", width, "warn")[:2]
    elif tracer.state is State.STOPPED:
        lines += wrapped(f"stopped: {detail or 'the run has ended; these are its last figures'}", width, "warn")[:2]
    elif not view.empty and tracer.state in (State.WAITING, State.ATTACHING):
        lines += wrapped(detail or f"{tracer.state.value} …", width, "accent")[:2]
    return lines
