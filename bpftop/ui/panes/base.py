"""What every pane is: a canvas that draws a view, with a notice above it when something is not as it should be."""

from __future__ import annotations

import os
from typing import ClassVar

from textual.binding import Binding, BindingType

from bpftop.model import Measure
from bpftop.ui import words
from bpftop.ui.canvas import Canvas
from bpftop.ui.paint import EMPTY, Line, Span, centred, line
from bpftop.ui.safe import safe
from bpftop.ui.view import View


class Pane(Canvas, can_focus=True):
    """One subject on its own number key. Subclasses draw; they never fetch."""

    TITLE: str
    SHORT: str
    """The title where there is little room."""
    ABOUT: str
    """What the pane shows, for the help."""
    NEEDS_FIGURES: ClassVar[bool] = True
    """Without any observation it says what is awaited instead of drawing empty tables."""
    WHOLE: ClassVar[bool] = False
    """It shows the whole window also when a piece of the heat map is pinned, and says so."""

    def __init__(self, name: str = "") -> None:
        super().__init__(id=name or type(self).__name__.lower())
        self.view: View | None = None

    def explained(self, view: View) -> list[Measure]:
        """The figures that the help explains."""
        return [each.measure for each in view.snapshot.measures.values()]

    def accepts(self, measure: Measure) -> bool:
        """Whether this pane can be about ``measure``."""
        return True

    def copy(self, words: str) -> None:
        """To the clipboard of the terminal, and a word about what it was."""
        self.app.copy_to_clipboard(safe(words, 500))
        inside = os.environ.get("TERM", "").startswith(("screen", "tmux"))
        allows = (
            "when tmux allows it (tmux set -s set-clipboard on)" if inside else "if your terminal allows it (OSC 52)"
        )
        self.app.notify(f"copied, {allows}: {safe(words, 100)}", timeout=4, markup=False)

    def show(self, view: View) -> None:
        """Draw this view."""
        self.view = view
        self.redraw()

    def lines(self, width: int, height: int) -> list[Line]:
        """The notice, then the pane or what it waits for."""
        if self.view is None:
            return []
        above = words.notice(self.view, width)[: max(height - 3, 0)]
        above += self.remarks(self.view, width)
        if above:
            above.append(EMPTY)
        room = height - len(above)
        if self.NEEDS_FIGURES and self.view.empty:
            return above + centred(words.waiting(self.view), width, room)
        return above + self.draw(self.view, width, room)

    def remarks(self, view: View, width: int) -> list[Line]:
        """A word when a pinned piece of the heat map does not filter this pane."""
        if view.box is None or not self.WHOLE:
            return []
        return [line(Span("not filtered by the pinned piece of the heat map: the whole window", "accent"))]

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """The pane's own lines in an area of this size."""
        raise NotImplementedError


class MeasurePane(Pane):
    """A pane about one chosen measure."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "screen.next_measure", "Measure", tooltip="show the next measure (latency) in this pane"),
    ]
