"""The rows around the pane: status, tabs, accounting, keys."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from textual import events
from textual.binding import ActiveBinding

from bpftop import units
from bpftop.model import Snapshot, State
from bpftop.ui import words
from bpftop.ui.canvas import Canvas
from bpftop.ui.options import Position
from bpftop.ui.paint import Line, Role, Span, ends, fit, line
from bpftop.ui.pin import box_words, when
from bpftop.ui.safe import safe
from bpftop.ui.view import Box, View, headline

_BADGES: dict[State, Role] = {
    State.WAITING: "badge-info",
    State.ATTACHING: "badge-info",
    State.LIVE: "badge-good",
    State.STALLED: "badge-warn",
    State.STOPPED: "badge-warn",
    State.FAILED: "badge-bad",
}


def status(view: View, width: int) -> Line:
    """State, target, window and request rate."""
    snapshot = view.snapshot
    target = snapshot.target
    state = snapshot.tracer.state
    left = [Span(f" {state.value.upper()} ", _BADGES[state])]
    if view.paused:
        left = [Span(" PAUSED ", "badge-info"), Span(f" {_clock(view)}", "strong")]
    if view.position is not None:
        left = _played(view.position)
    if view.recording is not None and view.recording.active:
        left += [Span(" "), Span(f" REC {units.size(view.recording.size)} ", "badge-bad")]
    if snapshot.tracer.source != "bpftrace":
        left += [Span(" "), Span(f" {safe(snapshot.tracer.source, 20).upper()} ", "badge-warn")]
    left += [Span(f" {words.name_of(target)}", "strong")]
    processes = len(target.processes)
    extra = [f"{processes} process{'es' * (processes != 1)}"] if processes else []
    extra += [words.ports(target)] if target.ports else []
    if view.position is not None:
        extra = [f"{_time(view.position.start_ns)} to {_time(view.position.end_ns)}", *extra]
    right = line(*(_pinned(view.box, width) if view.box else _window(view)), *_rate(snapshot), Span(" "))
    while extra and line(*left, Span("".join(f" · {each}" for each in extra))).cells + right.cells + 1 > width:
        extra.pop()
    left += [Span(f" · {each}", "dim") for each in extra]
    return ends(line(*left), right, width, "chrome")


def _played(position: Position) -> list[Span]:
    """How a replay goes, and at which moment it is, in local time."""
    state: tuple[str, Role] = ("PLAYING", "badge-good")
    if position.at_end:
        state = ("END", "badge-warn")
    elif position.paused:
        state = ("PAUSED", "badge-info")
    speed = f" {position.speed:g}x" if position.speed != 1 and not position.paused and not position.at_end else ""
    spans = [Span(f" {state[0]} ", state[1]), Span(f" {_time(position.now_ns)}", "strong"), Span(speed)]
    return spans


def _time(unix_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(unix_ns / 1e9))


def _clock(view: View) -> str:
    """The moment at which the view stands still, in local time."""
    snapshot = view.snapshot
    ended = snapshot.histories[0].unix_ns[-1:] if snapshot.histories else ()
    return _time(ended[0] if ended else snapshot.unix_ns)


def _pinned(box: Box, width: int) -> list[Span]:
    said = box_words(box) if width >= 100 else when(box)
    return [Span(f" PIN {said} ", "badge-info"), Span(" Esc: all", "accent")]


def _window(view: View) -> list[Span]:
    window = view.snapshot.window
    there = units.span(window.span_s)
    if window.length_s is None:
        return [Span("window ", "dim"), Span(safe(window.label, 20), "strong"), Span(f", {there}", "dim")]
    filling = f"{there} of " if window.span_s < window.length_s * 0.95 else ""
    return [Span(f"window {filling}", "dim"), Span(safe(window.label, 20), "strong")]


def _rate(snapshot: Snapshot) -> list[Span]:
    shown = headline(snapshot)
    if shown is None:
        return []
    what = words.noun(shown.measure.name)
    per_s = units.rate(shown.summary.rate_per_s).removesuffix("/s")
    return [Span(" · ", "dim"), Span(per_s, "strong"), Span(f" {what}/s", "dim")]


def accounting(snapshot: Snapshot, width: int) -> Line:
    """What is missing, what was held back, and what we cost: always on screen."""
    account, overhead = snapshot.accounting, snapshot.overhead
    left = [Span(f" lost {account.lost:,}", "bad" if account.lost else "dim")]
    if account.rejected:
        left.append(Span(f" · rejected {account.rejected:,}", "bad"))
    if account.untracked:
        left.append(Span(f" · untracked {account.untracked:,}", "bad"))
    if account.unseen_ns:
        left.append(Span(f" · unseen {units.duration(account.unseen_ns)}", "bad"))
    if overhead.missed:
        left.append(Span(f" · missed {overhead.missed:,}", "warn"))
    stopped = [safe(script.name, 20) for script in snapshot.scripts if script.budget]
    if stopped:
        left.append(Span(f" · over budget, stopped: {', '.join(stopped)}", "warn"))
    produced, shown, held = (units.count(n) for n in (account.produced, account.shown, account.suppressed))
    events = (
        f" · events: {produced} counted = {shown} shown + {held} suppressed",
        f" · {produced} counted = {shown} shown + {held} suppressed",
        f" · {shown} of {produced} events shown",
        "",
    )
    cost = []
    if overhead.ns_per_hit is not None:
        cost.append(f"{units.duration(overhead.ns_per_hit)}/hit")
    if overhead.cpu_percent is not None:
        cost.append(f"{units.percent(overhead.cpu_percent / 100)} CPU")
    costs = (f"own cost {' · '.join(cost)} ", f"{' · '.join(cost)} ") if cost else ("own cost unknown ", "")
    for said, own in ((said, own) for said in events for own in costs):
        row, right = line(*left, Span(said, "dim")), line(Span(own, "warn" if snapshot.tracer.budget else "dim"))
        if row.cells + right.cells + 1 <= width:
            break
    return ends(row, right, width, "chrome")


def tabs(
    titles: Sequence[str], shorts: Sequence[str], front: int, width: int, off: Collection[int] = ()
) -> tuple[Line, list[int]]:
    """The panes with their keys, and the cell where each one ends (for the mouse); those that are ``off`` are dim.

    Where not all names have room, the front one keeps its own, then those that run, then the others.
    """
    for names, gap in ((titles, " "), (shorts, " "), (_some(shorts, front, width, off), "")):
        spans: list[Span] = []
        stops: list[int] = []
        for index, name in enumerate(names):
            text = f"{gap}{_key(index, len(names))}{' ' + name if name else ''} "
            spans.append(Span(text, "tab" if index == front else "dim" if index in off else ""))
            stops.append(sum(len(span.text) for span in spans))
        if stops[-1] <= width:
            break
    return fit(Line(tuple(spans)), width), stops


def _key(index: int, count: int) -> str:
    """The number key of a pane: ten have one, the last of them the last pane."""
    return str(index + 1) if index < 9 else "0" if index == count - 1 else "·"


def _some(shorts: Sequence[str], front: int, width: int, off: Collection[int]) -> list[str]:
    """As many names as have room, the others empty."""
    names = [""] * len(shorts)
    room = width - 2 * len(shorts)
    ranked = sorted(range(len(shorts)), key=lambda each: (each != front, each in off, each))
    for each in ranked:
        if len(shorts[each]) + 1 <= room:
            names[each] = shorts[each]
            room -= len(shorts[each]) + 1
    return names


def keys_line(keys: Sequence[tuple[str, str]], width: int) -> tuple[Line, list[tuple[int, int]]]:
    """``q Quit  ? Help``: the keys that fit, and (cell, position) where each one starts."""
    spans: list[Span] = []
    starts: list[tuple[int, int]] = []
    at = 0
    for index, (key, what) in enumerate(keys):
        text = f" {key} {what} "
        if at + len(text) > width:
            continue
        starts.append((at, index))
        spans += [Span(f" {key}", "accent"), Span(f" {what} ", "dim")]
        at += len(text)
    return fit(Line(tuple(spans), "chrome"), width), starts


def _importance(active: ActiveBinding) -> int:
    """Where there is little room: how to leave, the help and the pause; then the keys of the pane; then all others."""
    if active.binding.action in ("app.leave", "help", "pause"):
        return 0
    return 1 if isinstance(active.node, Canvas) else 2


class ViewRow(Canvas):
    """A row that follows the view."""

    view: View | None = None

    def show(self, view: View) -> None:
        """Draw this view."""
        self.view = view
        self.redraw()


class Status(ViewRow):
    """The first row."""

    def lines(self, width: int, height: int) -> list[Line]:
        """State, target, window, rate."""
        return [status(self.view, width)] if self.view else []


class Accounts(ViewRow):
    """The row above the keys."""

    def lines(self, width: int, height: int) -> list[Line]:
        """Losses and own cost."""
        return [accounting(self.view.snapshot, width)] if self.view else []


class Tabs(Canvas):
    """The row of panes."""

    def __init__(self, titles: Sequence[str], shorts: Sequence[str]) -> None:
        super().__init__(id="tabs")
        self.titles, self.shorts = titles, shorts
        self.front = 0
        self.off: Collection[int] = ()
        """The panes whose scripts do not run."""
        self._stops: list[int] = []

    def lines(self, width: int, height: int) -> list[Line]:
        """All panes, the front one marked."""
        row, self._stops = tabs(self.titles, self.shorts, self.front, width, self.off)
        return [row]

    async def on_click(self, event: events.Click) -> None:
        """A pane's name opens it."""
        for index, stop in enumerate(self._stops):
            if event.x < stop:
                await self.run_action(f"screen.pane({index})")
                return


class Keys(Canvas):
    """The last row: the keys of the moment, made from the bindings in force."""

    _starts: list[tuple[int, int]]

    def on_mount(self) -> None:
        """Bindings change with the pane in front."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self.redraw())

    def lines(self, width: int, height: int) -> list[Line]:
        """The keys that are to be shown, in the order of their bindings."""
        row, self._starts = keys_line([(key, what) for key, what, _ in self._shown()], width)
        return [row]

    def _shown(self) -> list[tuple[str, str, str]]:
        out: list[tuple[str, str, str]] = []
        ranked = sorted(self.screen.active_bindings.values(), key=_importance)
        for active in ranked:
            binding = active.binding
            if binding.show and active.enabled and binding.action not in (action for _, _, action in out):
                out.append((self.app.get_key_display(binding), binding.description, binding.action))
        return out

    async def on_click(self, event: events.Click) -> None:
        """A key's name does what the key does."""
        shown = self._shown()
        for start, index in reversed(self._starts):
            if event.x >= start:
                node = next(a.node for a in self.screen.active_bindings.values() if a.binding.action == shown[index][2])
                await self.app.run_action(shown[index][2], node)
                return
