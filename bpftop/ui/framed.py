"""What every screen of ours has around its middle: the smallest size, the refresh, the theme, the keys for the help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.binding import Binding, BindingType

from bpftop.ui.canvas import Canvas
from bpftop.ui.help import KeyHelp
from bpftop.ui.inks import Inked
from bpftop.ui.keys import NamedKeys
from bpftop.ui.options import REFRESH_S
from bpftop.ui.paint import Line, Span, centred, line

if TYPE_CHECKING:
    from bpftop.ui.shell import Shell

MIN_WIDTH, MIN_HEIGHT = 60, 15


class TooSmall(Canvas):
    """Instead of everything when there is no room for it."""

    def lines(self, width: int, height: int) -> list[Line]:
        """One sentence."""
        words = [f"terminal too small: {width} x {height}", f"bpftop needs {MIN_WIDTH} x {MIN_HEIGHT}"]
        return centred([line(Span(each[:width], "strong")) for each in words], width, height)


class Framed(NamedKeys, Inked[None], inherit_bindings=False):
    """A screen without a middle. Subclasses compose it with a TooSmall and put COMMON behind their own keys."""

    COMMON: ClassVar[list[BindingType]] = [
        Binding("less_than_sign", "refresh_every(-1)", "Faster refresh", show=False, tooltip="draw oftener (0.25 s)"),
        Binding("greater_than_sign", "refresh_every(1)", "Slower refresh", show=False, tooltip="draw less often (5 s)"),
        Binding("t", "theme", "Theme", show=False, tooltip="next theme"),
        Binding("ctrl+p", "app.command_palette", "Palette", show=False, tooltip="all commands by name"),
    ]

    def __init__(self, refresh_s: float) -> None:
        super().__init__()
        self.refresh_s = refresh_s
        self._intervals = sorted({*REFRESH_S, refresh_s})

    @property
    def shell(self) -> Shell:
        """The app, by the type that all of ours have."""
        return cast("Shell", self.app)

    def focus_middle(self) -> None:
        """Give the keys to what is in the middle."""
        raise NotImplementedError

    def on_resize(self, event: events.Resize) -> None:
        """Below the smallest useful size only a sentence is shown."""
        small = event.size.width < MIN_WIDTH or event.size.height < MIN_HEIGHT
        was_small = self.has_class("-small")
        self.set_class(small, "-small")
        if was_small and not small:
            self.call_after_refresh(self.focus_middle)

    def action_refresh_every(self, step: int) -> None:
        """Draw more (-1) or less (1) often."""
        place = min(max(self._intervals.index(self.refresh_s) + step, 0), len(self._intervals) - 1)
        self.refresh_s = self._intervals[place]
        self.shell.poll_every(self.refresh_s)
        self.notify(f"drawing every {self.refresh_s:g} s{self.news_words}", timeout=3)

    @property
    def news_words(self) -> str:
        """What is to be said of the figures when they come less often than they are drawn."""
        return ""

    def action_theme(self) -> None:
        """The next theme."""
        self.shell.next_theme()

    def key_help(self, named: Mapping[str, str]) -> list[KeyHelp]:
        """Every action in force with all its keys, in the order of the bindings; ``named`` says what some really do."""
        keys: dict[str, list[str]] = {}
        what: dict[str, str] = {}
        for active in self.active_bindings.values():
            binding = active.binding
            if binding.system or not active.enabled:
                continue
            keys.setdefault(binding.action, []).append(self.app.get_key_display(replace(binding, key_display=None)))
            what[binding.action] = binding.tooltip or binding.description.lower()
        return [KeyHelp(" ".join(shown), named.get(action, what[action])) for action, shown in keys.items()]
