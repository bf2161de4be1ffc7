"""Cells written past Textual: the terminal looks as if everything had been drawn anew."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.style import Style

from bpftop.ui.direct import Cells, Pen, cells
from bpftop.ui.paint import Line, Role, Span, fit
from tests.ui.ptys import Terminal, child_in_terminal
from tests.ui.test_thrift import SIZE, _cells

ROLES: tuple[Role, ...] = ("", "dim", "strong", "p99", "cursor", "tab", "heat-3")
STYLES: dict[Role, Style] = {
    "": Style(color="#d3dae3", bgcolor="#0f141a"),
    "dim": Style(color="#859099", bgcolor="#0f141a"),
    "strong": Style(color="#d3dae3", bgcolor="#0f141a", bold=True),
    "p99": Style(color="#e9b44c", bgcolor="#0f141a"),
    "cursor": Style(color="#d3dae3", bgcolor="#203040"),
    "tab": Style(color="#0f141a", bgcolor="#6cb2eb", bold=True),
    "heat-3": Style(color="#d3dae3", bgcolor="#721f81"),
}
SPANS = st.builds(Span, st.text("ab1 µ█⣀", max_size=9), st.sampled_from(ROLES), st.sampled_from(("", "cursor")))
LINES = st.builds(Line, st.lists(SPANS, max_size=6).map(tuple), st.sampled_from(("", "cursor")))
INCIDENT = Path(__file__).parents[2] / "screenshots/incident.bpftop"


def _pen() -> Pen:
    return Pen(lambda fill, role: STYLES[role] if role else STYLES[fill], ColorSystem.TRUECOLOR)


def _row(line: Line) -> Cells:
    found = cells(fit(line, SIZE[0]), SIZE[0], lambda text: text)
    assert found is not None
    return found


@given(st.lists(st.tuples(LINES, LINES), min_size=1, max_size=SIZE[1]))
def test_the_cells_that_differ_make_the_new_rows_of_the_old_ones(rows: list[tuple[Line, Line]]) -> None:
    pen, nothing = _pen(), Cells("\x00" * SIZE[0], _row(Line()).looks)
    old, new = ([_row(pair[i]) for pair in rows] for i in (0, 1))
    drawn = pen.rows((0, y, nothing, row) for y, row in enumerate(old))
    anew = pen.rows((0, y, nothing, row) for y, row in enumerate(new))
    sent = pen.rows((0, y, *pair) for y, pair in enumerate(zip(old, new, strict=True)))
    assert _cells(drawn, sent) == _cells(anew)
    assert len(sent) <= len(anew)


def test_what_looks_the_same_sends_nothing_and_one_figure_little() -> None:
    pen = _pen()
    before = _row(Line((Span("requests 1,234/s", "strong"), Span("   ", "dim"), Span("p99 12 ms", "p99"))))
    blank = _row(Line((Span("requests 1,234/s", "strong"), Span("   ", "p99"), Span("p99 12 ms", "p99"))))
    after = _row(Line((Span("requests 1,234/s", "strong"), Span("   ", "dim"), Span("p99 13 ms", "p99"))))
    assert pen.rows([(0, 0, before, blank)]) == ""
    assert len(pen.rows([(0, 0, before, after)])) <= len("\x1b[1;25H\x1b[38;2;233;180;76;48;2;15;20;26m3\x1b[0m")


def test_characters_that_take_two_cells_are_left_to_textual() -> None:
    assert cells(Line((Span("漢"),)), 10, lambda text: text) is None


def test_after_some_seconds_the_terminal_shows_what_a_whole_drawing_shows() -> None:
    words = ["-m", "bpftop", "replay", str(INCIDENT), "--speed", "8", "--refresh", "0.25"]
    with child_in_terminal(words) as terminal:
        for key, words_of_pane in (("1", "Trend"), ("3", "a column is")):
            terminal.type("\x1b[H")  # Home: from the beginning on
            terminal.type(key)
            terminal.until(words_of_pane)
            before = len(terminal.sent)
            while len(terminal.sent) < before + 5000:  # some frames
                terminal.read()
            terminal.type(" ")
            terminal.until("PAUSED")
            terminal.read(0.5)
            shown = _looks(terminal)
            terminal.type("0")
            terminal.until("Probes")
            terminal.type(key)
            terminal.until(words_of_pane)
            terminal.read(0.5)
            assert _looks(terminal) == shown


def _looks(terminal: Terminal) -> list[list[tuple[str, str, str]]]:
    """Characters and colours; the ink of a blank cannot be seen. The keys below depend on the way to a pane."""
    screen = terminal.screen
    rows = [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(screen.lines - 1)]
    return [[(c.data, c.fg if c.data != " " else "", c.bg) for c in row] for row in rows]
