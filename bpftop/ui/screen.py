"""The one screen: rows around a stack of panes, and the keys."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher

from bpftop.model import ScriptStatus, Snapshot, State
from bpftop.ui.chrome import Accounts, Keys, Status, Tabs
from bpftop.ui.filterbar import FilterBar
from bpftop.ui.framed import Framed, TooSmall
from bpftop.ui.help import Help, HelpText
from bpftop.ui.options import WINDOWS_S, UiOptions
from bpftop.ui.panes.base import Pane
from bpftop.ui.panes.drill import Drill
from bpftop.ui.panes.lists import ListPane
from bpftop.ui.panes.registry import own_pane, panes_for, with_panes
from bpftop.ui.pin import Pin
from bpftop.ui.scrub import Scrubbing
from bpftop.ui.subject import Subject
from bpftop.ui.view import Baseline, Box, View


class MainScreen(Scrubbing, inherit_bindings=False):
    """Status, tabs, pane, accounting, keys. Keeps what the user chose; gives each view to the pane in front only."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.leave", "Quit", tooltip="quit"),
        Binding("question_mark,f1", "help", "Help", key_display="?", tooltip="this help"),
        *Scrubbing.TIME_KEYS,
        Binding("plus,equals_sign", "window(1)", "Window", key_display="+/-", tooltip="longer window"),
        Binding("minus", "window(-1)", "Shorter window", show=False, tooltip="shorter window"),
        Binding("e", "save", "Save CSV", tooltip="save what is shown as CSV files"),
        *[Binding(str(n), f"pane({n - 1})", f"Pane {n}", show=False, tooltip=f"open pane {n}") for n in range(1, 10)],
        Binding("escape", "unpin", "No filter", show=False, tooltip="take the filter back"),
        Binding(
            "b", "baseline", "Baseline", show=False, tooltip="keep these figures to compare with; again: forget them"
        ),
        Binding("tab", "next_pane(1)", "Next pane", show=False, tooltip="next pane"),
        Binding("shift+tab", "next_pane(-1)", "Previous pane", show=False, tooltip="previous pane"),
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
        super().__init__(options.refresh_s)
        self.view = View(first, window_s=options.window_s, banner=options.banner, absent=options.absent)
        self.front = 0
        # Held here and not looked up: a timer may still fire while the screen is being taken down.
        self.status, self.accounts = Status(), Accounts()
        self.panes = panes_for(first)
        self._pin = Pin()
        self.drilled = Drill()
        self.tabs = Tabs([pane.TITLE for pane in self.panes], [pane.SHORT for pane in self.panes])
        self._windows = sorted({*WINDOWS_S, options.window_s}, key=lambda each: each or float("inf"))

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
        self.show()

    def focus_middle(self) -> None:
        """Give the keys to what is in front."""
        self.in_front.focus()

    @property
    def in_front(self) -> Pane:
        """What is shown in the middle: the pane of a tab, or one of its rows alone."""
        return self.drilled if self.drilled.subject is not None else self.panes[self.front]

    def take(self, snapshot: Snapshot) -> None:
        """A new snapshot; while paused the old one stays."""
        if not self.view.paused:
            self.view = replace(self.view, snapshot=snapshot)
            self._fit_panes()
            self.show()

    def _fit_panes(self) -> None:
        """A pane for each script that was started meanwhile, none for those that were stopped."""
        wanted = {f"script-{script.name}": script for script in with_panes(self.view.snapshot)}
        there = {pane.id: pane for pane in self.panes if (pane.id or "").startswith("script-")}
        if wanted.keys() == there.keys():
            return
        front = self.panes[self.front]
        switcher = self.query_one(ContentSwitcher)
        for name, script in wanted.items():
            if name not in there:
                pane = own_pane(script)
                pane.display = False
                self.panes.insert(-1, pane)
                switcher.mount(pane)
        for pane in there.values():
            if pane.id not in wanted:
                self.panes.remove(pane)
                pane.remove()
        self.tabs.titles, self.tabs.shorts = [pane.TITLE for pane in self.panes], [pane.SHORT for pane in self.panes]
        self.action_pane(self.panes.index(front) if front in self.panes else len(self.panes) - 1)

    def start_script(self, script: ScriptStatus) -> None:
        """Start a script that is off; open the pane of one that runs."""
        if script.state is State.OFF:
            self.bpftop.start_script(script)
            return
        place = next((i for i, pane in enumerate(self.panes) if pane.id == f"script-{script.name}"), None)
        if place is not None:
            self.action_pane(place)

    def stop_script(self, script: ScriptStatus) -> None:
        """Stop a script that was started from the screen."""
        self.bpftop.stop_script(script)

    def show(self) -> None:
        """Draw the view: the rows around, and the pane in front."""
        self.status.show(self.view)
        self.accounts.show(self.view)
        self._show_pane()

    def _show_pane(self) -> None:
        pane = self.in_front
        pane.show(self.view if pane.WHOLE else self._pin.cut(self.view))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A number key beyond the last pane does nothing and is not in the help."""
        return action != "pane" or int(str(parameters[0])) < len(self.panes)

    def action_pane(self, index: int) -> None:
        """Bring a pane to the front."""
        self.front, self.drilled.subject = index, None
        self.tabs.front = index
        self.tabs.redraw()
        self._turn()

    def _turn(self) -> None:
        """Show what is to be in front now."""
        pane = self.in_front
        self.query_one(ContentSwitcher).current = pane.id
        pane.focus()
        self._show_pane()

    def drill(self, subject: Subject) -> None:
        """Show one row of the pane in front alone."""
        self.drilled.look_at(subject, self.panes[self.front].TITLE)
        self._turn()

    def action_undrill(self) -> None:
        """From a row back to its table."""
        self.drilled.subject = None
        self._turn()

    def action_next_pane(self, step: int) -> None:
        """The pane to the right or left."""
        self.action_pane((self.front + step) % len(self.panes))

    def action_window(self, step: int) -> None:
        """A longer (1) or shorter (-1) window."""
        place = min(max(self._windows.index(self.view.window_s) + step, 0), len(self._windows) - 1)
        self.view = replace(self.view, window_s=self._windows[place])
        self.redo()

    def action_next_measure(self, step: int = 1) -> None:
        """Choose another measure that the pane in front can be about."""
        pane, measures = self.panes[self.front], self.view.snapshot.measures
        names = [name for name, each in measures.items() if pane.accepts(each.measure)]
        if not names or self.view.shown is None:
            return
        current = self.view.shown.measure.name
        place = names.index(current) if current in names else -1 if step > 0 else 0
        self.view = replace(self.view, measure=names[(place + step) % len(names)])
        self.show()

    def pin(self, box: Box | None) -> None:
        """All panes show only this piece of the heat map; None shows all again."""
        self.view = replace(self.view, box=box)
        self.show()

    def action_baseline(self) -> None:
        """Keep the figures of this window to compare with, or forget them."""
        snapshot = self.view.snapshot
        if self.view.baseline is not None:
            self.view = replace(self.view, baseline=None)
            self.notify("no baseline any more", timeout=3)
        elif self.view.empty:
            self.notify("nothing to keep as a baseline yet", timeout=3)
        else:
            kept = Baseline(snapshot.unix_ns, snapshot.window.label, snapshot.measures)
            self.view = replace(self.view, baseline=kept)
            self.notify(f"baseline: the last {snapshot.window.label}; Latency shows the change", timeout=4)
        self.show()

    def action_filter(self) -> None:
        """Ask for the words of a filter for the pane in front."""
        pane = self.in_front
        if isinstance(pane, ListPane):
            self.mount(FilterBar(pane), before=self.accounts)

    def action_unpin(self) -> None:
        """Esc: no filter; first the one of the pane, then the one of the heat map."""
        pane = self.in_front
        if isinstance(pane, ListPane) and pane.filter.terms:
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

    def action_save(self) -> None:
        """Save the snapshot on the screen."""
        self.bpftop.save_snapshot(self.view.snapshot)

    def action_help(self) -> None:
        """Explain the pane in front."""
        named = {f"pane({index})": f"open {pane.TITLE}" for index, pane in enumerate(self.panes)}
        pane = self.in_front
        self.app.push_screen(Help(HelpText(pane.TITLE, pane.ABOUT, pane.explained(self.view), self.key_help(named))))
