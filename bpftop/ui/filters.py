"""What ``/`` understands: words, networks and comparisons, all of which a row must meet.

``10.0.`` has it in its text, ``10.0.0.0/8`` is an address in that network, ``p99>50ms`` compares a figure, ``!`` before
any of them turns it round. A figure without a unit is a plain number; a duration needs one (ns, us, ms, s).
"""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bpftop.ui.columns import Columns, Positions

Holds = NDArray[np.bool_]

_COMPARISON = re.compile(r"(?P<name>[a-z0-9]+)\s*(?P<op>>=|<=|!=|>|<|=)\s*(?P<value>\d+(?:\.\d+)?)(?P<unit>[a-zµ]*)\Z")
_OPERATORS: Mapping[str, Callable[[Any, float], Any]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_TIMES = {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
_UNITS = {"": 1.0, **_TIMES, "k": 1e3, "m": 1e6}


class FilterError(ValueError):
    """A filter that cannot be understood; its text says why."""


class Term(Protocol):
    """One condition. Two terms are equal when they are the same condition."""

    def holds(self, columns: Columns, at: Positions) -> Holds:
        """Which of the rows at these positions meet it; shape (positions,)."""
        ...


@dataclass(frozen=True, slots=True)
class Word:
    """It stands in the row's text; ``wanted`` in lower case, as the texts of columns are."""

    wanted: str

    def holds(self, columns: Columns, at: Positions) -> Holds:
        """Search the texts."""
        texts, wanted = columns.texts, self.wanted
        found = (
            (wanted in text for text in texts) if len(at) == len(texts) else (wanted in texts[i] for i in at.tolist())
        )
        return np.fromiter(found, np.bool_, len(at))


@dataclass(frozen=True, slots=True)
class Inside:
    """An address of the row's text is in this network."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network

    def holds(self, columns: Columns, at: Positions) -> Holds:
        """Compare the numbers of the addresses."""
        found: Holds = columns.addresses.inside(self.network)[at]
        return found


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of the row compared with a number; a row without the figure does not meet it."""

    name: str
    op: str
    value: float

    def holds(self, columns: Columns, at: Positions) -> Holds:
        """Compare the column."""
        figures = columns.figure(self.name)[at]
        found: Holds = _OPERATORS[self.op](figures, self.value) & ~np.isnan(figures)
        return found


@dataclass(frozen=True, slots=True)
class Not:
    """What does not meet the other term."""

    term: Term

    def holds(self, columns: Columns, at: Positions) -> Holds:
        """Turn it round."""
        return ~self.term.holds(columns, at)


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was understood; an empty one lets everything pass."""

    text: str = ""
    terms: tuple[Term, ...] = ()

    def passing(self, columns: Columns, among: Positions | None = None) -> Positions:
        """The positions of the rows that pass, ascending; ``among``: only these are looked at, ascending."""
        at = np.arange(columns.count) if among is None else among
        for term in self.terms:
            at = at[term.holds(columns, at)]
        return at

    def narrows(self, other: Filter) -> bool:
        """Whether every row that passes this one is sure to pass ``other``: a letter was typed at its end."""
        return all(any(_implies(mine, theirs) for mine in self.terms) for theirs in other.terms)


def _implies(mine: Term, theirs: Term) -> bool:
    return mine == theirs or (isinstance(mine, Word) and isinstance(theirs, Word) and theirs.wanted in mine.wanted)


class Filterable:
    """What the line of ``/`` filters."""

    filter = Filter()
    EXAMPLE = "p99>50ms"
    """A comparison that can be typed there."""

    def refilter(self, text: str) -> None:
        """Show only what passes this filter from now on. Raises FilterError."""
        raise NotImplementedError


def parse(text: str, known: tuple[str, ...], times: Sequence[str] = ()) -> Filter:
    """The filter in ``text``; ``known`` are the names of figures, ``times`` those of them that need a unit of time.

    Raises FilterError.
    """
    return Filter(text.strip(), tuple(_term(word, known, times) for word in _words(text)))


def _words(text: str) -> list[str]:
    """The words, with the blanks around a comparison taken away: ``p99 > 50 ms`` is one."""
    joined = re.sub(r"\s*(>=|<=|!=|>|<|=)\s*", r"\1", text.strip())
    joined = re.sub(r"([<>=]\d+(?:\.\d+)?) (ns|us|µs|ms|s|k|m)\b", r"\1\2", joined)
    return joined.split()


def _term(word: str, known: tuple[str, ...], times: Sequence[str]) -> Term:
    if word.startswith("!") and len(word) > 1:
        return Not(_term(word[1:], known, times))
    if found := _COMPARISON.match(word.lower()):
        return _comparison(found, known, times)
    if re.search(r"[<>]", word):
        example = f"{times[0]}>50ms" if times else f"{known[0]}>50"
        raise FilterError(f"compare with a number, as {example}; there are {', '.join(known)}")
    if "/" in word and (network := _network(word)):
        return Inside(network)
    return Word(word.lower())


def _comparison(found: re.Match[str], known: tuple[str, ...], times: Sequence[str]) -> Comparison:
    name, unit = found["name"], found["unit"]
    if name not in known:
        raise FilterError(f"no {name} here; there are {', '.join(known)}")
    if unit not in _UNITS:
        raise FilterError(f"{unit}: no unit; there are ns, us, ms, s, k")
    if name in times and unit not in _TIMES and float(found["value"]):
        raise FilterError(f"{found[0]}: a time needs a unit: ns, us, ms or s")
    return Comparison(name, found["op"], float(found["value"]) * _UNITS[unit])


def _network(word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None  # a path has strokes, too
