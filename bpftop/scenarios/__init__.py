"""Situations of a server that a simulation acts out: what each is called and what it consists of. No numpy here."""

from __future__ import annotations

import difflib

from bpftop.errors import UsageError
from bpftop.scenarios.named import NAMED
from bpftop.scenarios.parts import Clients, Route, Scenario, Stalls, Upstream

__all__ = [
    "DEFAULT",
    "NAMES",
    "SUMMARIES",
    "Clients",
    "Route",
    "Scenario",
    "Stalls",
    "Upstream",
    "named",
    "near",
    "unknown",
]

DEFAULT = "demo"
"""The story of ``bpftop demo``; what it consists of follows from ``bpftop.demo.story``."""
SUMMARIES = {DEFAULT: "the story of the demo: a slow spell, stalls, a batch job", **{
    name: each.summary for name, each in NAMED.items()
}}  # fmt: skip
"""One line about each scenario, by name."""
NAMES = tuple(SUMMARIES)


def named(name: str) -> Scenario | None:
    """The scenario of that name; None for the story of the demo. Raises UsageError for an unknown name."""
    if name not in SUMMARIES:
        raise unknown(name)
    return NAMED.get(name)


def near(word: str) -> str:
    """The scenario that a word is a slip of; empty when it is none."""
    return next(iter(difflib.get_close_matches(word, NAMES, 1, 0.75)), "")


def unknown(name: str) -> UsageError:
    """The error for a word that names no scenario."""
    meant = f"; did you mean {near(name)}?" if near(name) else ""
    return UsageError(
        f"there is no scenario {name}{meant or '; there are ' + ', '.join(NAMES)}", "bpftop --simulate list"
    )
