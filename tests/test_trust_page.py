"""docs/trust.md names tests and commands that are there."""

from __future__ import annotations

import re

from bpftop.supervision import requests
from tests.ui.ptys import ROOT

PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def test_every_test_and_every_command_that_is_named_is_there() -> None:
    named = set(re.findall(r"\btests/[\w/]+\.py", PAGE))
    assert len(named) >= 10
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    goals = set(re.findall(r"`make (\w+)", PAGE))
    assert goals >= {"faults", "fuzz"}
    assert [goal for goal in goals if f"\n{goal}: " not in makefile] == []
    assert list((ROOT / "tests/fuzz/finds").glob("*/*"))


def test_the_words_that_may_be_asked_are_those_of_the_code() -> None:
    section = PAGE.partition("## What the process without rights may ask for")[2].partition("\n## ")[0]
    words = [word.split()[0] for word in re.findall(r"`([a-z]+(?: NAME)?)`", section)]
    assert set(words) == set(requests.WORDS)
    assert "twelve words" in section
    assert len(requests.WORDS) == 12


def test_the_readme_leads_to_it() -> None:
    assert "docs/trust.md" in (ROOT / "README.md").read_text(encoding="utf-8")
