"""The screen of a run: state, tabs, one body that draws the tab in front, account, keys."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from bpftop.anyscript.model import RunSnapshot
from bpftop.ui.anyscript import frame
from bpftop.ui.anyscript.body import Body
from bpftop.ui.anyscript.help import about
from bpftop.ui.anyscript.look import Look, Tab, tabs_of
from bpftop.ui.canvas import Canvas
from bpftop.ui.chrome import Keys, Tabs
from bpftop.ui.framed import Framed, TooSmall
from bpftop.ui.help import Help, HelpText
from bpftop.ui.options import UiOptions
from bpftop.ui.paint import Line
from bpftop.ui.safe import safe

if TYPE_CHECKING:
    from bpftop.ui.anyscript.app import RunApp


class LookRow(Canvas):
    """A row that follows the look."""

    look: Look | None = None

    def show(self, look: Look) -> None:
        """Draw this look."""
        self.look = look
        self.redraw()


class RunStatus(LookRow):
    """The first row."""

    def lines(self, width: int, height: int) -> list[Line]:
        """State and program."""
        return [frame.status(self.look, width)] if self.look else []


class RunAccount(LookRow):
    """The row above the keys."""

    def lines(self, width: int, height: int) -> list[Line]:
        """Losses and own cost."""
        return [frame.account(self.look.snapshot, width)] if self.look else []


class RunScreen(Framed, inherit_bindings=False):
    """Keeps what the user chose; the body draws it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.leave", "Quit", tooltip="end the program and see its last maps; when it has ended: quit"),
        Binding("question_mark,f1", "help", "Help", key_display="?", tooltip="this help"),
        Binding("p,space", "pause", "Pause", tooltip="freeze the screen; the program goes on"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="only rows and lines with these words"),
        Binding("e", "save", "Save CSV", tooltip="save maps and log as CSV files"),
        *[
            Binding(str(number), f"pane({number - 1})", f"Tab {number}", show=False, tooltip=f"open tab {number}")
            for number in range(1, 10)
        ],
        Binding("tab", "next_pane(1)", "Next tab", show=False, tooltip="next tab"),
        Binding("shift+tab", "next_pane(-1)", "Previous tab", show=False, tooltip="previous tab"),
        *Framed.COMMON,
    ]
    CSS = """
    RunScreen { layout: vertical; background: $background; }
    RunScreen RunStatus, RunScreen Tabs, RunScreen RunAccount, RunScreen Keys { height: 1; }
    RunScreen Body { height: 1fr; width: 100%; padding: 0 1; }
    RunScreen Input { display: none; height: 1; border: none; padding: 0 1; }
    RunScreen Input:focus { border: none; }
    RunScreen.-filtering Input { display: block; }
    RunScreen TooSmall { display: none; height: 100%; }
    RunScreen.-small TooSmall { display: block; }
    RunScreen.-small RunStatus, RunScreen.-small Tabs, RunScreen.-small RunAccount, RunScreen.-small Keys,
    RunScreen.-small Body, RunScreen.-small Input { display: none; }
    """
    AUTO_FOCUS = "Body"

    def __init__(self, options: UiOptions, first: RunSnapshot) -> None:
        super().__init__(options.refresh_s)
        self.look = Look(first)
        self.all_tabs = tabs_of(first)
        self.front = self.all_tabs[0]
        # Held here and not looked up: a timer may still fire while the screen is being taken down.
        self.status, self.account, self.body = RunStatus(), RunAccount(), Body()
        self.tabs = Tabs(*self._titles())
        self.input = Input(placeholder="words to look for; Enter keeps them, Esc shows all again", id="filter")

    @property
    def bpftop(self) -> RunApp:
        """The app, by its own type."""
        return cast("RunApp", self.app)

    def compose(self) -> ComposeResult:
        """Top down."""
        yield self.status
        yield self.tabs
        yield self.body
        yield self.input
        yield self.account
        yield Keys()
        yield TooSmall()

    def on_mount(self) -> None:
        """Show what there is at once."""
        self.show()

    def focus_middle(self) -> None:
        """Give the keys to what is in front."""
        self.body.focus()

    def take(self, snapshot: RunSnapshot) -> None:
        """A new snapshot; while paused the old one stays."""
        if not self.look.paused:
            self.look = replace(self.look, snapshot=snapshot)
            self.show()

    def show(self) -> None:
        """Draw the look: the rows around, and the tab in front."""
        found = tabs_of(self.look.snapshot)
        self.all_tabs = found
        self.tabs.titles, self.tabs.shorts = self._titles()
        if self.front not in self.all_tabs:
            self.front = self.all_tabs[0]
        self.tabs.front = self.all_tabs.index(self.front)
        self.tabs.redraw()
        self.status.show(self.look)
        self.account.show(self.look)
        self.body.show(self.look, self.front)

    def _titles(self) -> tuple[list[str], list[str]]:
        """The names in full, and as long as they fit beside each other."""
        names = [each.title for each in self.all_tabs]
        room = self.size.width or 80
        fits = (size for size in range(20, 3, -1) if sum(min(len(each), size) + 5 for each in names) <= room)
        size = next(fits, 4)
        return [safe(name, 20) for name in names], [safe(name, size) for name in names]

    def open(self, tab: Tab) -> None:
        """Bring a tab to the front."""
        self.front = tab
        self.show()
        self.refresh_bindings()

    def action_pane(self, index: int) -> None:
        """The tab of a number key."""
        if index < len(self.all_tabs):
            self.open(self.all_tabs[index])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A number key without a tab is not offered."""
        return action != "pane" or parameters[0] in range(len(self.all_tabs))

    def action_next_pane(self, step: int) -> None:
        """The tab to the right or left."""
        self.open(self.all_tabs[(self.all_tabs.index(self.front) + step) % len(self.all_tabs)])

    def action_pause(self) -> None:
        """Freeze or go on."""
        self.pause(not self.look.paused)

    def pause(self, paused: bool) -> None:
        """Freeze (True) or go on (False)."""
        self.look = replace(self.look, paused=paused)
        if paused:
            self.show()
        else:
            self.bpftop.poll()

    def action_log_counts(self) -> None:
        """Bars on a log or linear scale."""
        self.look = replace(self.look, log_counts=not self.look.log_counts)
        self.show()

    def action_filter(self) -> None:
        """Ask for words."""
        self.add_class("-filtering")
        self.input.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        self.look = replace(self.look, filter=event.value)
        self.show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the words, and their row as long as there are any."""
        self.set_class(bool(event.value), "-filtering")
        self.body.focus()

    def end_filter(self) -> None:
        """Everything is shown again."""
        self.input.value = ""
        self.remove_class("-filtering")
        self.body.focus()

    def on_key(self, event: events.Key) -> None:
        """Esc leaves the filter."""
        if event.key == "escape" and self.has_class("-filtering"):
            event.stop()
            self.end_filter()

    def action_save(self) -> None:
        """Save what is on the screen."""
        self.bpftop.save_run(self.look.snapshot)

    def action_help(self) -> None:
        """Explain the tab in front."""
        named = {f"pane({index})": f"open {safe(tab.title, 30)}" for index, tab in enumerate(self.all_tabs)}
        self.app.push_screen(Help(HelpText(self.front.title, about(self.front), (), self.key_help(named))))
