"""What is on the screen as text and as a picture, and with it the folder of an incident."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from textual.app import App

from bpftop.model import Snapshot
from bpftop.stats.findings import Verdict
from bpftop.ui.safe import safe


def screen_text(app: App[int]) -> str:
    """The rows on the screen without colours."""
    rows = app.screen._compositor.render_strips()
    return "\n".join(safe("".join(segment.text for segment in row), 1000).rstrip() for row in rows) + "\n"


def screen_picture(app: App[int], title: str) -> str:
    """The screen as SVG that loads nothing from anywhere: Rich's own has fonts of a public server in it."""
    svg = app.export_screenshot(title=safe(title))
    svg = re.sub(r"@font-face\s*\{[^}]*\}", "", svg)
    return re.sub(r"font-family:\s*(?:Fira Code|arial)[^;]*;", "font-family: Fira Code, monospace;", svg)


def verdict_rows(verdict: Verdict) -> list[str]:
    """What the overview says, each with what it rests on."""
    return [f"{clause.text} ({clause.evidence})" for clause in verdict.clauses]


def save_bundle(snapshot: Snapshot, verdict: Sequence[str], text: str, picture: str, directory: Path) -> str:
    """Write the folder; what to say about it. Raises FileError."""
    from bpftop.export.bundle import write_bundle  # with all export formats: not before it is wanted

    folder = write_bundle(snapshot, verdict, text, picture, directory)
    return f"saved the incident: {folder} (summary.md is to paste)"
