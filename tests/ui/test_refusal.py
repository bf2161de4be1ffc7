"""Where there is no terminal to draw on, that is said at once, without importing Textual."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.ui.ptys import ROOT, child_in_terminal

ASK = """
import sys
from bpftop.errors import BpftopError
from bpftop.ui.options import UiOptions
from bpftop.ui.terminal import refuse_terminal
try:
    refuse_terminal("nginx")
    print("fine")
except BpftopError as error:
    print(error.exit_code, error.message)
    print(error.hint)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"textual", "rich", "plotext"}))
"""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_terminals_that_cannot_be_drawn_on(term: str) -> None:
    with child_in_terminal(["-c", ASK], env={"TERM": term}) as terminal:
        assert terminal.leave() == 0
        assert "2 the live screen needs a terminal that can be drawn on, and TERM is" in terminal.text
        assert "bpftop report nginx -d 10" in terminal.text
        assert "[]" in terminal.text


def test_a_terminal_is_fine() -> None:
    with child_in_terminal(["-c", ASK]) as terminal:
        assert terminal.leave() == 0
        assert "fine" in terminal.text
        assert "[]" in terminal.text


def test_no_terminal() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "2 the live screen needs a terminal, and stdin is not one",
        "bpftop report nginx -d 10",
        "[]",
    ]
