"""What stood out so far, over the pane: when, for how long, what; Enter goes to its worst moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from bpftop import units
from bpftop.errors import BpftopError
from bpftop.stats.clause import Clause, Place, clause
from bpftop.stats.episodes import Episode
from bpftop.ui.canvas import Canvas
from bpftop.ui.inks import Inked
from bpftop.ui.paint import Line, Span, line, wrapped
from bpftop.ui.safe import safe

RECENT_NS = 600 * 10**9
"""What has ended within so long is told on the overview."""
_LONGEST = 400
_WHEN = 22
"""Cells of the moment and the length."""


class EpisodeList(Canvas, can_focus=True):
    """One episode below the other, the newest first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move(-5)", "Page up", show=False),
        Binding("pagedown", "move(5)", "Page down", show=False),
        Binding("home,g", "move(-1000)", "First", show=False),
        Binding("end,G", "move(1000)", "Last", show=False),
    ]

    def __init__(self, episodes: Sequence[Episode], busy: str) -> None:
        super().__init__()
        self._episodes, self._busy = episodes, busy
        self._at = 0
        self._rows: list[int] = []
        """Of each line drawn, which episode it belongs to."""

    def fill(self, episodes: Sequence[Episode], problem: str) -> None:
        """Show these instead; the chosen one stays chosen by its place."""
        self._episodes, self._busy = episodes, problem
        self._at = min(self._at, max(len(episodes) - 1, 0))
        self.redraw()

    @property
    def chosen(self) -> Episode | None:
        """The one under the cursor."""
        return self._episodes[self._at] if self._episodes and not self._busy else None

    def lines(self, width: int, height: int) -> list[Line]:
        """As many as there is room for, the chosen one among them, and the keys."""
        if self._busy or not self._episodes:
            self._rows = []
            return wrapped(safe(self._busy, _LONGEST) or "Nothing has stood out since the start.", width)
        room, first = height - 1, self._at
        blocks = [_lines(each, width, index == self._at) for index, each in enumerate(self._episodes)]
        used = len(blocks[first])
        while first and used + len(blocks[first - 1]) <= room:
            first -= 1
            used += len(blocks[first])
        out: list[Line] = []
        self._rows = []
        for index in range(first, len(blocks)):
            if len(out) + len(blocks[index]) > room and out:
                break
            out += blocks[index][:room]
            self._rows += [index] * len(blocks[index])
        return [*out, _keys()]

    def action_move(self, rows: int) -> None:
        """Choose another one."""
        self._at = min(max(self._at + rows, 0), max(len(self._episodes) - 1, 0))
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """A click chooses, a double click goes there."""
        if 0 <= event.y < len(self._rows):
            self._at = self._rows[event.y]
            self.redraw()
            if event.chain == 2 and isinstance(self.screen, StoodOut):
                self.screen.action_choose()

    def on_mouse_scroll_down(self) -> None:
        """The wheel chooses another one."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """The wheel chooses another one."""
        self.action_move(-1)


class StoodOut(Inked[int | None], ModalScreen[int | None]):
    """Gives the moment to look at (Unix time, ns), or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Look"),
        Binding("escape,w,q", "close", "Close"),
    ]
    CSS = """
    StoodOut { align: center middle; background: $background 70%; }
    StoodOut EpisodeList {
        width: 110; max-width: 100%; height: 80%; min-height: 12; max-height: 100%; padding: 0 1;
        background: $surface; border: round $primary; border-title-color: $primary;
    }
    """

    def __init__(self, episodes: Sequence[Episode], whole: Callable[[], Sequence[Episode]] | None = None) -> None:
        """``whole``: finds those of the whole recording that is played; it may take seconds."""
        super().__init__()
        self._list = EpisodeList(episodes, "" if whole is None else "looking through the recording …")
        self._whole = whole

    def compose(self) -> ComposeResult:
        """The list in a box."""
        self._list.border_title = "What stood out so far (Esc closes)"
        yield self._list

    def on_mount(self) -> None:
        """A recording is looked through in a thread."""
        if self._whole is not None:
            self._look_through(self._whole)

    @work(thread=True, exclusive=True, group="look through", exit_on_error=True)
    def _look_through(self, whole: Callable[[], Sequence[Episode]]) -> None:
        try:
            found, problem = whole(), ""
        except BpftopError as error:
            found, problem = (), error.message
        self.app.call_from_thread(self._list.fill, found, problem)

    def action_choose(self) -> None:
        """Its worst moment."""
        chosen = self._list.chosen
        self.dismiss(chosen.worst_ns if chosen else None)

    def action_close(self) -> None:
        """As it was."""
        self.dismiss(None)


def _keys() -> Line:
    return line(Span("up, down", "accent"), " choose  ", Span("Enter", "accent"), " its worst moment, in all panes")


def _lines(episode: Episode, width: int, chosen: bool) -> list[Line]:
    """When and how long, and beside it the words."""
    began = time.strftime("%H:%M:%S", time.localtime(episode.began_ns / 1e9))
    lasted = f"for {units.span(max(episode.length_s, 1.0))}" + ("" if episode.over else " …")
    words = wrapped(safe(episode.text, _LONGEST), max(width - _WHEN, 20))
    fill = "cursor" if chosen else ""
    head = f"{began}  {lasted}"
    rows = []
    for index, row in enumerate(words):
        left = Span(f"{head if index == 0 else '':{_WHEN}}", "dim" if episode.over else "warn")
        rows.append(line(left, *row.spans, fill="cursor" if chosen else "") if fill else line(left, *row.spans))
    return rows


def before(episodes: Sequence[Episode], now_ns: int) -> Clause | None:
    """A clause for the overview when all is calm again: what stood out last, not long ago."""
    last = next((each for each in episodes if each.over), None)
    if last is None or now_ns - last.ended_ns > RECENT_NS or not last.clauses:
        return None
    ago = units.span(max((now_ns - last.ended_ns) / 1e9, 1.0))
    said = [(f"until {ago} ago: ", False), (last.clauses[0].text, False), (", w: all", False)]
    evidence = f"for {units.span(max(last.length_s, 1.0))}: {last.text}"
    return clause("before", "", said, evidence, Place("episodes"))


def rows(episodes: Sequence[Episode]) -> list[str]:
    """A sentence for each, in UTC: for what is saved."""
    return [
        f"{_utc(each.began_ns)} UTC to {_utc(each.ended_ns) + ' UTC' if each.over else 'now'}: {each.text}"
        for each in episodes
    ]


def _utc(unix_ns: int) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(unix_ns / 1e9))
