"""``bpftop compare BASE CURRENT``: stdout is the comparison, the exit code the verdict."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bpftop.cli.host import narrate
from bpftop.cli.look import ascii_wanted
from bpftop.errors import UsageError
from bpftop.preflight import require_numpy

if TYPE_CHECKING:
    from bpftop.compare import Comparison


def compare(options: argparse.Namespace) -> int:
    """Read both files, print, and return 0, 1 or 4. Raises FileError and UsageError."""
    base, current = _paths(options)
    require_numpy()
    from bpftop.compare import compare as compared
    from bpftop.compare import read_run
    from bpftop.compare.judging import DEFAULT_THRESHOLDS

    thresholds = _thresholds(options) or DEFAULT_THRESHOLDS
    # The same file twice is read once; a pipe could not be read again.
    before = read_run(base)
    after = before if base == current else read_run(current)
    comparison = compared(before, after, thresholds, options.measure or (), options.min_samples)
    print(_shown(comparison, options), end="", flush=True)
    if options.format != "text":
        for reason in comparison.reasons if comparison.verdict.exit_code else ():
            narrate(f"{comparison.verdict.value}: {reason}")
    return comparison.verdict.exit_code


def _paths(options: argparse.Namespace) -> tuple[Path, Path]:
    """The two files, named by place or by ``--baseline`` and ``--current``."""
    words: list[str] = [*options.files]
    paths = []
    for option in (options.baseline, options.current):
        if option is not None or words:
            paths.append(Path(words.pop(0) if option is None else option))
    if words or len(paths) < 2:
        said = f"too many files: {' '.join(words)}" if words else "name two files: the baseline and the current run"
        raise UsageError(said, "bpftop compare BASE CURRENT --threshold-p99 20")
    return paths[0], paths[1]


def _thresholds(options: argparse.Namespace) -> Mapping[str, float]:
    return dict(_given(options))


def _given(options: argparse.Namespace) -> Iterator[tuple[str, float]]:
    from bpftop.compare.model import QUANTILES

    for name in QUANTILES:
        value: float | None = getattr(options, f"threshold_{name}")
        if value is not None:
            yield name, value


def _shown(comparison: Comparison, options: argparse.Namespace) -> str:
    from bpftop.compare import formats
    from bpftop.compare.text import to_text

    if options.format == "json":
        return json.dumps(formats.to_json(comparison), indent=2) + "\n"
    to = {"text": to_text, "junit": formats.to_junit, "markdown": formats.to_markdown}[options.format]
    return to(comparison, ascii_wanted(options))
