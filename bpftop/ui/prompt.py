"""``:``: a line in which a pane, a measure, a client, a window, a moment or an action is named; Enter goes there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from bpftop.ui.linebar import LineBar
from bpftop.ui.safe import safe
from bpftop.ui.ways import Way

_EXAMPLES = "clients, read queue, 10.0.3.7, window 5m, 14:03, -2m, save-incident"


class Prompt(LineBar):
    """The word, and what it leads to. Tab completes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Close", priority=True),
        Binding("tab", "complete", "Complete", priority=True),
    ]
    DEFAULT_CSS = """
    Prompt #leads { color: $foreground 60%; }
    Prompt Input { min-width: 16; }
    """

    def __init__(self, ways: Callable[[str], Sequence[Way]], leave: Callable[[], object]) -> None:
        """``ways``: all that a text leads to, the nearest first; ``leave`` gives the keys back to the pane."""
        super().__init__(leave)
        self._ways = ways
        self._found: Sequence[Way] = ()

    def compose(self) -> ComposeResult:
        """One row."""
        yield Static(":", markup=False)
        yield Input(placeholder=_EXAMPLES, select_on_focus=False)
        yield Static("", id="leads", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say where the word leads, and what else it could."""
        event.stop()
        self._found = self._ways(event.value) if event.value.strip() else ()
        self.query_one("#leads", Static).update(self._leads(event.value))

    def _leads(self, text: str) -> str:
        if not text.strip():
            return ""
        if not self._found:
            return "nothing has this name"
        room = max(self.size.width - 24, 20)
        first, *others = self._found
        out = f"{safe(first.name, 40)}: {safe(first.what, 60)}"
        for other in others:
            longer = f"{out} · {safe(other.name, 40)}"
            if len(longer) > room - 4:
                return f"{out} · …"
            out = longer
        return out

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the nearest; a word that leads nowhere stays."""
        event.stop()
        if self._found or not event.value.strip():
            found = self._found[0] if self._found else None
            self.close()
            if found is not None:
                found.go()

    def action_complete(self) -> None:
        """The whole name of the nearest."""
        if self._found:
            line = self.query_one(Input)
            line.value = self._found[0].name
            line.cursor_position = len(line.value)

    def action_cancel(self) -> None:
        """Stay here."""
        self.close()
