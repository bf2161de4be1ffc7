"""What the text of a bpftrace program tells about its maps: how they are filled, when they are printed. Pure.

No parser of the language: comments and strings are blanked, then blocks are found by their braces. What it does not
understand it leaves out; nothing that is measured depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bpftop.anyscript.model import MapFacts

_NOISE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
_MAP = re.compile(r"@[A-Za-z_]\w*|@")
_FUNCTION = re.compile(r"\s*=\s*(hist|lhist|stats|avg|count|sum|min|max|tseries)\s*\(")
_STEP = re.compile(r"\s*(\+\+|\+=)")
_CALL = re.compile(r"\b(print|clear|zero|delete)\s*\(\s*$")
_ELAPSED = re.compile(r"[\s(]*(?:\(\w+\)\s*)?nsecs(?:\(\w*\))?\s*-[^/*+-]*?\)*\s*(?:/\s*(?P<by>\w+)\s*)?\)*")
_DIVIDED = {"1": "ns", "1000": "us", "1e3": "us", "1000000": "ms", "1e6": "ms", "1000000000": "s", "1e9": "s"}
_MAX_KEYS = re.compile(r"\bmax_map_keys\s*=\s*(\d+)")


def blanked(text: str) -> str:
    """The text with comments and the insides of strings as blanks, of the same length and lines."""
    return _NOISE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def maps_of(text: str) -> dict[str, MapFacts]:
    """The maps of a program in the order of their first mention."""
    found: dict[str, _Reading] = {}
    clear = blanked(text)
    for probes, begin, end in _blocks(clear):
        at_end = _is_end(probes)
        for use in _MAP.finditer(clear, begin, end):
            reading = found.setdefault(use[0], _Reading())
            keys, after = _brackets(text, clear, use.end())
            reading.use(clear, use.start(), after, keys, at_end)
    return {name: reading.facts(name) for name, reading in found.items()}


def max_map_keys(text: str) -> int | None:
    """What the program's ``config`` says about the size of its maps."""
    match = _MAX_KEYS.search(blanked(text))
    return int(match[1]) if match else None


class _Reading:
    """The uses of one map."""

    def __init__(self) -> None:
        self._function = self._measured = ""
        self._keys: tuple[str, ...] = ()
        self._calls: set[tuple[str, bool]] = set()

    def use(self, clear: str, start: int, after: int, keys: tuple[str, ...], at_end: bool) -> None:
        """One mention, from ``start``; its brackets end at ``after``."""
        if keys and (not self._keys or not re.search(r"[A-Za-z_$]", self._keys[0])):
            self._keys = keys
        if call := _CALL.search(clear, max(start - 40, 0), start):
            self._calls.add((call[1], at_end))
        if match := _FUNCTION.match(clear, after) or _STEP.match(clear, after):
            if not self._function and match[1] not in ("++", "+="):
                self._measured = unit_of_time(_first_argument(clear, match.end()), clear)
            self._function = self._function or match[1]

    def facts(self, name: str) -> MapFacts:
        """All uses together."""
        calls = self._calls
        return MapFacts(
            name,
            self._function,
            self._keys,
            printed=("print", False) in calls,
            printed_at_end=("print", True) in calls,
            cleared=bool({("clear", False), ("zero", False)} & calls),
            cleared_at_end=bool({("clear", True), ("zero", True)} & calls),
            measured=self._measured,
            deleted=bool({("delete", True), ("delete", False)} & calls),
        )


def _blocks(clear: str) -> Iterator[tuple[str, int, int]]:
    """(the words before the brace, where it opens, where it closes) of every outermost block."""
    depth, opened, before = 0, 0, 0
    for brace in re.finditer(r"[{}]", clear):
        if brace[0] == "{":
            opened = brace.start() if depth == 0 else opened
            depth += 1
        elif depth:
            depth -= 1
            if depth == 0:
                # The predicate before the brace is part of the block: it mentions maps too.
                yield clear[before:opened], before, brace.end()
                before = brace.end()
    if depth:
        yield clear[before:opened], before, len(clear)


def attach_points(text: str) -> tuple[str, ...]:
    """What the program attaches to, without ``BEGIN`` and ``END``, wildcards as they are."""
    found = [point for probes, _, _ in _blocks(blanked(text)) for point in _points(probes)]
    return tuple(point for point in found if ":" in point)


def _points(probes: str) -> list[str]:
    words = re.sub(r"(?m)^\s*#.*$", "", probes).partition("/")[0]
    return [each.strip() for each in words.split(",") if each.strip()]


def _is_end(probes: str) -> bool:
    return all(each in ("END", "end") for each in _points(probes))


def _first_argument(clear: str, at: int) -> str:
    """The text from behind an opening parenthesis to the comma or the parenthesis that ends it."""
    depth = 1
    for place in range(at, len(clear)):
        depth += (clear[place] in "([{") - (clear[place] in ")]}")
        if depth == 0 or (depth == 1 and clear[place] == ","):
            return clear[at:place].strip()
    return ""


def unit_of_time(expression: str, text: str) -> str:
    """``ns``, ``us``, ``ms`` or ``s`` of a difference of ``nsecs`` divided by a constant; empty for anything else.

    A variable is looked up in ``text``: all that is assigned to it must have the same unit.
    """
    said = [expression]
    if re.fullmatch(r"\$\w+", expression):
        said = re.findall(re.escape(expression) + r"\s*=([^=;][^;]*);", text)
    matches = [_ELAPSED.fullmatch(" ".join(each.split())) for each in said]
    units = {_DIVIDED.get(match["by"] or "1", "") if match else "" for match in matches}
    return units.pop() if len(units) == 1 else ""


def _brackets(text: str, clear: str, at: int) -> tuple[tuple[str, ...], int]:
    """The expressions between the brackets that open here, and where they close; none when no bracket opens."""
    opens = re.compile(r"\s*\[").match(clear, at)
    if not opens:
        return (), at
    depth, parts, start = 1, [], opens.end()
    for place in range(opens.end(), len(clear)):
        char = clear[place]
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        if depth == 0 or (depth == 1 and char == ","):
            parts.append(" ".join(text[start:place].split()))
            start = place + 1
        if depth == 0:
            return tuple(parts), start
    return (), at
