"""From the words about the screen to its options: every verb that draws has the same."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bpftop.errors import FileError

if TYPE_CHECKING:
    from bpftop.ui.options import UiOptions


def ascii_wanted(options: argparse.Namespace) -> bool:
    """``--ascii``; or the terminal's characters, as the locale says them, are not those of UTF-8; or it is the console
    of Linux, whose fonts have neither braille nor eighths of blocks."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    console = os.environ.get("TERM") == "linux" and sys.stdout.isatty()
    return bool(options.ascii) or console or encoding not in ("utf8", "utf8sig")


def mouse_wanted(options: argparse.Namespace) -> bool:
    """Not after ``--no-mouse``, and not in GNU screen: it keeps Esc back until the next key while the mouse is used.

    sudo drops STY, but TERM stays; where that is plain ``screen`` it may be tmux as well.
    """
    term = os.environ.get("TERM", "")
    gnu_screen = term.startswith("screen.") or ("STY" in os.environ and "TMUX" not in os.environ)
    return not options.no_mouse and not gnu_screen


def save_directory(options: argparse.Namespace) -> Path:
    """Where the screen saves, absolute. Raises FileError when it is not there: sooner than at the first save."""
    directory = Path(os.path.abspath(options.save))
    if not os.path.isdir(directory):
        hint = f"mkdir -p {shlex.quote(str(directory))}"
        raise FileError(f"{directory}, the place to save in, is no directory", hint)
    return directory


def screen_options(options: argparse.Namespace, **more: Any) -> UiOptions:
    """Theme, mouse, characters, colours and refresh; ``more`` are further fields of UiOptions."""
    from bpftop.ui.options import UiOptions

    return UiOptions(
        theme=options.theme,
        settings=options.settings,
        theme_from_settings=options.theme is not None and options.theme is options.settings_theme,
        mouse=mouse_wanted(options),
        ascii=ascii_wanted(options),
        no_color=options.no_color,
        refresh_s=options.refresh,
        keys=options.keys,
        **more,
    )
