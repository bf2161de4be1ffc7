"""The terminal shows the same with fewer bytes: written spans, and the cells of a row that are sent again."""

from __future__ import annotations

from collections.abc import Sequence

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style

from bpftop.ui.paint import Line, Span, differing, fit
from bpftop.ui.thrift import shortened

SIZE = 40, 6
COLOURS = ("default", "red", "bright_blue", "#102030", "color(208)")
STYLES = st.builds(
    Style, color=st.sampled_from(COLOURS), bgcolor=st.sampled_from(COLOURS),
    bold=st.booleans(), dim=st.booleans(), underline=st.booleans(), reverse=st.booleans(),
)  # fmt: skip
WRITES = st.lists(
    st.tuples(
        st.integers(1, SIZE[1]),
        st.integers(1, 10),
        st.lists(st.tuples(st.sampled_from(("ab", "  ", "µ█", "")), STYLES)),
    ),
    min_size=1,
    max_size=6,
)


def _sent(writes: list[tuple[int, int, list[tuple[str, Style]]]], system: str) -> str:
    console = Console(color_system=system, force_terminal=True, width=SIZE[0])  # type: ignore[arg-type]
    out = []
    for y, x, spans in writes:
        out.append(f"\x1b[{y};{x}H")
        out += [Segment(text, style).style.render(text, color_system=console._color_system) for text, style in spans]  # type: ignore[union-attr]
    return "".join(out)


def _cells(*sent: str) -> list[list[tuple[object, ...]]]:
    """What each cell looks like: the ink of a blank without a line under it cannot be seen."""
    screen = pyte.Screen(*SIZE)
    stream = pyte.Stream(screen)
    for each in sent:
        stream.feed(each)
    rows = [[screen.buffer[y][x] for x in range(SIZE[0])] for y in range(SIZE[1])]
    return [
        [
            (c.data, c.bg, c.underscore, c.reverse)
            if c.data == " " and not (c.reverse or c.underscore)
            else (c.data, c.fg, c.bg, c.bold, c.underscore, c.reverse)
            for c in row
        ]
        for row in rows
    ]


@given(WRITES, WRITES, st.sampled_from(("truecolor", "256", "standard")))
def test_what_is_shortened_looks_the_same(
    first: list[tuple[int, int, list[tuple[str, Style]]]],
    second: list[tuple[int, int, list[tuple[str, Style]]]],
    system: str,
) -> None:
    one, two = _sent(first, system), _sent(second, system)
    assert _cells(shortened(one), shortened(two)) == _cells(one, two)
    assert len(shortened(one)) <= len(one)


def test_a_colour_is_said_once_for_neighbours_and_taken_back_at_the_end() -> None:
    red = "\x1b[31;40m"
    assert shortened(f"{red}a\x1b[0m{red}b\x1b[0m\x1b[32;40mc\x1b[0m") == f"{red}ab\x1b[32mc\x1b[0m"
    assert shortened(f"\x1b[1;31;40ma\x1b[0m{red}b\x1b[0m") == "\x1b[31;40;1ma\x1b[0;31;40mb\x1b[0m"
    assert shortened("\x1b[?25l") == "\x1b[?25l"


SPANS = st.lists(
    st.builds(Span, st.text("ab 7", max_size=6), st.sampled_from(("", "dim", "bad")), st.sampled_from(("", "cursor")))
)


@given(SPANS, SPANS, st.integers(1, 30))
def test_all_cells_that_differ_are_sent_again(old: list[Span], new: list[Span], width: int) -> None:
    before, after = Line(tuple(old)), Line(tuple(new))
    stretches = differing(before, after, width)
    assert all(0 <= start < end <= width for start, end in stretches)
    sent = {x for start, end in stretches for x in range(start, end)}

    def cells(row: Line) -> Sequence[object]:
        return [(char, s.role, s.fill) for s in fit(row, max(row.cells, width)).spans for char in s.text][:width]

    changed = {x for x, (a, b) in enumerate(zip(cells(before), cells(after), strict=True)) if a != b}
    assert changed <= sent


def test_one_figure_that_changes_is_sent_without_its_neighbours() -> None:
    row = [Span("name" * 5), Span("12 ms", "p50"), Span(" " * 30), Span("13 ms", "p99")]
    other = [*row[:3], Span("14 ms", "p99")]
    assert differing(Line(tuple(row)), Line(tuple(other)), 80) == [(55, 60)]
    assert differing(Line(tuple(row)), Line(tuple(row), "cursor"), 80) == [(0, 80)]
