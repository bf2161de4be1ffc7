"""The answer on one screen: what stands out, how slow, where the time goes, for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from bpftop.model import MeasureSnapshot
from bpftop.stats.findings import Verdict
from bpftop.stats.stages import READ
from bpftop.ui import breakdown, overview
from bpftop.ui.kinds import kinds, of_kind
from bpftop.ui.overview import chart
from bpftop.ui.paint import EMPTY, Line, Span, beside, line
from bpftop.ui.panes.base import MeasurePane
from bpftop.ui.panes.slow import slow_columns
from bpftop.ui.plot import MIN_HEIGHT
from bpftop.ui.table import table
from bpftop.ui.verdict import Judge, clause_at, evidence_lines, verdict_lines
from bpftop.ui.view import View

_WIDE, _HIGH = 110, 30
"""From this size on there are two columns, with more in them."""
_LOW = 21
"""Up to this height a long verdict takes the place of a blank row."""


_REST, _LEAST = 13, 5
"""Rows for what follows the measures, and measures that are shown in any case."""
_CHART = 14
"""Rows from which on a chart is large enough for another one below it."""
_COLUMNS = _HIGH - 10
"""Rows that two columns need."""


class Overview(MeasurePane):
    """Verdict, all measures, time breakdown, clients, percentiles over time; more where there is room."""

    TITLE = "Overview"
    SHORT = "Overview"
    WHOLE = True
    ABOUT = (
        "The first lines are the answer in words: what stands out in the last 10 s, made from measured figures only. "
        "Left and right choose a clause; below them is what it rests on, and Enter opens the pane that shows more of "
        "it, with its measure and filter. A measure stands out when in 3 of the last 5 seconds at least 2 % of it was "
        "beyond three times the p99 of the calm seconds before and 5 ms more (a queue also when 10 % wait over 20 ms), "
        "until 5 good seconds in a row. A client, network or route is named when its share of the slow ones is at "
        "least twice and 25 points above its share of all, and chance is no explanation; a worker or upstream from "
        "60 % of the time on. Below it every measure over the window, n is how many; percentiles are within 0.8 %. A "
        "dim p99 rests on fewer than 100 observations, a dim p99.9 on fewer than 1,000. The trend is p99 over time on "
        f"a log scale of its own, which begins at what is usual. {breakdown.ABOUT} Clients are listed by their share "
        "of the slowest 1 % of the marked measure ('Of slow'); 'Of all' is their share of all of it. Workers, where "
        "there is room: how many of the single slow requests each one answered, and how long they waited to be read. "
        "The chart shows p50 and p99 of the marked measure, one point a second, on a log axis; a gap is a second "
        "without observations."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "look", "Look", tooltip="open the pane that shows more of the chosen clause"),
        Binding("left,h", "clause(-1)", "Clause before", show=False, tooltip="choose the clause before"),
        Binding("right,l", "clause(1)", "Next clause", show=False, tooltip="choose the next clause of the verdict"),
        Binding("up,k", "screen.next_measure(-1)", "Previous measure", show=False),
        Binding("down,j", "screen.next_measure(1)", "Next measure", show=False),
        Binding("m", "maximise", "Maximise", tooltip="the chart alone, or all again", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.maximised = False
        self.verdict = Verdict()
        self.chosen = ""
        """The key of the chosen clause; another one is taken when it is not said any more."""
        self.judge = Judge()
        self._said: tuple[tuple[Verdict, str, int] | None, list[Line]] = None, []
        self._answered: tuple[int, list[Line]] = 0, []
        """The row on the screen where the verdict begins, and its lines."""
        self._measured: tuple[int, list[MeasureSnapshot]] = 0, []
        """The row on the screen of the first measure, and those that have a row."""

    def action_maximise(self) -> None:
        """The chart alone, or all again."""
        self.maximised = not self.maximised
        self.redraw()

    def action_clause(self, step: int) -> None:
        """Choose another clause."""
        keys = [each.key for each in self.verdict.clauses]
        if keys:
            place = keys.index(self.chosen) if self.chosen in keys else 0
            self.chosen = keys[(place + step) % len(keys)]
            self.redraw()

    def action_look(self) -> None:
        """Open what the chosen clause speaks of."""
        found = next((each for each in self.verdict.clauses if each.key == self.chosen), None)
        if found is not None:
            self.screen.go_to(found.place)  # type: ignore[attr-defined]

    def on_click(self, event: events.Click) -> None:
        """A measure is marked, a clause chosen; a double click opens what it speaks of."""
        top, lines = self._answered
        first, measures = self._measured
        clause = clause_at(lines, self.verdict.clauses, event.x - self.styles.padding.left, event.y - top)
        if clause is not None:
            self.chosen = clause
            self.redraw()
            if event.chain == 2:
                self.action_look()
        elif 0 <= event.y - first < len(measures):
            self.screen.use_measure(measures[event.y - first].measure.name)  # type: ignore[attr-defined]

    async def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel marks another measure, as the arrow keys do."""
        await self.run_action("screen.next_measure(1)")

    async def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel marks another measure, as the arrow keys do."""
        await self.run_action("screen.next_measure(-1)")

    def _judge(self, view: View) -> None:
        verdict = self.judge(view.snapshot)
        if view.before is not None and verdict.clauses and not verdict.trouble and not view.paused:
            verdict = replace(verdict, clauses=(*verdict.clauses, view.before))
        if verdict != self.verdict:
            self.verdict = verdict
            keys = [each.key for each in self.verdict.clauses]
            self.chosen = self.chosen if self.chosen in keys else keys[0] if keys else ""

    def _answer(self, width: int) -> list[Line]:
        """The verdict and what the chosen clause rests on; made once, as long as they say the same."""
        made_of = self.verdict, self.chosen, width
        if self._said[0] != made_of:
            lines = verdict_lines(self.verdict, self.chosen, width)
            found = next((each for each in self.verdict.clauses if each.key == self.chosen), None)
            self._said = made_of, [*lines, *(evidence_lines(found, width) if found else ())]
        return [*self._said[1]]

    def draw(self, view: View, width: int, height: int) -> list[Line]:
        """Top down, the most important first; what has no room is left out whole."""
        shown = view.shown
        if shown is None:
            return []
        self._judge(view)
        lines = self._answer(width)
        self._answered, self._measured = (self.size.height - height, [*lines]), (0, [])
        if self.maximised:
            return [*lines, EMPTY, *chart(shown, view, width, height - len(lines) - 1, large=True)]
        lines += [] if height <= _LOW and len(lines) > 3 else [EMPTY]
        left = height - len(lines)
        rest = _COLUMNS + 2 if width >= _WIDE and left >= _COLUMNS + _LEAST + 2 else _REST
        most = max(left - rest, min(_LEAST, left - 1), 2)
        self._measured = self.size.height - height + len(lines) + 1, overview.measures_shown(view, most)
        lines += [*overview.measures_table(view, width, most), EMPTY]
        room = height - len(lines)
        if width >= _WIDE and room >= _COLUMNS:
            return lines + _large(shown, view, width, room)
        stages = breakdown.breakdown(view.snapshot, width)
        if stages and room >= len(stages):
            close = room == len(stages) + 1  # the clients are worth more than a blank row
            lines += stages if close else [*stages, EMPTY]
            room -= len(stages) + (not close)
        return lines + _below(shown, view, width, room)


def _below(shown: MeasureSnapshot, view: View, width: int, room: int) -> list[Line]:
    """Clients, and the chart where there is room for both."""
    if room <= MIN_HEIGHT + 1 or width < 76:
        rows = room if width >= 76 or room <= MIN_HEIGHT + 4 else room - MIN_HEIGHT - 2
        lines = overview.clients(shown, width, rows)
        return lines + (chart(shown, view, width, room - rows) if rows < room else [])
    side = 36 if width < 100 else min(50, width // 2 - 8)
    left = width - side - 3
    return beside(chart(shown, view, left, room), overview.clients(shown, side, room), left, 3)


def _large(shown: MeasureSnapshot, view: View, width: int, height: int) -> list[Line]:
    """Two columns: the breakdown, the charts of two measures; clients, workers, slow requests."""
    side = max(min(66, width * 2 // 5), 50)
    left = width - side - 3
    stages = breakdown.breakdown(view.snapshot, left)
    one = [*stages, EMPTY, *_charts(shown, view, left, height - len(stages) - 1)]
    workers = overview.workers(view.snapshot, side, 8 if height >= 34 else 0)
    below = (len(workers) + 1 if workers else 0) + max(height // 3, 4)
    right = [*overview.clients(shown, side, height - below - 1), EMPTY]
    right += [*workers, EMPTY] if workers else []
    return beside(one, [*right, *slowest(view, side, height - len(right))], left, 3)


def _charts(shown: MeasureSnapshot, view: View, width: int, room: int) -> list[Line]:
    """One below the other: the marked measure, the read queue, then the others; as many as are readable."""
    measures = view.snapshot.measures
    rest = [each for each in (measures.get(READ), *measures.values()) if each is not None and each.summary.count]
    drawn = list({each.measure.name: each for each in (shown, *rest)}.values())
    drawn = drawn[: max(1 + (room >= 2 * MIN_HEIGHT + 3), room // _CHART)]
    lines: list[Line] = []
    for left, each in zip(range(len(drawn), 0, -1), drawn, strict=True):
        free = room - len(lines) - (left - 1)
        lines += [*chart(each, view, width, free - free // left * (left - 1)), *[EMPTY] * (left > 1)]
    return lines


def slowest(view: View, width: int, height: int) -> list[Line]:
    """The slowest single requests."""
    found = of_kind(view.snapshot, next(iter(kinds(view.snapshot)), ""))
    rows = found[: max(height - 2, 0)]
    heading = line(Span("Slowest requests", "strong"), Span(f"  {len(found):,} in the window", "dim"))
    if not rows:
        return [heading, line(Span("none sent by the kernel yet", "dim"))]
    return [heading, *table(slow_columns(rows), rows, width)]
