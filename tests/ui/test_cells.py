"""How many cells a text takes: the short way says what the long one says."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len as by_rich

from bpftop.ui.cells import cell_len


def test_every_character_takes_as_many_cells_as_rich_says() -> None:
    characters = [chr(code) for code in range(min(0x30000, sys.maxunicode)) if not 0xD800 <= code < 0xE000]
    assert [each for each in characters if cell_len(each) != by_rich(each)] == []


@given(st.text("aµ█⣀漢\u0301\u200d\ufe0f…→\x1b ", max_size=12))
def test_texts_too(text: str) -> None:
    assert cell_len(text) == by_rich(text)
