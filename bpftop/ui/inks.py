"""The colours of the roles, once for each screen.

Textual keeps the styles of component classes with every widget that declares them, as nodes of their own, and makes all
of them anew whenever that widget is styled: with 26 roles on 20 canvases this was most of a change of panes.
"""

from __future__ import annotations

from typing import ClassVar

from textual.screen import Screen, ScreenResultType

from bpftop.ui.paint import ROLES, Role


def ink_of(role: Role) -> str:
    """The component class of a role."""
    return f"ink--{role}"


class Inked(Screen[ScreenResultType]):
    """A screen with canvases (bpftop.ui.canvas)."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {ink_of(role) for role in ROLES}
    DEFAULT_CSS = """
    Inked {
        & > .ink--dim { color: $foreground 60%; }
        & > .ink--strong { text-style: bold; }
        & > .ink--head { color: $secondary; }
        & > .ink--good { color: $success; }
        & > .ink--warn { color: $warning; }
        & > .ink--bad { color: $error; text-style: bold; }
        & > .ink--accent { color: $accent; text-style: bold; }
        & > .ink--p50 { color: $primary; }
        & > .ink--p99 { color: $warning; }
        & > .ink--bar { color: $primary 60%; }
        & > .ink--cursor { background: $primary 25%; }
        & > .ink--cell { color: #000000; background: #00e5ff; text-style: bold; }
        & > .ink--tab { color: $background; background: $primary; text-style: bold; }
        & > .ink--chrome { background: $panel; }
        & > .ink--badge-good { color: $background; background: $success; text-style: bold; }
        & > .ink--badge-warn { color: $background; background: $warning; text-style: bold; }
        & > .ink--badge-bad { color: $background; background: $error; text-style: bold; }
        & > .ink--badge-info { color: $background; background: $accent; text-style: bold; }
        & > .ink--heat-1 { background: #5a1a8a; }
        & > .ink--heat-2 { background: #862a86; }
        & > .ink--heat-3 { background: #ab2f80; }
        & > .ink--heat-4 { background: #cf4270; }
        & > .ink--heat-5 { background: #ee5a5e; }
        & > .ink--heat-6 { background: #f98a60; }
        & > .ink--heat-7 { background: #feb47b; }
        & > .ink--heat-8 { background: #fcfdbf; }
        & > .ink--hot { color: $background; text-style: bold; }
        &:light {
            & > .ink--cell { color: #ffffff; background: #0057ff; }
            & > .ink--heat-1 { background: #fdd8a5; }
            & > .ink--heat-2 { background: #fdbb84; }
            & > .ink--heat-3 { background: #fc8d59; }
            & > .ink--heat-4 { background: #ef6548; }
            & > .ink--heat-5 { background: #d9401a; }
            & > .ink--heat-6 { background: #c40d0d; }
            & > .ink--heat-7 { background: #9c0000; }
            & > .ink--heat-8 { background: #6a0000; }
        }
        &:ansi {
            & > .ink--heat-1 { background: ansi_default; }
            & > .ink--heat-2 { background: ansi_default; }
            & > .ink--heat-3 { background: ansi_default; }
            & > .ink--heat-4 { background: ansi_default; }
            & > .ink--heat-5 { background: ansi_default; }
            & > .ink--heat-6 { background: ansi_default; }
            & > .ink--heat-7 { background: ansi_default; }
            & > .ink--heat-8 { background: ansi_default; }
            & > .ink--dim { color: ansi_default; text-style: dim; }
            & > .ink--head { color: ansi_default; text-style: underline; }
            & > .ink--bar { color: ansi_blue; }
            & > .ink--cursor { background: ansi_default; text-style: reverse; }
            & > .ink--cell { color: ansi_bright_cyan; background: ansi_default; text-style: bold reverse; }
            & > .ink--tab { color: ansi_default; background: ansi_default; text-style: bold reverse; }
            & > .ink--badge-good { color: ansi_green; background: ansi_default; text-style: bold reverse; }
            & > .ink--badge-warn { color: ansi_yellow; background: ansi_default; text-style: bold reverse; }
            & > .ink--badge-bad { color: ansi_red; background: ansi_default; text-style: bold reverse; }
            & > .ink--badge-info { color: ansi_cyan; background: ansi_default; text-style: bold reverse; }
            & > .ink--chrome { background: ansi_default; }
        }
    }
    """
