"""The pictures of the README show what the program shows now.

Only the words are compared: colours and coordinates in an SVG change with a version of Rich or Textual, and PNG and
GIF with one of the rasteriser, without a change of ours. Figures, labels, keys and the glyphs of charts are words.
What only moves or has another colour does not make the pictures stale.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator

import pytest

from bpftop.scripts import catalog
from screenshots.make import INCIDENT, MACHINE, PLACE, ROOT, STILLS, Shot, picture

LARGEST_RECORDING, LARGEST_GIF = 400_000, 800_000


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those in which the pictures were made."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def words(svg: str) -> list[str]:
    """What is written in a picture, piece by piece."""
    pieces = (html.unescape(piece).replace("\xa0", " ") for piece in re.findall(r"<text[^>]*>([^<]*)</text>", svg))
    return " ".join(pieces).split()


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("shot", STILLS, ids=lambda shot: shot.name)
def test_the_pictures_are_not_stale(shot: Shot) -> None:
    stored = words((PLACE / f"{shot.name}.svg").read_text())
    assert len(stored) > 50
    assert words(picture(shot)) == stored, f"{shot.name}.svg is stale: run `make screenshots`, commit what changed"


def test_every_picture_is_there_and_none_is_left_over() -> None:
    made = {f"{shot.name}.{kind}" for shot in STILLS for kind in ("svg", "png")} | {"demo.gif"}
    assert {path.name for path in PLACE.iterdir() if path.suffix in (".svg", ".png", ".gif")} == made
    assert max(each.stat().st_size for each in (INCIDENT, MACHINE)) <= LARGEST_RECORDING
    assert (PLACE / "demo.gif").stat().st_size <= LARGEST_GIF


def test_every_pane_has_a_picture() -> None:
    panes = {script.pane for script in catalog().values() if script.pane}
    assert {shot.pane for shot in STILLS} >= panes | {"Overview", "Latency", "Heat map", "Clients", "Slow requests"}


def test_the_pictures_load_nothing_from_a_server() -> None:
    for shot in STILLS:
        svg = (PLACE / f"{shot.name}.svg").read_text()
        assert not re.search(r"@font-face|url\(\s*[\"']?http|href=[\"']http", svg), shot.name


def test_the_readme_shows_pictures_that_are_there() -> None:
    linked = re.findall(r"!\[[^]]*\]\((screenshots/[^)]+)\)", (ROOT / "README.md").read_text())
    assert "screenshots/demo.gif" in linked
    assert [name for name in linked if not (ROOT / name).is_file()] == []
