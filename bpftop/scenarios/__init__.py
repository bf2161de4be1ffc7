"""Situations of a server that a simulation acts out: what each is called and what it consists of. No numpy here."""

from __future__ import annotations

import difflib

from bpftop.errors import UsageError
from bpftop.scenarios.named import NAMED
from bpftop.scenarios.parts import Clients, Route, Scenario, Stalls, Upstream

__all__ = [
    "DEFAULT",
    "LOOK",
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
DEMO_LOOK = (
    "Overview: every 30 s the database answers late for 6 s: request latency rises, read queue latency does not",
    "Heat map: the slow spell, a batch job with many requests, and stalls in which everybody waits",
    "Clients: 127.0.3.66 asks for expensive reports; Slow requests: most of them are its",
    "--with upstream: 127.0.0.1:5432, the database; --with eventloop: stalls of 0.3 s in no system call",
)
SUMMARIES = {DEFAULT: "the story of the demo: a slow spell, stalls, a batch job", **{
    name: each.summary for name, each in NAMED.items()
}}  # fmt: skip
"""One line about each scenario, by name."""
LOOK = {DEFAULT: DEMO_LOOK, **{name: each.look for name, each in NAMED.items()}}
"""Where to look in each scenario, step by step, by name."""
NAMES = tuple(SUMMARIES)


def named(name: str) -> Scenario | None:
    """The scenario of that name; None for the story of the demo. Raises UsageError for an unknown name."""
    if name not in SUMMARIES:
        raise unknown(name)
    return NAMED.get(name)


def near(word: str) -> str:
    """The scenario that a word is a slip of; empty when it is none."""
    return next(iter(difflib.get_close_matches(word, (*NAMES, "list"), 1, 0.75)), "")


def unknown(name: str) -> UsageError:
    """The error for a word that names no scenario."""
    meant = f"; did you mean {near(name)}?" if near(name) else ""
    return UsageError(
        f"there is no scenario {name}{meant or '; there are ' + ', '.join(NAMES)}", "bpftop --simulate list"
    )
