"""Collects the latencies of a server while a block of Python runs, by the counts before and after it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from bpftop.clock import boot_ns
from bpftop.errors import BpftopError, Inconclusive, UsageError
from bpftop.latency_collector.stats import CollectedStats
from bpftop.latency_collector.watches import Watch, Watches

if TYPE_CHECKING:
    from bpftop.model import Snapshot

DEFAULT_MEASURE = "request_latency"


@dataclass(slots=True)
class Shared:
    """What all collectors of a test session have in common."""

    watches: Watches
    done: Callable[[BpftraceLatencyCollector], None]
    """Is told of every collection when it has ended."""
    folder: Path | None = None
    """For the files of ``output_path``."""


class BpftraceLatencyCollector:
    """A context manager; after the block ``stats`` has the figures and ``output_path`` a file of them.

    Every request that was answered between the kernel's last report before the block and its first report after it is
    counted exactly once. The kernel reports once a second, so entering and leaving take half a second each on average,
    and what others ask of the server within a second after the block is counted, too.
    """

    shared: ClassVar[Shared | None] = None
    """Set while pytest runs: bpftrace is started once for all tests."""

    def __init__(
        self,
        process: str | int | None = None,
        *,
        port: str | int | None = None,
        measure: str = DEFAULT_MEASURE,
        min_samples: int | None = None,
    ) -> None:
        """``process`` is any target: a name, a process id, ``:8080``, a path, a unit. ``port`` is short for ``:PORT``.

        ``min_samples`` replaces the rule for how many samples a percentile takes. Raises UsageError.
        """
        self.target = target_of(process, port)
        self.measure = measure
        self.min_samples = min_samples
        self._own: Watches | None = None
        self._watch: Watch | None = None
        self._before: Snapshot | None = None
        self._report: dict[str, Any] | None = None
        self._problem: BpftopError | None = None
        self._path: Path | None = None

    # --- the block ---

    def __enter__(self) -> BpftraceLatencyCollector:
        """Start bpftrace if it does not run yet, and wait for the kernel's report. Raises BpftopError."""
        self.begin(boot_ns())
        return self

    def begin(self, asked_ns: int) -> None:
        """Count from the kernel's first report after the boot time ``asked_ns`` on. Raises BpftopError."""
        if self.shared is None:
            self._own = Watches()
        watches = self.shared.watches if self.shared is not None else self._own
        assert watches is not None
        try:
            self._watch = watches.watch(self.target, self.measure, asked_ns)
            self._before = self._watch.mark(asked_ns)
        except BaseException:
            self._close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the kernel's report. Raises nothing: ``stats`` does, so that an error of the block is not hidden."""
        try:
            self.end(boot_ns())
        finally:
            self._close()

    def end(self, asked_ns: int) -> None:
        """Count up to the kernel's first report after the boot time ``asked_ns``."""
        from bpftop.latency_collector.report import report_of

        assert self._watch is not None
        assert self._before is not None
        self._report = self._problem = self._path = None
        try:
            self._report = report_of(self._before, self._watch.mark(asked_ns))
        except BpftopError as error:
            self._problem = error
        if self.shared is not None:
            self.shared.done(self)

    def _close(self) -> None:
        if self._own is not None:
            self._own.close()
            self._own = None

    # --- figures ---

    @property
    def report(self) -> dict[str, Any]:
        """What ``bpftop report --format json`` would have said. Raises what went wrong, UsageError inside the block."""
        if self._problem is not None:
            raise self._problem
        if self._report is None:
            raise UsageError("the figures are there when the block has ended")
        return self._report

    @property
    def stats(self) -> CollectedStats:
        """The figures. Raises Inconclusive when nothing came or something was lost: that proves nothing."""
        report = self.report
        if report.get("problems"):
            raise Inconclusive(f"{self.measure} of {self.target}: " + "; ".join(report["problems"]))
        found = CollectedStats.of(report, self.measure, self.min_samples)
        if not found.count:
            raise Inconclusive(f"nothing came to {self.target} in {found.duration_s:.0f} s{self._absent()}")
        return found

    def _absent(self) -> str:
        """Why nothing can have come, when that can be seen."""
        from bpftop.target import explain, resolve

        if self.report["source"] != "bpftrace":
            return ""
        target = resolve(self.target)
        return "" if target.processes else f": {explain(target)}"

    @property
    def output_path(self) -> Path:
        """A file with the report, for ``LatencyAnalyzer().analyze_file`` and ``bpftop compare``; made when asked for.

        Outside pytest it stays in the temporary directory.
        """
        if self._path is None:
            folder = self.shared.folder if self.shared is not None else None
            text = json.dumps(self.report) + "\n"
            with tempfile.NamedTemporaryFile(
                "w", prefix="bpftop-", suffix=".json", dir=folder, delete=False, encoding="utf-8"
            ) as file:
                file.write(text)
            self._path = Path(file.name)
        return self._path


def target_of(process: str | int | None, port: str | int | None) -> str:
    """The one word for a target. Raises UsageError for none and for two, TargetError for an impossible one."""
    from bpftop.target import parse

    if (process is None) == (port is None):
        raise UsageError("name the server once: process='nginx' or port=8080")
    word = str(process) if process is not None else f":{str(port).removeprefix(':')}"
    parse(word)
    if word == str(os.getpid()):
        raise UsageError("a server inside this very process is named by its port: port=8080")
    return word
