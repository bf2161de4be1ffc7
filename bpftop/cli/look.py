"""From the words about the screen to its options: every verb that draws has the same."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bpftop.ui.options import UiOptions


def screen_options(options: argparse.Namespace, **more: Any) -> UiOptions:
    """Theme, mouse, characters, colours and refresh; ``more`` are further fields of UiOptions."""
    from bpftop.ui.options import UiOptions

    return UiOptions(
        theme=options.theme,
        mouse=not options.no_mouse,
        ascii=options.ascii,
        no_color=options.no_color,
        refresh_s=options.refresh,
        keys=options.keys,
        **more,
    )
