"""A line to type in, above the accounts, for as long as it has the keys."""

from __future__ import annotations

from collections.abc import Callable

from textual.containers import Horizontal
from textual.widgets import Input


class LineBar(Horizontal):
    """One row: an input and words beside it. Subclasses compose it, and call ``close`` when its work is done."""

    DEFAULT_CSS = """
    LineBar { height: 1; background: $panel; }
    LineBar Static { width: auto; padding: 0 1; }
    LineBar Input, LineBar Input:focus { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
    LineBar Input { min-width: 24; }
    """

    def __init__(self, leave: Callable[[], object]) -> None:
        """``leave`` gives the keys back to the pane."""
        super().__init__()
        self._leave = leave

    def on_mount(self) -> None:
        """Type at once, and see what is said of it: older words over the screen would hide it."""
        self.app.clear_notifications()
        self.query_one(Input).focus()

    def on_descendant_blur(self) -> None:
        """A click elsewhere closes the line."""
        self.close()

    def close(self) -> None:
        """Away with it; once."""
        if self.is_attached and self.parent is not None:
            self.remove()
            self._leave()
