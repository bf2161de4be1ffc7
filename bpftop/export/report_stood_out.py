"""What stood out while a report was measured: in words and for JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from bpftop import units
from bpftop.model import Snapshot
from bpftop.stats.episodes import Episode
from bpftop.stats.stages import REQUEST
from bpftop.text import safe

WIDTH = 80
_SHOWN = 12
_LONGEST = 600


def stood_out(snapshot: Snapshot, episodes: Sequence[Episode]) -> Iterator[str]:
    """Each episode, its time and what was said of it, oldest first; or that nothing could be found yet."""
    yield "What stood out (UTC)"
    if not episodes:
        recent = snapshot.recent.get(REQUEST)
        known = recent is not None and recent.before.count > 0
        yield "  nothing" if known else "  nothing; no level was known yet, which takes 15 s and 100 requests"
    for each in reversed(episodes[:_SHOWN]):
        began = f"{datetime.fromtimestamp(each.began_ns / 1e9, UTC):%H:%M:%S}"
        lasted = f"for {units.span(max(each.length_s, 1.0))}{'' if each.over else ', to the end'}"
        said = f"{began}  {lasted}: {safe(each.text, _LONGEST)}"
        yield from textwrap.wrap(said, WIDTH, initial_indent="  ", subsequent_indent="    ")
    if len(episodes) > _SHOWN:
        yield f"  and {len(episodes) - _SHOWN} before: --format json shows them"


def stood_out_json(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """Oldest first; times are Unix times in ns, each clause with what it rests on."""
    return [
        {
            "began_ns": each.began_ns,
            "ended_ns": each.ended_ns,
            "over": each.over,
            "worst_ns": each.worst_ns,
            "clauses": [
                {"text": safe(clause.text, 300), "evidence": safe(clause.evidence, 400)} for clause in each.clauses
            ],
        }
        for each in reversed(episodes)
    ]
