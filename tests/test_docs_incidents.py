"""What docs/incidents.md says besides the tables is what ``make incidents`` would write again."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_words_of_the_page_are_those_of_its_template() -> None:
    page = (ROOT / "docs" / "incidents.md").read_text()
    pieces = re.split(r"\{\w+\}", (ROOT / "tests" / "incidents" / "page.md").read_text())
    assert len(pieces) > 10
    at = 0
    for piece in pieces:
        found = page.find(piece, at)
        assert found >= 0, f"docs/incidents.md lacks what tests/incidents/page.md has: {piece.strip()[:200]}"
        at = found + len(piece)
