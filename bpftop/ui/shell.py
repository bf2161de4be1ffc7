"""What every app of ours is: themes, leaving in good order, saving in a thread, a crash in one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.markup import escape
from textual.screen import Screen
from textual.theme import ThemeProvider
from textual.timer import Timer

from bpftop.errors import BpftopError, UsageError
from bpftop.ui.canvas import Canvas
from bpftop.ui.direct import DirectTerminal
from bpftop.ui.fewcolors import In256
from bpftop.ui.fewglyphs import InAscii
from bpftop.ui.keys import keymap
from bpftop.ui.leave import watching
from bpftop.ui.options import UiOptions
from bpftop.ui.palette import Palette
from bpftop.ui.safe import safe
from bpftop.ui.themes import CYCLE, OURS, PLAIN_CYCLE
from bpftop.ui.thrift import ThriftyDriver

INTERNAL_ERROR = 70
"""A defect of ours: neither a verdict nor the user's words (sysexits.h, EX_SOFTWARE)."""
TOASTS, LOW = 2, 20
"""So many words are shown over the screen at a time."""
_KEYS_IN_ASCII = {
    "⏎": "Enter",
    "←": "left",
    "→": "right",
    "↑": "up",
    "↓": "down",
    "⌫": "backspace",
    "⇥": "tab",
    "←→": "left/right",
}


class Shell(App[int]):
    """An app without screens. Subclasses push their own, poll, and say which one is theirs."""

    TITLE = "bpftop"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "leave", "Quit", show=False, priority=True, tooltip="quit"),
        Binding("ctrl+q", "leave", "Quit", show=False, system=True),
    ]
    CSS = """
    ToastRack { margin-bottom: 2; }
    Toast { max-width: 90%; padding: 0 1; }
    """

    def __init__(self, options: UiOptions) -> None:
        plain = options.no_color or bool(os.environ.get("NO_COLOR"))
        super().__init__(driver_class=_driver(), ansi_color=plain or None)
        self.animation_level = "none"
        self._options = options
        self._plain = plain
        self._timer: Timer | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._direct: DirectTerminal | None = None
        self.crash: Exception | None = None
        for theme in OURS:
            self.register_theme(theme)
        self.theme = self._first_theme()
        Canvas.ascii = options.ascii
        self._choose_shades()
        if options.ascii:
            self._filters.append(InAscii())
        if options.keys:
            self.set_keymap(keymap(options.keys, options.settings))

    def _choose_shades(self) -> None:
        """Glyphs where the colours of a ramp cannot be told apart: none, the 16 of a terminal, or a theme of these."""
        Canvas.glyphs = self._plain or self._options.ascii or self._sixteen or self.theme.startswith("ansi")

    def on_mount(self) -> None:
        """The terminal is known now: one of 16 colours shows its own, unless a theme was asked for."""
        if self._sixteen and not self._options.theme:
            self.theme = PLAIN_CYCLE[0]
        if self._colors == "256":
            self._filters.append(In256())
        self._choose_shades()

    @property
    def _colors(self) -> str | None:
        """What the terminal has: standard (16), 256, truecolor; None without colours and without a terminal."""
        return None if self.is_headless else self.console.color_system

    @property
    def _sixteen(self) -> bool:
        return self.is_running and not self.is_headless and self._colors in (None, "standard")

    def watch_theme(self, theme: str) -> None:
        """Another theme, other shades."""
        self._choose_shades()
        if self.is_running and self._screen_stack:
            for canvas in self.screen.query(Canvas):
                canvas.redraw()

    def _first_theme(self) -> str:
        if self._plain:
            return PLAIN_CYCLE[0]
        wanted = self._options.theme or CYCLE[0]
        if wanted not in self.available_themes:
            near = difflib.get_close_matches(wanted, self.available_themes, 1, 0.5)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(self.available_themes))}"
            way = (
                f"${{EDITOR:-vi}} {self._options.settings}"
                if self._options.theme_from_settings
                else "bpftop demo --simulate, then t"
            )
            raise UsageError(f"there is no theme {wanted}; {meant}", way)
        return wanted

    def direct(self, screen: Screen[object]) -> DirectTerminal | None:
        """Where a canvas of this screen may write cells by itself; None where Textual has to draw them.

        That is where something may lie over the canvas or is about to move it, or where Textual changes the colours.
        """
        driver, colors = self._driver, self.console._color_system
        if Canvas.glyphs or colors is None or not isinstance(driver, ThriftyDriver) or not self._running:
            return None
        if screen is not self.screen or screen._layout_required or self._notifications or self._batch_count:
            return None
        if self._direct is None:
            self._direct = DirectTerminal(driver, colors, lambda: self._sync_available)
        return self._direct

    @property
    def main(self) -> Screen[None] | None:
        """The screen whose keys the palette offers."""
        raise NotImplementedError

    def poll(self) -> None:
        """Pull and draw."""
        raise NotImplementedError

    def poll_every(self, seconds: float) -> None:
        """Pull at this interval from now on."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(seconds, self.poll)

    def get_key_display(self, binding: Binding) -> str:
        """In ASCII by name: there ``⏎`` would be ``?``, and an arrow ``<``, which is another key."""
        shown = super().get_key_display(binding)
        return _KEYS_IN_ASCII.get(shown, shown) if self._options.ascii else shown

    def action_command_palette(self) -> None:
        """Every action of the screen by name."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_change_theme(self) -> None:
        """All themes by name."""
        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes…"))

    def action_leave(self) -> None:
        """Quit with exit code 0."""
        self.exit(0)

    def leave_from_thread(self, code: int) -> None:
        """Quit with this exit code; from any thread, without waiting."""
        if self._event_loop is not None:
            self._event_loop.call_soon_threadsafe(partial(self.exit, code))

    @work(thread=True, exclusive=True, group="save", exit_on_error=True)
    def save_in_thread(self, save: Callable[[], str]) -> None:
        """Write the files in a thread: a slow disk must not stop the screen."""
        try:
            said = save()
        except BpftopError as error:
            hint = f"\n{safe(error.hint)}" if error.hint else ""
            self._tell(f"{safe(error.message, 400)}{hint}", "error")
        else:
            self._tell(safe(said, 400), "information")

    def _tell(self, message: str, severity: str) -> None:
        tell = partial(self.notify, message, severity=severity, timeout=8, markup=False)  # type: ignore[arg-type]
        self.call_from_thread(tell)

    def _refresh_notifications(self) -> None:
        """The newest words only: a pile of them hides what one looks at, on a low screen already two."""
        most = TOASTS if self.size.height >= LOW else 1
        for old in [*self._notifications][:-most]:
            del self._notifications[old]
        super()._refresh_notifications()

    def next_theme(self) -> None:
        """The next of our choice of themes."""
        cycle = PLAIN_CYCLE if self._plain else CYCLE
        place = cycle.index(self.theme) + 1 if self.theme in cycle else 0
        self.theme = cycle[place % len(cycle)]
        self.notify(f"theme {self.theme}", timeout=3)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every binding of the screen by name, and all themes."""
        main = self.main
        if main is None:
            return
        seen: set[str] = set()
        for active in main.active_bindings.values():
            binding = active.binding
            action = binding.action.removeprefix("app.")
            if action not in seen and not binding.system and "palette" not in action:
                seen.add(action)
                act = partial(self.run_action, binding.action, active.node)
                key = escape(self.get_key_display(binding))
                yield SystemCommand(binding.description, f"{binding.tooltip or binding.description}  ({key})", act)
        if not self._plain:
            yield SystemCommand("All themes", "choose a theme by name", self.action_change_theme)

    def _fatal_error(self) -> None:
        """An unhandled exception: leave, and let ``run`` say it in one sentence (Textual prints pages with locals)."""
        error = sys.exc_info()[1] or self._exception
        if self.crash is None and isinstance(error, Exception):
            self.crash = error
        self._close_messages_no_wait()


def _driver() -> type[Driver] | None:
    """Ours where Textual would take the one of Linux; None leaves the choice to it."""
    return None if os.environ.get("TEXTUAL_DRIVER") else ThriftyDriver


def run_app(
    make: Callable[[UiOptions], Shell],
    options: UiOptions,
    on_forced: Callable[[bool], None] | None = None,
    on_taken: Callable[[], None] = lambda: None,
) -> int:
    """Show the app until the user leaves; the exit code is 0, 128 + signal, 129 for a lost
    terminal, 70 for a crash.

    ``on_forced`` is called when the process must end without returning from here; it must be quick. It is told whether
    the terminal is gone (otherwise it no longer reads). ``on_taken`` is called when the terminal is put back from here,
    whatever happens.
    """
    if options.no_color:
        os.environ["NO_COLOR"] = "1"  # what Textual looks at, for its own widgets too
    app = make(options)
    with watching(app.leave_from_thread, on_forced):
        on_taken()
        code = app.run(mouse=options.mouse)
    if app.crash is not None:
        _report(app.crash)
        return INTERNAL_ERROR
    return app.return_code or 0 if code is None else code


def _report(error: Exception) -> None:
    """One sentence on stderr, and where the rest is."""
    text = "".join(traceback.format_exception(error))
    debug = bool(os.environ.get("BPFTOP_DEBUG"))
    said = f"bpftop: the screen failed: {type(error).__name__}: {safe(str(error))}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="bpftop-crash-", suffix=".txt", delete=False, errors="backslashreplace"
        ) as file:
            file.write(text)
        said += f" (details in {file.name})"
    except OSError:
        said += " (BPFTOP_DEBUG=1 shows the details)"
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{text}{said}\n" if debug else f"{said}\n")
