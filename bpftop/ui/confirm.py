"""A question with yes and no."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from bpftop.ui.canvas import Canvas
from bpftop.ui.inks import Inked
from bpftop.ui.paint import EMPTY, Line, Span, line, wrapped


class Question(Canvas, can_focus=True):
    """The words and the two keys."""

    def __init__(self, words: str, verb: str) -> None:
        super().__init__()
        self._words, self._verb = words, verb

    def lines(self, width: int, height: int) -> list[Line]:
        """The question above its answers."""
        keys = line(Span("y", "accent"), Span(f" {self._verb}    "), Span("n", "accent"), Span(" leave it as it is"))
        return [*wrapped(self._words, width), EMPTY, keys]


class Confirm(Inked[bool], ModalScreen[bool]):
    """Gives True for y or Enter, False for anything that means no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Yes"),
        Binding("n,escape,q", "answer(False)", "No"),
    ]
    CSS = """
    Confirm { align: center middle; background: $background 70%; }
    Confirm Question { width: 56; max-width: 100%; height: 5; padding: 0 1; background: $surface;
                       border: round $primary; }
    """

    def __init__(self, words: str, verb: str) -> None:
        super().__init__()
        self._question = Question(words, verb)

    def compose(self) -> ComposeResult:
        """The question in a box."""
        yield self._question

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)
