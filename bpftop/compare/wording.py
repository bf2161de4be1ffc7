"""Percentages and remarks of a comparison for people."""

from __future__ import annotations

from collections.abc import Iterator

from bpftop.compare.model import Comparison

_ASCII = str.maketrans({"µ": "u", "–": "-", "→": "->", "…": "."})


def percent(share: float) -> str:
    """A change with its sign: ``+25.1 %``, ``-3.0 %``, ``0 %``."""
    value = share * 100
    if abs(value) < 0.05:
        return "0 %"
    return f"{value:+.1f} %" if abs(value) < 999.5 else f"{value:+,.0f} %"


def plain(share: float) -> str:
    """A threshold with the digits that it was given: ``20 %``, ``2.5 %``."""
    return f"{share * 100:.6g} %"


def in_ascii(text: str) -> str:
    """The same for a terminal or a pipe that knows nothing else."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def remarks(comparison: Comparison) -> Iterator[str]:
    """What a reader should know besides the figures: one sentence each."""
    for side, run in (("baseline", comparison.base), ("current", comparison.current)):
        yield from (f"{side}: {note}" for note in run.notes)
        if run.facts.get("source", "bpftrace") not in ("bpftrace", "replay"):
            yield f"{side}: from {run.facts['source']}, not from a kernel"
    targets = [run.facts.get("target", "") for run in (comparison.base, comparison.current)]
    # A process id is another after each start; that tells nothing.
    if all(targets) and targets[0] != targets[1] and not all(name.startswith("pid ") for name in targets):
        yield f"different targets: {targets[0]} and {targets[1]}"
    for name, side in comparison.missing.items():
        yield f"{name} is not in the {side}"
