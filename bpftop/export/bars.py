"""A histogram as lines of text: one row per 1-2-5 step, no bucket left out, no escape codes."""

from __future__ import annotations

from collections.abc import Sequence

from bpftop import units
from bpftop.model import Histogram

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_STEPS = (1, 2, 5)


def histogram_lines(histogram: Histogram, width: int = 80, ascii_only: bool = False) -> list[str]:
    """Rows ``1.00 ms ─ 2.00 ms  ██████  1234  12 %``, lowest first; empty when there is nothing."""
    rows = steps(histogram)
    if not rows:
        return []
    total = sum(count for _, _, count in rows)
    most = max(count for _, _, count in rows)
    room = width - 2 - 7 - 3 - 7 - 2 - 1 - 6 - 2 - 6
    lines = []
    for low, high, count in rows:
        drawn = bar(count / most * room, ascii_only).ljust(room)
        label = f"  {units.duration(low):>7} - {units.duration(high):<7}"
        lines.append(f"{label}  {drawn} {units.count(count):>6}  {units.percent(count / total):>6}".rstrip())
    return lines


def steps(histogram: Histogram) -> list[tuple[int, int, int]]:
    """Low edge, high edge and count of each 1-2-5 step from the first to the last that holds something.

    A bucket counts where its middle lies.
    """
    middles = ((histogram.low_ns + histogram.high_ns - 1) // 2).tolist()
    counts = histogram.counts.tolist()
    if not middles:
        return []
    edges = _edges(min(middles), max(middles))
    sums = [0] * (len(edges) - 1)
    row = 0
    for value, count in sorted(zip(middles, counts, strict=True)):
        while value >= edges[row + 1]:
            row += 1
        sums[row] += count
    return list(zip(edges, edges[1:], sums, strict=False))


def _edges(lowest: int, highest: int) -> Sequence[int]:
    """1-2-5 edges with ``lowest`` in the first step and ``highest`` in the last."""
    edges = [0]
    decade = 1
    while edges[-1] <= highest:
        edges.extend(step * decade for step in _STEPS)
        decade *= 10
    first = max(i for i, edge in enumerate(edges) if edge <= max(lowest, 0))
    last = min(i for i, edge in enumerate(edges) if edge > highest)
    return edges[first : last + 1]


def bar(cells: float, ascii_only: bool) -> str:
    """A bar of this length; anything above nothing is seen."""
    if ascii_only:
        return "#" * max(round(cells), 1 if cells > 0 else 0)
    eighths = max(round(cells * 8), 1 if cells > 0 else 0)
    whole, part = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[part] if part else "")
