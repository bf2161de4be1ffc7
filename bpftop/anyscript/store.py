"""What a run has printed until now: the last print of each map, how it changes, and the log. Pure but for the clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from bpftop.anyscript import keys
from bpftop.anyscript.model import (
    ACCUMULATING,
    Histogram,
    LogLine,
    MapFacts,
    MapView,
    Printed,
    Row,
    Stats,
    UserScript,
    Value,
)

KEPT_LINES = 20_000
"""Lines of the log that are kept; a snapshot carries the newest of them."""
SHOWN_LINES = 5_000
_HISTORY = 180
"""Points of a trend: three minutes of a script that prints every second."""
_HISTORY_KEYS = 200
"""Maps with more keys have no trend for each of them."""
_NEAREST_S = 0.2
"""Two prints of a map that are closer than this are one moment: no rate comes of them."""
_LONGEST_LINE = 4096
MAX_MAPS = 1000
"""Maps that are kept, besides those that the program's text has; nobody prints so many."""
_HEAD = 4


@dataclass
class _Past:
    """What is remembered of one map."""

    view: MapView
    numbers: dict[str, float] = field(default_factory=dict)
    trends: dict[str, deque[float]] = field(default_factory=dict)
    rates: dict[str, float | None] = field(default_factory=dict)


class MapStore:
    """The maps of a run."""

    def __init__(self, script: UserScript, max_keys: int) -> None:
        self._facts = script.maps
        self._limit = script.max_keys or max_keys
        self._past: dict[str, _Past] = {}

    def take(self, printed: Printed, unix_ns: int, *, ending: bool) -> bool:
        """One print of a map. ``ending``: the run was asked to end, so that no rate comes of it.

        False: there are too many maps already, it is not kept.
        """
        if len(self._past) >= MAX_MAPS and printed.name not in self._past and printed.name not in self._facts:
            return False
        facts = self._facts.get(printed.name) or MapFacts(printed.name)
        past = self._past.setdefault(printed.name, _Past(MapView(facts, printed.keyed)))
        if ending and facts.cleared_at_end and past.view.prints and not any(map(_weight, printed.rows.values())):
            return True  # what the program has cleared in END is printed as 0 all the same
        before = past.view.printed_unix_ns
        span_s = (unix_ns - before) / 1e9 if before else 0.0
        if not ending and (before is None or span_s >= _NEAREST_S):
            self._compare(past, facts, printed.rows, span_s)
        rows = [self._row(past, facts, key, value) for key, value in printed.rows.items()]
        rows.sort(key=_order)
        past.view = MapView(
            facts, printed.keyed, tuple(rows), unix_ns, past.view.prints + 1, self._is_full(printed.rows)
        )
        return True

    def _compare(self, past: _Past, facts: MapFacts, rows: Mapping[str, Value], span_s: float) -> None:
        numbers = {key: number for key, value in rows.items() if (number := _weight(value)) is not None}
        grows = facts.function in ACCUMULATING
        past.rates = {
            key: _rate(number, past.numbers.get(key), span_s, facts.cleared, grows) for key, number in numbers.items()
        }
        if len(numbers) > _HISTORY_KEYS:
            past.trends.clear()
        else:
            past.trends = {key: past.trends.get(key) or deque(maxlen=_HISTORY) for key in numbers}
            for key, number in numbers.items():
                point = past.rates[key] if grows else float(_shown(rows[key], number))
                if point is not None:
                    past.trends[key].append(point)
        past.numbers = numbers

    def _row(self, past: _Past, facts: MapFacts, key: str, value: Value) -> Row:
        parts = keys.split(key, facts.keys) if key or facts.keys else ()
        return Row(parts, value, past.rates.get(key), tuple(past.trends.get(key, ())))

    def _is_full(self, rows: Mapping[str, Value]) -> bool:
        entries = sum(value.entries if isinstance(value, Histogram) else 1 for value in rows.values())
        return len(rows) > 1 and entries >= self._limit

    def views(self, *, over: bool) -> tuple[MapView, ...]:
        """All maps: the printed ones, and while the run goes on those still to come; the program's memory last."""
        names = dict.fromkeys([*self._facts, *self._past])
        found = []
        for name in names:
            facts = self._facts.get(name) or MapFacts(name)
            past = self._past.get(name)
            if past is not None and (past.view.rows or not over):
                found.append(past.view)
            elif past is None and not over and not facts.hidden:
                found.append(MapView(facts, bool(facts.keys)))
        return tuple(sorted(found, key=lambda view: view.facts.scratch))


class Log:
    """Lines from pieces: a bounded ring that counts what it drops."""

    def __init__(self, kept: int = KEPT_LINES) -> None:
        self._lines: deque[LogLine] = deque(maxlen=kept)
        self._open = ""
        self.head: list[str] = []
        """The first lines of all."""
        self.total = 0
        """All lines, the dropped ones included."""

    @property
    def open(self) -> bool:
        """Words stand without a newline."""
        return bool(self._open)

    @property
    def dropped(self) -> int:
        """Lines that are no longer kept."""
        return self.total - len(self._lines)

    def say(self, text: str, unix_ns: int) -> None:
        """Words of the program; a line is over with its newline."""
        *whole, self._open = (self._open + text).split("\n")
        for line in whole:
            self._append(line, unix_ns, True)
        if len(self._open) > _LONGEST_LINE:
            self.end_line(unix_ns)

    def end_line(self, unix_ns: int, more: str = "") -> None:
        """Something else is printed: what stands without a newline is a line; ``more`` is put behind it."""
        if self._open or more:
            self._append(self._open + more, unix_ns, True)
        self._open = ""

    def complain(self, text: str, unix_ns: int) -> None:
        """Words of bpftrace."""
        self.end_line(unix_ns)
        self._append(text.rstrip("\n"), unix_ns, False)

    def since(self, seen: int) -> tuple[list[LogLine], int]:
        """The lines after the first ``seen``, and how many of them are no longer there."""
        new = self.total - seen
        there = min(new, len(self._lines))
        # From the end: a deque finds what is in its middle only by walking there.
        return list(islice(reversed(self._lines), there))[::-1], new - there

    def newest(self, most: int = SHOWN_LINES) -> tuple[LogLine, ...]:
        """The last lines, and the one that is not over yet."""
        lines, _ = self.since(max(self.total - most, 0))
        if self._open and lines:
            lines.append(LogLine(lines[-1].unix_ns, self._open))
        elif self._open:
            lines.append(LogLine(0, self._open))
        return tuple(lines)

    def _append(self, text: str, unix_ns: int, own: bool) -> None:
        if own and len(self.head) < _HEAD:
            self.head.append(text)
        self._lines.append(LogLine(unix_ns, text[:_LONGEST_LINE].rstrip("\r"), own))
        self.total += 1


def _weight(value: Value) -> float | None:
    """The number that a change is computed of; ``None`` for words."""
    if isinstance(value, (Histogram, Stats)):
        return value.count
    return value if isinstance(value, int) else None


def _shown(value: Value, number: float) -> float:
    return value.average if isinstance(value, Stats) else number


def _order(row: Row) -> tuple[float, tuple[str, ...]]:
    weight = _weight(row.value)
    return (float("inf") if weight is None else -weight, row.key)


def _rate(number: float, before: float | None, span_s: float, cleared: bool, grows: bool) -> float | None:
    """Change in a second. What is cleared after each print has grown from nothing; what shrinks began anew."""
    if not span_s:
        return None
    if cleared and grows:
        return number / span_s
    if before is None:
        before = 0.0 if grows else number
    change = number - before
    return None if grows and change < 0 else change / span_s
