"""What was tried so far, in a file: a long run can be made in several pieces, as long as the code is the same."""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CODE = ("bpftop/**/*.py", "bt/**/*.bt", "tests/incidents/*.py")
"""What the results depend on."""


@dataclass
class Health:
    """What stood out while nothing happened."""

    seconds: int = 0
    looks: int = 0
    said: list[str] = field(default_factory=list)
    """While nginx had its CPUs."""
    starved: int = 0
    """Looks at a time when others took them."""
    said_starved: list[str] = field(default_factory=list)


@dataclass
class Trial:
    """What became of one incident, once."""

    name: str
    seconds: dict[str, float | None] = field(default_factory=dict)
    """Until all words were said: ``always`` with the scripts that always run, ``scripts`` with those that tell more."""
    said: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, list[str]] = field(default_factory=dict)
    late: dict[str, float | None] = field(default_factory=dict)
    """The same of watches that are started in the middle of it, from their start; empty when there were none."""
    late_said: dict[str, str] = field(default_factory=dict)
    late_wanted: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """What was said of somebody who has no part in it."""
    wavered: list[str] = field(default_factory=list)
    """Clauses that went while it lasted, and came again."""
    watched_s: float = 0.0
    over_s: float | None = None
    """For how long something was still said after its end; None where that did not end."""
    starved: bool = False
    """Others took the CPUs meanwhile."""

    @property
    def good(self) -> bool:
        """The cause was named, and nobody else."""
        return None not in (*self.seconds.values(), *self.late.values()) and not self.wrong


@dataclass
class Book:
    """All of it."""

    code: str
    healths: list[Health] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)

    @property
    def healthy_s(self) -> int:
        """The longest time in which nothing happened, in one piece."""
        return max((each.seconds for each in self.healths), default=0)

    def of(self, name: str) -> list[Trial]:
        """The trials of one incident."""
        return [each for each in self.trials if each.name == name]

    def save(self, file: Path) -> None:
        """Keep it."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1))


def opened(file: Path | None) -> Book:
    """What the file has of this very code; of other code nothing counts."""
    now = Book(_code())
    if file is None or not file.exists():
        return now
    known: dict[str, Any] = json.loads(file.read_text())
    if known["code"] != now.code:
        return now
    healths, trials = known["healths"], known["trials"]
    return Book(now.code, [Health(**each) for each in healths], [Trial(**each) for each in trials])


def _code() -> str:
    found = hashlib.sha256()
    for pattern in CODE:
        for file in sorted(ROOT.glob(pattern)):
            found.update(file.read_bytes())
    return found.hexdigest()[:16]


def times(trials: Iterable[Trial], which: str) -> str:
    """``3.1 s (4.0 s)``: median and worst; how many were named when not all were."""
    return _times([each.seconds.get(which) for each in trials])


def late_times(trials: Iterable[Trial], which: str) -> str:
    """The same of watches that were started in the middle of it."""
    return _times([each.late[which] for each in trials if which in each.late])


def _times(found: Sequence[float | None]) -> str:
    known = [seconds for seconds in found if seconds is not None]
    if not known:
        return f"**0 of {len(found)}**"
    text = f"{statistics.median(known):.1f} s ({max(known):.1f} s)"
    return text if len(known) == len(found) else f"**{len(known)} of {len(found)}** {text}"
