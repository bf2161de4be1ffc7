"""A few cells of the grid in every run: the fastest load beside CPU hogs, and a reader that stands still."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.grid.cells import Cell, tried
from tests.kernel.watching import running_nginx

pytestmark = pytest.mark.kernel
HOGS = os.cpu_count() or 1


@pytest.mark.parametrize(
    "cell", [Cell(0, "full", HOGS, 3), Cell(10_000, "stalled", 0, 1)], ids=["max, hogs, 3 scripts", "stalled reader"]
)
def test_the_books_close_and_are_exact(cell: Cell, tmp_path: Path) -> None:
    with running_nginx(tmp_path) as nginx:
        outcome = tried(cell, None, nginx.port)
    assert outcome.wrong == (), outcome
