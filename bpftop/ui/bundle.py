"""What is on the screen as text and as a picture, and with it the folder of an incident."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import App

from bpftop.export.bundle import write_bundle
from bpftop.model import Snapshot
from bpftop.ui.safe import safe

if TYPE_CHECKING:
    from bpftop.ui.screen import MainScreen


def screen_text(app: App[int]) -> str:
    """The rows on the screen without colours."""
    rows = app.screen._compositor.render_strips()
    return "\n".join(safe("".join(segment.text for segment in row), 1000).rstrip() for row in rows) + "\n"


def screen_picture(app: App[int], title: str) -> str:
    """The screen as SVG that loads nothing from anywhere: Rich's own has fonts of a public server in it."""
    svg = app.export_screenshot(title=safe(title))
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    return re.sub(r"font-family:\s*(?:Fira Code|arial)[^;]*;", "font-family: Fira Code, monospace;", svg)


def headline_rows(main: MainScreen | None) -> list[str]:
    """What the Overview says in words, above its tables."""
    if main is None:
        return []
    overview = main.panes[0]
    overview.view = main.view
    rows = ["".join(span.text for span in row.spans).strip() for row in overview.lines(200, 40)]
    return rows[: rows.index("")] if "" in rows else rows[:1]


def save_bundle(snapshot: Snapshot, verdict: Sequence[str], text: str, picture: str, directory: Path) -> str:
    """Write the folder; what to say about it. Raises FileError."""
    folder = write_bundle(snapshot, verdict, text, picture, directory)
    return f"saved the incident: {folder} (summary.md is to paste)"
