"""What is running in the kernel, what it costs, and whether anything is missing."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from bpftop import units
from bpftop.model import Accounting, ScriptStatus, Snapshot, State
from bpftop.ui.paint import EMPTY, Line, Role, Span, fit, joined, line, pad, wrapped
from bpftop.ui.panes.base import Pane
from bpftop.ui.safe import safe
from bpftop.ui.table import Column, table
from bpftop.ui.view import View

STATE_ROLES: dict[State, Role] = {
    State.WAITING: "accent",
    State.ATTACHING: "accent",
    State.LIVE: "good",
    State.STALLED: "warn",
    State.STOPPED: "dim",
    State.FAILED: "bad",
    State.OFF: "dim",
}
_BELOW = 14
"""Rows that tracer, cost and accounting need."""
_LOW = 6
"""Rows that tracer and cost need."""
_TOLD = 5
"""Rows for all words about the script under the cursor."""
_COLUMNS: list[Column[ScriptStatus]] = [
    Column("Script", 14, lambda row: Span(safe(row.name, 30), "strong"), left=True, grow=6),
    Column("State", 9, lambda row: Span(row.state.value, "warn" if row.budget else STATE_ROLES[row.state]), left=True),
    Column("Probes", 6, lambda row: str(row.probes) if row.probes else Span("–", "dim")),
    Column("What it measures", 20, lambda row: safe(row.detail or row.title), left=True, grow=200),
]


class Scripts(Pane):
    """Scripts, tracer, accounting, own cost, stderr."""

    TITLE = "Scripts"
    SHORT = "Scripts"
    WHOLE = True
    ABOUT = (
        "The bpftrace scripts that produce the figures, the process that runs them, what they cost the machine and "
        "whether anything was lost. Counts and percentiles are counted in the kernel and lose nothing; only single "
        "requests (pane 5) travel one by one and can be held back or lost."
    )
    NEEDS_FIGURES = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Start", tooltip="start the script under the cursor, or open its pane"),
        Binding("x", "stop", "Stop", tooltip="stop the script under the cursor, if it was started here"),
        Binding("o", "free", "Over budget", tooltip="start a script that was stopped by --budget, whatever it costs"),
        Binding("up,k", "move(-1)", "Up", show=False, tooltip="one row up"),
        Binding("down,j", "move(1)", "Down", show=False, tooltip="one row down"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.cursor = 0
        self._listed = (0, 0, 0)
        """The row on the screen of the first script that is listed, its place, and how many are listed."""
        self._name = ""
        """Of the script under the cursor, once it was moved."""

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        count = len(self.view.snapshot.scripts) if self.view else 0
        self._follow()
        self.cursor = min(max(self.cursor + rows, 0), max(count - 1, 0))
        self._name = self.view.snapshot.scripts[self.cursor].name if self.view and count else ""
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """A row takes the cursor, a double click starts it or opens its pane."""
        first, top, room = self._listed
        if first <= event.y < first + room:
            self.action_move(top + event.y - first - self.cursor)
            if event.chain == 2:
                self.action_start()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        self.action_move(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the cursor."""
        self.action_move(-1)

    def _follow(self) -> None:
        """The cursor stays with its script: those that start or stop change their places."""
        names = [each.name for each in self.view.snapshot.scripts] if self.view else []
        if self._name in names:
            self.cursor = names.index(self._name)

    def _chosen(self) -> ScriptStatus | None:
        self._follow()
        scripts = self.view.snapshot.scripts if self.view else ()
        return scripts[min(self.cursor, len(scripts) - 1)] if scripts else None

    def action_start(self) -> None:
        """Start it; when it runs, open its pane."""
        chosen = self._chosen()
        if chosen is not None:
            self.screen.start_script(chosen)  # type: ignore[attr-defined]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what was stopped by the budget can be let go over it."""
        return action != "free" or any(script.budget for script in (self.view.snapshot.scripts if self.view else ()))

    def action_free(self) -> None:
        """Start it anew, whatever it costs."""
        chosen = self._chosen()
        if chosen is not None and chosen.budget:
            self.screen.start_script(chosen, True)  # type: ignore[attr-defined]

    def action_stop(self) -> None:
        """Stop it."""
        chosen = self._chosen()
        if chosen is not None:
            self.screen.stop_script(chosen)  # type: ignore[attr-defined]

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """From the most to the least asked for."""
        snapshot = view.snapshot
        count = len(snapshot.scripts)
        low = height < _BELOW + 2
        self._follow()
        self.cursor = min(self.cursor, max(count - 1, 0))
        room = min(max(height - (_LOW if low else _BELOW) - 1, 1 if low else 3), count)
        top = min(max(self.cursor - room + 1, 0), count - room) if count else 0
        cursor = self.cursor - top if count > 1 else None
        self._listed = self.size.height - height + 1, top, room
        lines = table(_COLUMNS, snapshot.scripts[top : top + room], width, cursor=cursor)
        if room < count:
            hidden = f"rows {top + 1}–{top + room} of {count}"
            lines.append(line(Span(hidden, "dim")))
        chosen = self._chosen()
        if chosen is not None and height >= _BELOW + room + _TOLD:
            lines += [EMPTY, *_told(chosen, width)[: _TOLD - 1]]
        if low:  # the accounts are in the row below
            return lines + tracer_lines(snapshot, width) + cost_lines(snapshot, width)
        lines += [EMPTY, *tracer_lines(snapshot, width), EMPTY, *cost_lines(snapshot, width)]
        lines += [EMPTY, *accounting_lines(snapshot.accounting, width)]
        stderr = snapshot.tracer.stderr
        room = height - len(lines) - 2
        if stderr and room > 0:
            lines += [EMPTY, line(Span("bpftrace said on stderr, the newest last", "head"))]
            lines += [line(Span(safe(text, width))) for text in stderr[-room:]]
        return lines


def _told(script: ScriptStatus, width: int) -> list[Line]:
    """The script under the cursor, with nothing cut off, and what it takes from a busy server."""
    detail = script.detail or script.summary or script.title
    rows = [*wrapped(safe(detail, 400), width - 12)]
    if script.cost and script.cost not in detail:
        rows += wrapped(f"costs {safe(script.cost, 300)}", width - 12, "warn")
    return _labelled(safe(script.name, 11), rows, width)


def tracer_lines(snapshot: Snapshot, width: int) -> list[Line]:
    """Where the figures come from."""
    tracer = snapshot.tracer
    clauses = [[Span(tracer.state.value, STATE_ROLES[tracer.state])]]
    source = (
        safe(tracer.source, 20)
        if tracer.source != "bpftrace"
        else f"bpftrace {safe(snapshot.bpftrace_version)}".strip()
    )
    clauses.append([Span(source, "" if tracer.source == "bpftrace" else "warn")])
    if snapshot.kernel:
        clauses.append([Span(f"Linux {safe(snapshot.kernel, 40)}")])
    if tracer.restarts:
        clauses.append([Span(f"restarted {tracer.restarts} times", "warn")])
    if unseen_ns := snapshot.accounting.unseen_ns:
        clauses.append([Span(f"no counts of {units.duration(unseen_ns)}", "bad")])
    if tracer.exit_code is not None:
        clauses.append([Span(f"exit code {tracer.exit_code}", "bad")])
    if tracer.detail:
        clauses.append([Span(safe(tracer.detail), "dim")])
    lines = _labelled("Tracer", joined(clauses, width - 12), width)
    if tracer.rights:
        lines += _labelled("Runs", wrapped(safe(tracer.rights, 400), width - 12, "dim"), width)
    return lines


def cost_lines(snapshot: Snapshot, width: int) -> list[Line]:
    """The cost of the probes, and what is over its budget."""
    overhead, missed = snapshot.overhead, snapshot.missed
    over = [line for said in snapshot.over_budget for line in wrapped(safe(said, 300), width - 12, "warn")]
    if overhead.ns_per_hit is None and overhead.cpu_percent is None:
        unknown = line(Span("the kernel does not tell (BPF statistics are off)", "dim"))
        return _labelled("Own cost", [unknown, *over], width)
    clauses = []
    if overhead.ns_per_hit is not None:
        clauses.append([Span(f"{units.duration(overhead.ns_per_hit)} a hit")])
    if overhead.hits_per_s is not None:
        clauses.append([Span(f"{units.count(overhead.hits_per_s)} hits/s")])
    if overhead.cpu_percent is not None:
        clauses.append([Span(f"{units.percent(overhead.cpu_percent / 100)} of one CPU")])
    if overhead.missed:
        clauses.append([Span(f"missed {overhead.missed:,} hits: the kernel ran other BPF work on that CPU", "warn")])
    if missed is None:
        clauses.append([Span("missed: unknown before Linux 6.7", "dim")])
    return _labelled("Own cost", [*joined(clauses, width - 12), *over], width)


def accounting_lines(accounting: Accounting, width: int) -> list[Line]:
    """Where every single request went."""
    rows: list[tuple[str, int, str, Role]] = [
        ("produced", accounting.produced, "requests counted in the kernel", "strong"),
        ("= shown", accounting.shown, "sent one by one and received", ""),
        ("+ suppressed", accounting.suppressed, "counted, held back below the threshold", ""),
        ("+ lost", accounting.lost, "sent and never arrived", "bad" if accounting.lost else ""),
        ("+ rejected", accounting.rejected, "arrived and not readable", "bad" if accounting.rejected else ""),
    ]
    open_ = accounting.produced - accounting.shown - accounting.suppressed - accounting.lost - accounting.rejected
    if open_:
        rows.append(("+ on the way", open_, "not settled at this moment", "dim"))
    size = max(len(f"{accounting.produced:,}"), 5)
    lines = [
        line(Span(pad(label, 14, left=True)), Span(pad(f"{n:,}", size), role), Span(f"  {what}", "dim"))
        for label, n, what, role in rows
    ]
    untracked = accounting.untracked
    if untracked:
        said = f"{untracked:,} connections found the kernel's table full: their requests are in no figure"
        lines += wrapped(said, width - 12, "bad")
    else:
        lines.append(line(Span(pad("untracked", 14, left=True)), Span(pad("0", size)), Span("  connections", "dim")))
    return _labelled("Events", lines, width)


def _labelled(label: str, lines: list[Line], width: int) -> list[Line]:
    labels = [label] + [""] * (len(lines) - 1)
    return [
        fit(Line((Span(pad(word, 12, left=True), "head"), *row.spans)), width)
        for word, row in zip(labels, lines, strict=True)
    ]
