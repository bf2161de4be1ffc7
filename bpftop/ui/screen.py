"""The one screen: rows around a stack of panes, and the keys."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.widgets import ContentSwitcher

from bpftop.model import Snapshot
from bpftop.stats.clause import Place
from bpftop.stats.findings import Verdict
from bpftop.ui.baseline import baseline_of_run
from bpftop.ui.chrome import Accounts, Keys, Status
from bpftop.ui.filterbar import FilterBar
from bpftop.ui.filters import Filterable
from bpftop.ui.framed import Framed, TooSmall
from bpftop.ui.going import go_to
from bpftop.ui.help import AROUND, Help, HelpText
from bpftop.ui.opening import Opening
from bpftop.ui.options import WINDOWS_S, Position, RecordingState, UiOptions
from bpftop.ui.panes.overview import Overview
from bpftop.ui.prompt import Prompt
from bpftop.ui.safe import safe
from bpftop.ui.stoodout import before, rows
from bpftop.ui.view import Baseline, Box, View


class MainScreen(Opening, inherit_bindings=False):
    """Status, tabs, pane, accounting, keys. Keeps what the user chose; gives each view to the pane in front only."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.leave", "Quit", tooltip="quit"),
        Binding("question_mark,f1", "help", "Help", key_display="?", tooltip="this help"),
        *Opening.TIME_KEYS,
        Binding("plus,equals_sign", "window(1)", "Window", key_display="+/-", tooltip="longer window"),
        Binding("minus", "window(-1)", "Shorter window", show=False, tooltip="shorter window"),
        Binding("e", "save", "Save CSV", tooltip="save what is shown as CSV files"),
        Binding("E", "bundle", "Save incident", show=False, tooltip="save a folder: summary to paste, CSV, the screen"),
        Binding("R", "record", "Record", show=False, tooltip="record, from ten minutes ago on; again: end it"),
        Binding("escape", "unpin", "No filter", show=False, tooltip="take the filter back"),
        Binding(
            "b", "baseline", "Baseline", show=False, tooltip="keep these figures to compare with; again: forget them"
        ),
        *Opening.PANE_KEYS,
        Binding(
            "colon", "prompt", "Go to", show=False, key_display=":", tooltip="go by name: pane, measure, client, time"
        ),
        *Framed.COMMON,
    ]
    CSS = """
    MainScreen { layout: vertical; background: $background; }
    MainScreen Status, MainScreen Tabs, MainScreen Accounts, MainScreen Keys { height: 1; }
    MainScreen ContentSwitcher { height: 1fr; }
    MainScreen ContentSwitcher Pane { height: 100%; width: 100%; padding: 0 1; }
    MainScreen TooSmall { display: none; height: 100%; }
    MainScreen.-small TooSmall { display: block; }
    MainScreen.-small Status, MainScreen.-small Tabs, MainScreen.-small Accounts, MainScreen.-small Keys,
    MainScreen.-small ContentSwitcher { display: none; }
    """
    AUTO_FOCUS = "Pane"

    def __init__(self, options: UiOptions, first: Snapshot) -> None:
        super().__init__(options.refresh_s, first)
        kept = baseline_of_run(options.baseline) if options.baseline else None
        self.view = View(first, window_s=options.window_s, banner=options.banner, absent=options.absent, baseline=kept)
        # Held here and not looked up: a timer may still fire while the screen is being taken down.
        self.status, self.accounts = Status(), Accounts()
        self.windows = sorted({*WINDOWS_S, options.window_s}, key=lambda each: each or float("inf"))

    def compose(self) -> ComposeResult:
        """Top down."""
        yield self.status
        yield self.tabs
        with ContentSwitcher(initial=self.panes[0].id):
            yield from self.panes
            yield self.drilled
        yield self.accounts
        yield Keys()
        yield TooSmall()

    def on_mount(self) -> None:
        """Show what there is at once."""
        self.fit_panes()
        self.show()

    def take(
        self, snapshot: Snapshot, position: Position | None = None, recording: RecordingState | None = None
    ) -> None:
        """A new snapshot; while paused the old one stays."""
        if not self.view.paused:
            self.view = replace(self.view.moved(snapshot), snapshot=snapshot, position=position, recording=recording)
            verdict = self.verdict()  # whatever pane is in front: what was said before decides what stays said
            self.episodes.take(snapshot, verdict)
            self.view = replace(self.view, before=before(self.episodes.episodes, snapshot.unix_ns))
            self.fit_panes()
            self.show()

    def hear(self, snapshot: Snapshot) -> None:
        """A snapshot that is not shown because the screen stands still: what stands out meanwhile is kept."""
        self.episodes.look(snapshot)

    def verdict(self) -> Verdict:
        """What the overview says, or would say, of the snapshot on the screen."""
        return next(each for each in self.panes if isinstance(each, Overview)).judge(self.view.snapshot)

    def show(self) -> None:
        """Draw the view: the rows around, and the pane in front."""
        self.status.show(self.view)
        self.accounts.show(self.view)
        self.show_pane()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that does nothing here is not in the help: the speed of what is live."""
        known = {"speed": self.player is not None, "record": self.bpftop.can_record, "reset": self.player is None}
        return known[action] if action in known else super().check_action(action, parameters)

    def action_window(self, step: int) -> None:
        """A longer (1) or shorter (-1) window."""
        place = min(max(self.windows.index(self.view.window_s) + step, 0), len(self.windows) - 1)
        self.use_window(self.windows[place])

    def use_window(self, window_s: float | None) -> None:
        """Figures over this time from now on."""
        self.view = replace(self.view, window_s=window_s)
        self.redo()

    def action_prompt(self) -> None:
        """Ask where to go."""
        from bpftop.ui.ways import ways  # knows the panes

        bound = tuple(self.active_bindings.values())  # in the line letters are letters, not keys of actions
        self.mount(Prompt(partial(ways, self, bound), self.focus_middle), before=self.accounts)

    def run_later(self, action: str, node: DOMNode) -> None:
        """Do what a key does, when the line in which it was named is gone."""
        self.call_after_refresh(partial(self.app.run_action, action, node))

    def action_next_measure(self, step: int = 1) -> None:
        """Choose another measure that the pane in front can be about."""
        pane, measures = self.in_front, self.view.snapshot.measures
        names = [name for name, each in measures.items() if pane.accepts(each.measure)]
        if not names or self.view.shown is None:
            return
        current = self.view.shown.measure.name
        place = names.index(current) if current in names else -1 if step > 0 else 0
        self.view = replace(self.view, measure=names[(place + step) % len(names)])
        self.show()

    def use_measure(self, name: str) -> None:
        """Mark this measure in all panes that can be about it."""
        self.view = replace(self.view, measure=name)
        self.show()

    def pin(self, box: Box | None) -> None:
        """All panes show only this piece of the heat map; None shows all again."""
        self.view = replace(self.view, box=box)
        self.show()

    def go_to(self, place: Place) -> None:
        """Open the pane that a clause of the verdict speaks of."""
        go_to(self, place)

    def action_baseline(self) -> None:
        """Keep the figures of this window to compare with, or forget them."""
        snapshot = self.view.snapshot
        if self.view.baseline is not None:
            self.view = replace(self.view, baseline=None)
            self.notify("no baseline any more", timeout=3)
        elif self.view.empty:
            self.notify("nothing to keep as a baseline yet", timeout=3)
        else:
            kept = Baseline(snapshot.unix_ns, snapshot.window.label, snapshot.measures, snapshot)
            self.view = replace(self.view, baseline=kept)
            self.notify(f"baseline: the last {safe(snapshot.window.label, 20)}; Latency shows the change", timeout=4)
        self.show()

    def action_filter(self) -> None:
        """Ask for the words of a filter for the pane in front."""
        pane = self.in_front
        if isinstance(pane, Filterable):
            self.mount(FilterBar(pane), before=self.accounts)

    def action_unpin(self) -> None:
        """Esc: no filter; first the one of the pane, then the one of the heat map."""
        pane = self.in_front
        if isinstance(pane, Filterable) and pane.filter.terms:
            pane.refilter("")
        elif self.view.box is not None:
            self.pin(None)

    def action_log_counts(self) -> None:
        """Bars on a log or linear scale."""
        self.view = replace(self.view, log_counts=not self.view.log_counts)
        self.show()

    def action_curve(self) -> None:
        """The cumulative curve over the bars, or not."""
        self.view = replace(self.view, curve=not self.view.curve)
        self.show()

    def action_record(self) -> None:
        """Begin a recording, or end it."""
        self.bpftop.record()

    def action_save(self) -> None:
        """Save what the pane in front is about: the pinned seconds where it shows only these."""
        self.bpftop.save_snapshot(self.given(self.in_front).snapshot)

    def action_bundle(self) -> None:
        """Save everything about this moment in one folder."""
        self.bpftop.save_incident(self.view.snapshot, self.verdict(), rows(self.episodes.episodes))

    def action_help(self) -> None:
        """Explain the pane in front."""
        named = {f"pane({index})": f"open {pane.TITLE}" for index, pane in enumerate(self.panes)}
        pane = self.in_front
        text = HelpText(pane.TITLE, pane.ABOUT, pane.explained(self.view), self.key_help(named), AROUND)
        self.app.push_screen(Help(text))
