"""The one widget that draws whatever tab is in front, and the keys that move in it."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from bpftop.ui.anyscript import maps, tabs
from bpftop.ui.anyscript.look import LOG, MAP, OVERVIEW, Look, Place, Tab
from bpftop.ui.canvas import Canvas
from bpftop.ui.paint import Line

_SIDE = 16


class Body(Canvas, can_focus=True):
    """Draws a look at a tab."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "sort", "Sort", tooltip="sort by the next column"),
        Binding("S", "reverse", "Reverse", tooltip="sort the other way round", show=False),
        Binding("enter", "open", "Open", tooltip="show this key in full: its histogram, its stack"),
        Binding("escape", "close", "Back", tooltip="back to all keys; end the filter", show=False),
        Binding("l", "screen.log_counts", "Log/linear", tooltip="bars on a log or linear scale", show=False),
        Binding("up,k", "move(-1)", "Up", show=False, tooltip="one row up"),
        Binding("down,j", "move(1)", "Down", show=False, tooltip="one row down"),
        Binding("left", "side(-1)", "Left", show=False, tooltip="long lines of the log: to the left"),
        Binding("right", "side(1)", "Right", show=False, tooltip="long lines of the log: to the right"),
        Binding("pageup", "page(-1)", "Page up", show=False, tooltip="one page up"),
        Binding("pagedown", "page(1)", "Page down", show=False, tooltip="one page down"),
        Binding("home,g", "jump(0)", "First", show=False, tooltip="to the first row"),
        Binding("end,G", "jump(-1)", "Last", show=False, tooltip="to the last row; the log follows again"),
    ]
    _NEEDED_IN: ClassVar[dict[str, str]] = {"sort": MAP, "reverse": MAP, "open": MAP, "side": LOG}

    def __init__(self) -> None:
        super().__init__(id="body")
        self.look: Look | None = None
        self.tab = Tab(OVERVIEW)

    def show(self, look: Look, tab: Tab) -> None:
        """Draw this tab."""
        self.look, self.tab = look, tab
        self.redraw()

    def lines(self, width: int, height: int) -> list[Line]:
        """The tab in front."""
        return tabs.lines(self.look, self.tab, width, height) if self.look else []

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that does nothing here is not offered."""
        needed = self._NEEDED_IN.get(action)
        if needed is None:
            return True
        if self.tab.kind != needed:
            return False
        view = self.look.map_of(self.tab) if self.look else None
        return self.tab.kind != MAP or bool(view and view.keyed)

    @property
    def place(self) -> Place:
        """Where the user is."""
        return self.look.place(self.tab) if self.look else Place()

    def _is_table(self) -> bool:
        view = self.look.map_of(self.tab) if self.look and self.tab.kind == MAP else None
        return view is not None and view.keyed and self.place.opened is None

    # keys

    def action_sort(self) -> None:
        """Sort by the next column, from the top."""
        self.place.sort, self.place.reversed = self.place.sort + 1, False
        self._go(0)

    def action_reverse(self) -> None:
        """Sort the other way round, from the top."""
        self.place.reversed = not self.place.reversed
        self._go(0)

    def action_open(self) -> None:
        """The key under the cursor in full."""
        view = self.look.map_of(self.tab) if self.look else None
        if self.look and view and view.rows and self._is_table():
            rows = maps.ordered(view, self.look, self.place)
            if rows:
                self.place.opened, self.place.top = rows[min(self.place.cursor, len(rows) - 1)].key, 0
                self.redraw()

    def action_close(self) -> None:
        """Back to the table."""
        if self.place.opened is not None:
            self.place.opened = None
            self.redraw()
        else:
            self.screen.end_filter()  # type: ignore[attr-defined]

    def action_side(self, step: int) -> None:
        """Scroll the log sideways."""
        self.place.left = max(self.place.left + step * _SIDE, 0)
        self.redraw()

    def action_move(self, rows: int) -> None:
        """Move the cursor, or scroll."""
        self._go((self.place.cursor if self._is_table() else self.place.top) + rows)

    def action_page(self, pages: int) -> None:
        """Move by what is visible."""
        self.action_move(pages * self.place.rows)

    def action_jump(self, where: int) -> None:
        """To the first (0) or the last (-1) row."""
        self._go(0 if where == 0 else 10**9)

    def _go(self, to: int) -> None:
        place = self.place
        if self._is_table():
            place.cursor, place.chosen = min(max(to, 0), max(place.count - 1, 0)), None
        else:
            last = max(place.count - place.rows, 0)
            place.follow = to >= last and self.tab.kind == LOG
            place.top = min(max(to, 0), last)
        self.redraw()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves."""
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves."""
        self.action_move(-3)
