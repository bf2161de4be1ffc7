"""Textual's command palette, on any size of a terminal."""

from __future__ import annotations

from textual.command import CommandList, CommandPalette


class Palette(CommandPalette):
    """Ignores the keys of its list while the terminal has no room for a row of it.

    Textual 8.2 looks up the line of a command that was never laid out then (``KeyError`` in
    ``OptionList._move_page``).
    """

    def _action_command_list(self, action: str) -> None:
        if all(commands.scrollable_content_region for commands in self.query(CommandList)):
            super()._action_command_list(action)
