"""The rows around a run: its state above, what is missing and what it costs below."""

from __future__ import annotations

from bpftop import units
from bpftop.anyscript.ending import own_words, unattached
from bpftop.anyscript.model import RunSnapshot, RunState
from bpftop.ui.anyscript.look import Look
from bpftop.ui.paint import EMPTY, Line, Role, Span, ends, line, wrapped
from bpftop.ui.safe import safe

_BADGES: dict[RunState, Role] = {
    RunState.STARTING: "badge-info",
    RunState.LIVE: "badge-good",
    RunState.STOPPING: "badge-warn",
    RunState.ENDED: "badge-info",
    RunState.FAILED: "badge-bad",
}
_STDERR = 6


def status(look: Look, width: int) -> Line:
    """State, program, bpftrace, and how busy its probes are."""
    snapshot = look.snapshot
    state = "paused" if look.paused else snapshot.state.value
    left = [Span(f" {state.upper()} ", "badge-info" if look.paused else _BADGES[snapshot.state])]
    left.append(Span(f" {safe(snapshot.script.title, 40)}", "strong"))
    words = " ".join(snapshot.script.argv)
    extra = [safe(words, 30)] if words else []
    extra += [f"bpftrace {safe(snapshot.version)}"] if snapshot.version else []
    right = line(*_busy(snapshot), Span(f"{units.span(snapshot.span_s)} ", "dim"))
    while extra and line(*left, Span("".join(f" · {each}" for each in extra))).cells + right.cells + 1 > width:
        extra.pop()
    left += [Span(f" · {each}", "dim") for each in extra]
    return ends(line(*left), right, width, "chrome")


def _busy(snapshot: RunSnapshot) -> list[Span]:
    spans = []
    if snapshot.overhead.hits_per_s is not None and not snapshot.over:
        hits = units.rate(snapshot.overhead.hits_per_s).removesuffix("/s")
        spans += [Span(hits, "strong"), Span(" hits/s · ", "dim")]
    if snapshot.probes:
        spans += [Span(f"{snapshot.probes} probes · ", "dim")]
    return spans


def account(snapshot: RunSnapshot, width: int) -> Line:
    """What is missing, and what the probes cost: always on screen."""
    left = [Span(f" lost {snapshot.lost:,}", "bad" if snapshot.lost else "dim")]
    if snapshot.rejected:
        left.append(Span(f" · unreadable {snapshot.rejected:,}", "bad"))
    full = [view.name for view in snapshot.maps if view.full]
    if full:
        left.append(Span(f" · full: {safe(', '.join(full), 30)}", "bad"))
    dropped = f" ({snapshot.log_dropped:,} no longer kept)" if snapshot.log_dropped else ""
    left.append(Span(f" · log {snapshot.log_lines:,} lines{dropped}", "dim"))
    overhead = snapshot.overhead
    cost = [f"{units.duration(overhead.ns_per_hit)}/hit"] if overhead.ns_per_hit is not None else []
    if overhead.cpu_percent is not None:
        cost.append(f"{units.percent(overhead.cpu_percent / 100)} CPU")
    right = line(Span(f"own cost {' · '.join(cost)} " if cost else "own cost unknown ", "dim"))
    return ends(line(*left), right, width, "chrome")


def notice(look: Look, width: int) -> list[Line]:
    """Rows above every tab when something needs saying."""
    snapshot = look.snapshot
    lines: list[Line] = []
    if snapshot.state is RunState.FAILED:
        lines += wrapped(f"failed: {safe(snapshot.detail, 400)}", width, "bad")[:4]
        if snapshot.hint:
            lines.append(line(Span("try: ", "dim"), Span(safe(snapshot.hint, width - 5), "accent")))
        words = [own_words(snapshot.script, each) for each in snapshot.stderr[-_STDERR:]]
        lines += [line(Span(f"  {safe(each, width - 2)}", "dim")) for each in words]
    elif snapshot.state is RunState.ENDED:
        lines += wrapped(f"{safe(snapshot.detail, 200)}: these are its last figures. q leaves.", width, "accent")[:2]
    elif snapshot.state is RunState.STOPPING:
        lines += wrapped(f"{safe(snapshot.detail)} (q again leaves at once)", width, "warn")[:2]
    if snapshot.unattached and snapshot.state is not RunState.FAILED:
        lines += wrapped(unattached(snapshot.stderr)[0], width, "warn")[:2]
    return [*lines, EMPTY] if lines else []


def empty(snapshot: RunSnapshot) -> list[Line]:
    """What the middle says while there is nothing."""
    if snapshot.state is RunState.STARTING:
        return [line(Span(f"{snapshot.detail} …", "strong"))]
    if snapshot.over:
        return [line(Span("it has printed nothing", "dim"))]
    to_come = to_come_at_end(snapshot)
    if to_come:
        return [
            line(Span("its maps come when it ends: press q", "strong")),
            line(),
            line(Span(safe(", ".join(to_come), 70), "dim")),
        ]
    return [line(Span("it runs and has said nothing yet", "strong"))]


def to_come_at_end(snapshot: RunSnapshot) -> list[str]:
    """The maps that are printed only when the program ends."""
    waiting = (view for view in snapshot.maps if not view.prints and not view.facts.printed)
    return [view.title for view in waiting if not view.facts.scratch]
