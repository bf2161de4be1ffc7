"""One thing that a verdict says: words, evidence, and the place that shows more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Words = tuple[str, bool]
"""A piece of a sentence and whether it is stressed. It may hold words of others and is made safe where it is
shown."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the screen more is to be seen."""

    pane: str
    """``latency``, ``clients``, ``slow``, ``scripts``, ``script`` (that of ``script``) or ``start``, to start it."""
    measure: str = ""
    """The measure to show there."""
    filter: str = ""
    """What ``/`` is to be given there."""
    script: str = ""


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence that can be chosen."""

    key: str
    """What it is about, the same from verdict to verdict: ``client 10.0.3.7``."""
    words: tuple[Words, ...]
    evidence: str
    """What it rests on: how many, of how many, in which time."""
    place: Place

    @property
    def text(self) -> str:
        """The words without stress."""
        return "".join(text for text, _ in self.words)


def clause(kind: str, about: str, words: Sequence[Words], evidence: str, place: Place) -> Clause:
    """A clause whose key is its kind and what it is about."""
    return Clause(f"{kind} {about}", tuple(words), evidence, place)
