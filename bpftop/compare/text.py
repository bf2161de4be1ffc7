"""A comparison as plain text for a terminal, a pipe or a ticket: 80 columns where the names allow, no escape codes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from bpftop import units
from bpftop.compare.chart import legend, overlay
from bpftop.compare.model import QUANTILES, TITLES, Comparison, MeasureComparison, Run
from bpftop.compare.wording import in_ascii, percent, plain, remarks

WIDTH = 80


def to_text(comparison: Comparison, ascii_only: bool = False) -> str:
    """The files, a table and a chart a measure, remarks, the verdict; ended by a line feed."""
    blocks = [list(_runs(comparison))]
    for measure in comparison.measures:
        blocks.append(list(_table(measure)))
        blocks.append(_chart(measure, ascii_only))
    blocks.append([line for remark in remarks(comparison) for line in _wrapped(remark)])
    blocks.append(list(verdict_lines(comparison)))
    text = "\n\n".join("\n".join(line.rstrip() for line in block) for block in blocks if block) + "\n"
    return in_ascii(text) if ascii_only else text


def verdict_lines(comparison: Comparison) -> Iterator[str]:
    """The verdict and what made it."""
    for reason in comparison.reasons:
        yield from _wrapped(f"{comparison.verdict.value}: {reason}")


def _wrapped(sentence: str) -> list[str]:
    # A figure and its unit stay on one line, and a path is never cut.
    kept = sentence.replace(" %", "\xa0%")
    lines = textwrap.wrap(kept, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return [line.replace("\xa0", " ") for line in lines]


def _runs(comparison: Comparison) -> Iterator[str]:
    for side, run in (("baseline", comparison.base), ("current", comparison.current)):
        yield f"{side:9} {run.path}  ({described(run)})"


def described(run: Run) -> str:
    """``report of nginx``."""
    target = run.facts.get("target")
    return f"{run.kind} of {target}" if target else run.kind


def _table(measure: MeasureComparison) -> Iterator[str]:
    thresholds = {check.quantile: check for check in measure.checks}
    yield measure.name
    yield f"  {'':6}{'baseline':>11}{'current':>11}{'change':>11}  {'98 % interval':20} limit"
    yield f"  {'n':6}{measure.base.count:>11,}{measure.current.count:>11,}"
    for quantile in QUANTILES:
        line = f"  {TITLES[quantile]:6}{_cells(measure, quantile)}"
        if found := measure.changes.get(quantile):
            between = f"{percent(found.low)} to {percent(found.high)}" if found.enough else "? too few samples"
            line += f"{percent(found.change):>11}  {between:20}"
        if check := thresholds.get(quantile):
            line = f"{line:62} {plain(check.threshold)} {check.verdict.value}"
        yield line
    yield f"  {'max':6}{units.duration(measure.base.max_ns):>11}{units.duration(measure.current.max_ns):>11}"


def _cells(measure: MeasureComparison, quantile: str) -> str:
    sides = (measure.base.quantiles_ns[quantile], measure.current.quantiles_ns[quantile])
    return "".join(f"{units.duration(value):>11}" for value in sides)


def _chart(measure: MeasureComparison, ascii_only: bool) -> list[str]:
    rows = overlay(measure.base_histogram, measure.current_histogram, WIDTH, ascii_only)
    return [f"  {legend(ascii_only)}", *rows] if rows else []
