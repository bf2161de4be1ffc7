"""The help: keys from the bindings in force, figures from the measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from bpftop.model import Measure
from bpftop.ui.canvas import Canvas
from bpftop.ui.inks import Inked
from bpftop.ui.paint import EMPTY, Line, Span, line, pad, wrapped
from bpftop.ui.safe import safe


@dataclass(frozen=True, slots=True)
class KeyHelp:
    """One action and the keys that do it."""

    keys: str
    what: str


AROUND = (
    "First row: the state and the target, the window that the figures are of, and the requests in it a second. Above "
    "the keys, since the start: 'lost' is what the kernel sent and nobody read, 'rejected' what could not be read, "
    "'untracked' connections that found the kernel's table full, 'unseen' time without counts from bpftrace, 'missed' "
    "moments in which the kernel did not run a probe: what is in these is in no figure. Events are single requests and "
    "connections: 'shown' were sent one by one, 'suppressed' were not slow enough for that; both are counted. Own "
    "cost: what all probes take, for one hit and of one CPU."
)
"""The rows that are around every pane of a watch."""
_KEYS = "Keys"


def help_lines(
    title: str, about: str, measures: Sequence[Measure], keys: Sequence[KeyHelp], around: str, width: int
) -> list[Line]:
    """The pane in front, its figures, what is around it, then all keys."""
    lines = [line(Span(title, "accent")), *wrapped(about, width), EMPTY]
    for measure in measures:
        lines.append(line(Span(safe(measure.title), "strong")))
        if measure.start:
            lines += _indented(f"from: {safe(measure.start)}", width)
            lines += _indented(f"to:   {safe(measure.end)}", width)
        if measure.tells:
            lines += _indented(f"high: {safe(measure.tells)}", width)
    lines += [EMPTY] if measures else []
    lines += [line(Span("Around the pane", "accent")), *wrapped(around, width), EMPTY] if around else []
    lines.append(line(Span(_KEYS, "accent")))
    size = min(max((len(each.keys) for each in keys), default=8), 24)
    for each in keys:
        first, *more = wrapped(each.what, max(width - size - 2, 10))
        lines.append(line(Span(pad(each.keys, size, left=True), "strong"), Span("  "), *first.spans))
        lines += [line(Span(" " * (size + 2)), *row.spans) for row in more]
    return lines


def _indented(text: str, width: int) -> list[Line]:
    head, rest = text[:6], text[6:]
    rows = wrapped(rest, max(width - 8, 10))
    return [
        line(Span("  "), Span(head if index == 0 else " " * 6, "dim"), *row.spans) for index, row in enumerate(rows)
    ]


class HelpText(Canvas, can_focus=True):
    """The text, scrolled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("pagedown,space", "move(10)", "Page down", show=False),
        Binding("home,g", "move(-100000)", "First", show=False),
        Binding("end,G", "move(100000)", "Last", show=False),
        Binding("tab", "keys", "Keys", show=False),
    ]

    def __init__(
        self, title: str, about: str, measures: Sequence[Measure], keys: Sequence[KeyHelp], around: str = ""
    ) -> None:
        super().__init__()
        self._content = (title, about, measures, keys, around)
        self._top = 0
        self._keys_at = 0

    def lines(self, width: int, height: int) -> list[Line]:
        """The visible part, with a hint when there is more."""
        text = help_lines(*self._content, width)
        last_top = max(len(text) - height + 1, 0)
        self._keys_at = min(max(row for row, each in enumerate(text) if each.text == _KEYS), last_top)
        self._top = max(min(self._top, last_top), 0)
        if len(text) <= height:
            return text
        last = self._top + height - 1
        more = f"{len(text) - last} more rows: down, PgDn" if last < len(text) else "the end"
        return [*text[self._top : last], line(Span(more, "dim"))]

    def action_move(self, rows: int) -> None:
        """Scroll."""
        self._top = max(self._top + rows, 0)
        self.redraw()

    def action_keys(self) -> None:
        """To the keys; from there to the top."""
        self._top = self._keys_at if self._top < self._keys_at else 0
        self.redraw()

    def on_mouse_scroll_down(self) -> None:
        """The wheel scrolls."""
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        """The wheel scrolls."""
        self.action_move(-3)


class Help(Inked[None], ModalScreen[None]):
    """``?``: over the pane until Esc."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "Close"),
    ]
    CSS = """
    Help { align: center middle; background: $background 70%; }
    Help HelpText {
        width: 84; max-width: 100%; height: 80%; min-height: 12; max-height: 100%; padding: 0 1;
        background: $surface; border: round $primary; border-title-color: $primary;
    }
    """

    def __init__(self, text: HelpText) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The text in a box."""
        self._text.border_title = "Help (Esc closes, Tab: the keys)"
        yield self._text
