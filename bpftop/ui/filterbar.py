"""The line in which a filter is typed: the table follows each letter, Enter keeps it, Esc takes it back."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Static

from bpftop.ui.filters import Filterable, FilterError
from bpftop.ui.linebar import LineBar


class FilterBar(LineBar):
    """A prompt, the words, and what is wrong with them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "All rows", priority=True)]

    def __init__(self, pane: Widget) -> None:
        super().__init__(pane.focus)
        assert isinstance(pane, Filterable)
        self._pane = pane
        self._before = pane.filter.text
        self._understood = True
        self._hint = f"a word, 10.0.0.0/8, {pane.EXAMPLE}, !not this"

    def compose(self) -> ComposeResult:
        """One row."""
        yield Static("filter", markup=False)
        yield Input(value=self._before, placeholder=self._hint, select_on_focus=False)
        yield Static("", id="complaint", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Follow each letter; half a comparison leaves the rows as they are."""
        event.stop()
        try:
            self._pane.refilter(event.value)
        except FilterError as error:
            said = str(error)
        else:
            said = ""
        self._understood = not said
        self.query_one("#complaint", Static).update(said)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter; one that is not understood stays to be mended: the rows are those of a part of it."""
        event.stop()
        if self._understood:
            self.close()

    def action_cancel(self) -> None:
        """All rows again."""
        self._pane.refilter("")
        self.close()
