"""What ``/`` understands: words, networks and comparisons, all of which a row must meet.

``10.0.`` has it in its text, ``10.0.0.0/8`` is an address in that network, ``p99>50ms`` compares a figure, ``!`` before
any of them turns it round. A figure without a unit is a plain number; a duration needs one (ns, us, ms, s).
"""

from __future__ import annotations

import ipaddress
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

Figures = Callable[[str], float | None]
"""The figure of a row by its name, in ns or as a plain number; None where the row does not have it."""
Term = Callable[[str, Figures], bool]

_COMPARISON = re.compile(r"(?P<name>[a-z0-9]+)\s*(?P<op>>=|<=|!=|>|<|=)\s*(?P<value>\d+(?:\.\d+)?)(?P<unit>[a-zµ]*)\Z")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_UNITS = {"": 1.0, "ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9, "k": 1e3, "m": 1e6}


class FilterError(ValueError):
    """A filter that cannot be understood; its text says why."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was understood; an empty one lets everything pass."""

    text: str = ""
    terms: tuple[Term, ...] = ()

    def __call__(self, text: str, figures: Figures) -> bool:
        """Whether a row passes. ``text``: everything in it that can be read."""
        return all(term(text, figures) for term in self.terms)


class Filterable:
    """What the line of ``/`` filters."""

    filter = Filter()

    def refilter(self, text: str) -> None:
        """Show only what passes this filter from now on. Raises FilterError."""
        raise NotImplementedError


def parse(text: str, known: tuple[str, ...]) -> Filter:
    """The filter in ``text``; ``known`` are the names of figures. Raises FilterError."""
    return Filter(text.strip(), tuple(_term(word, known) for word in _words(text)))


def _words(text: str) -> list[str]:
    """The words, with the blanks around a comparison taken away: ``p99 > 50 ms`` is one."""
    joined = re.sub(r"\s*(>=|<=|!=|>|<|=)\s*", r"\1", text.strip())
    joined = re.sub(r"([<>=]\d+(?:\.\d+)?) (ns|us|µs|ms|s|k|m)\b", r"\1\2", joined)
    return joined.split()


def _term(word: str, known: tuple[str, ...]) -> Term:
    if word.startswith("!") and len(word) > 1:
        inner = _term(word[1:], known)
        return lambda text, figures: not inner(text, figures)
    if found := _COMPARISON.match(word.lower()):
        return _comparison(found, known)
    if re.search(r"[<>]", word):
        raise FilterError(f"{word}: compare one of {', '.join(known)} with a number, as p99>50ms")
    if "/" in word and (network := _network(word)):
        return lambda text, figures: any(_inside(part, network) for part in text.split())
    wanted = word.lower()
    return lambda text, figures: wanted in text.lower()


def _comparison(found: re.Match[str], known: tuple[str, ...]) -> Term:
    name, unit = found["name"], found["unit"]
    if name not in known:
        raise FilterError(f"{name}: there is no such figure here; there are {', '.join(known)}")
    if unit not in _UNITS:
        raise FilterError(f"{unit}: no unit; there are ns, us, ms, s, k")
    compare, value = _OPERATORS[found["op"]], float(found["value"]) * _UNITS[unit]

    def term(_text: str, figures: Figures) -> bool:
        figure = figures(name)
        return figure is not None and compare(figure, value)

    return term


def _network(word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None  # a path has strokes, too


def _inside(part: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """Whether an address, with a port or not, is in the network."""
    bare = (
        part[1:].partition("]")[0] if part.startswith("[") else part.partition(":")[0] if part.count(":") == 1 else part
    )
    address = _address(bare)
    return address is not None and address in network


@lru_cache(maxsize=1 << 17)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Kept, since the same addresses come again with every snapshot."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
