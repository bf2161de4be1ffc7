"""How often the kernel left a program of ours out, by its own count of the events, on every kernel.

While a BPF program or a bpf() call on a map is under way on a CPU, the kernel runs no other tracing program there
(bpf_prog_active). Programs on tracepoints and kprobes have that counted (recursion_misses) from Linux 6.7 on only. So
each attach point is recorded a second time, in a ring buffer of tracefs, which knows no such rule: what was recorded
and did not run was withheld.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.kernel.missed import tracers

_TRACEFS = Path("/sys/kernel/tracing")
_STATISTICS = Path("/proc/sys/kernel/bpf_stats_enabled")
_HEAD = re.compile(r"(?m)^((?:tracepoint|kprobe):[^{/]*)")
_WRITTEN = re.compile(r"(?m)^(?:entries|overrun|commit overrun|dropped events): (\d+)$")
_TYPES = ("2", "5")
"""BPF_PROG_TYPE_KPROBE and BPF_PROG_TYPE_TRACEPOINT, as fdinfo has them."""


class Withheld:
    """The events at the attach points of a running program since this was made, and the runs of its probes."""

    def __init__(self, points: Counter[str], folders: Sequence[tuple[str, Path]]) -> None:
        self._points, self._folders = points, folders
        self._events = self._recorded()  # first: an event between the two may only seem withheld, not the contrary
        self._runs = _runs()

    def count(self) -> int:
        """How many runs are missing."""
        runs = _runs() - self._runs
        return self._recorded() - self._events - runs

    def _recorded(self) -> int:
        return sum(self._points[point] * _entries(folder) for point, folder in self._folders)


@contextmanager
def withheld(text: str) -> Iterator[Withheld]:
    """Record what happens at the attach points of a program, which is attached already."""
    heads = _HEAD.findall(text)
    points = Counter(point.strip() for head in heads for point in head.split(",") if point.strip())
    folders: list[tuple[str, Path]] = []
    _STATISTICS.write_text("1")
    try:
        for point in points:
            folder = _TRACEFS / "instances" / f"bpftop{len(folders)}"
            event = _event(point)
            folder.mkdir()
            folders.append((point, folder))
            (folder / "buffer_size_kb").write_text("8")
            (folder / "events" / event / "enable").write_text("1")
        yield Withheld(points, folders)
    finally:
        _STATISTICS.write_text("0")
        for point, folder in folders:
            (folder / "events" / _event(point) / "enable").write_text("0")
            folder.rmdir()
        (_TRACEFS / "kprobe_events").write_text("")


def _event(point: str) -> str:
    """The folder of an event, made first when it is a kprobe."""
    kind, _, name = point.partition(":")
    if kind == "tracepoint":
        return name.replace(":", "/")
    if not (_TRACEFS / "events/bpftop" / name).exists():
        file = os.open(_TRACEFS / "kprobe_events", os.O_WRONLY | os.O_APPEND)  # Python's "a" seeks, which it refuses
        try:
            os.write(file, f"p:bpftop/{name} {name}\n".encode())
        finally:
            os.close(file)
    return f"bpftop/{name}"


def _entries(folder: Path) -> int:
    """All that was ever written to a ring buffer: what is in it, what was overwritten, what found no room."""
    texts = [stats.read_text() for stats in folder.glob("per_cpu/cpu*/stats")]
    return sum(int(number) for text in texts for number in _WRITTEN.findall(text))


def _runs() -> int:
    """How often the probes of the bpftrace that this process has started ran."""
    runs: dict[str, int] = {}
    for pid in tracers():
        for info in Path(f"/proc/{pid}/fdinfo").iterdir():
            with contextlib.suppress(FileNotFoundError):
                lines = dict(re.findall(r"(?m)^(prog_type|prog_id|run_cnt):\s+(\d+)$", info.read_text()))
                if lines.get("prog_type") in _TYPES and "run_cnt" in lines:
                    runs[lines["prog_id"]] = int(lines["run_cnt"])
    return sum(runs.values())
