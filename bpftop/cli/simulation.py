"""``--simulate [SCENARIO]``: an option whose value may be left out, and which never takes the target for its value.

The word behind it is its value when it is the name of a scenario; one that is nearly so is a slip; any other word is
the target. Imports nothing heavy.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bpftop.errors import UsageError

LIST = "list"
MOST_TRUTH_S = 300.0
"""The truth keeps every value in memory."""
_OPTION = "--simulate"
_SHORTEST = len("--si")
"""argparse takes any beginning of an option that no other option has."""


def settled(words: Sequence[str]) -> list[str]:
    """The words, each ``--simulate`` with its scenario in one word. Raises UsageError for a slip."""
    out: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            return [*out, word, *left]
        if len(word) >= _SHORTEST and _OPTION.startswith(word):
            from bpftop import scenarios

            follows = left[0] if left else ""
            if follows in (*scenarios.NAMES, LIST):
                del left[0]
            elif scenarios.near(follows):
                raise scenarios.unknown(follows)
            else:
                follows = scenarios.DEFAULT
            word = f"{_OPTION}={follows}"
        out.append(word)
    return out


def check(options: argparse.Namespace) -> None:
    """Raise UsageError for an unknown scenario, and for words that only a simulation understands."""
    name = options.simulate
    if name is not None:
        from bpftop import scenarios

        if name not in (*scenarios.NAMES, LIST):
            raise scenarios.unknown(name)
    given = {word: getattr(options, word, None) for word in ("seed", "speed", "truth")}
    if name is None and (alone := [word for word, value in given.items() if value]):
        raise UsageError(f"--{alone[0]} goes with --simulate", f"bpftop {options.verb} --simulate --help")
    options.seed = options.seed or 1
    if given["truth"]:
        _check_truth(options)


def _check_truth(options: argparse.Namespace) -> None:
    if options.format == "csv":
        raise UsageError("--truth is for text and JSON", "bpftop report --simulate --truth --format json")
    if options.format == "json" and options.interval:
        raise UsageError("--truth is about the whole run: in JSON without -i", "bpftop report --simulate --truth -d 60")
    if options.duration > MOST_TRUTH_S:
        raise UsageError("with --truth a run is at most 5 min", "bpftop report --simulate --truth -d 5min --speed 20")


def listing() -> str:
    """Every scenario with its line, where to look in it, and how to see it."""
    import textwrap

    from bpftop import scenarios

    lines = [
        "bpftop demo --simulate=NAME --with http,upstream   the live screen",
        "bpftop report --simulate=NAME --truth --speed 20   figures beside the truth",
    ]
    for name, summary in scenarios.SUMMARIES.items():
        lines += ["", f"{name}: {summary}"]
        for step in scenarios.LOOK[name]:
            lines += textwrap.wrap(step, 79, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines)
