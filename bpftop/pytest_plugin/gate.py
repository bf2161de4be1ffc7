"""One test session: which tests are measured, what came of it, what is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from bpftop.clock import boot_ns
from bpftop.errors import BpftopError
from bpftop.latency_collector.collector import BpftraceLatencyCollector, Shared
from bpftop.latency_collector.watches import CannotTrace, Watches
from bpftop.pytest_plugin.kept import Reports, save
from bpftop.pytest_plugin.limits import Limit
from bpftop.pytest_plugin.settings import Settings
from bpftop.text import safe

OFF = "--bpftop=off"
PARALLEL = "pytest-xdist runs tests at the same time, and nobody can tell their requests apart: run these with -n 0"


class Gate:
    """What pytest's hooks call."""

    def __init__(self, settings: Settings, arguments: tuple[str, ...]) -> None:
        self.settings = settings
        self.reports: Reports = {}
        self.rows: list[tuple[str, BpftraceLatencyCollector]] = []
        """Every finished collection with the id of its test."""
        self.skipped: dict[str, int] = {}
        """How many tests were skipped, by reason."""
        self.said = ""
        """What became of the file, for the person."""
        self._folder = tempfile.TemporaryDirectory(prefix="bpftop-pytest-")
        self._watches = Watches(settings.scenario, ("-m", "pytest", *arguments))
        if settings.mode == "off":
            self._watches.refuse(OFF)
        elif settings.workers > 1 and not settings.scenario:
            self._watches.refuse(PARALLEL)
        self._item: pytest.Item | None = None
        self._outer = BpftraceLatencyCollector.shared
        """Of a session that runs this one, as tests of plugins do."""
        self._of_item: dict[str, BpftraceLatencyCollector] = {}
        BpftraceLatencyCollector.shared = Shared(self._watches, self._done, Path(self._folder.name))

    def close(self) -> None:
        """End every bpftrace, remove what is temporary."""
        BpftraceLatencyCollector.shared = self._outer
        self._watches.close()
        self._folder.cleanup()

    def kept(self) -> bool:
        """Save the figures when that was asked for; False when they could not be written."""
        if self.settings.save is None:
            return True
        if not self.reports:
            self.said = f"nothing was measured: {self.settings.save} was not written"
            return True
        try:
            save(self.settings.save, self.reports)
        except BpftopError as error:
            self.said = _told(error)
            return False
        self.said = f"saved the figures of {len(self.reports)} tests: {self.settings.save}"
        return True

    # --- whether ---

    def check(self) -> None:
        """Skip the test, or fail it, where nothing can be measured."""
        with self._sentences():
            self._watches.available()

    def _cannot(self, why: str) -> NoReturn:
        """Skip the test, or fail it. Raises."""
        if self.settings.mode not in ("auto", "off"):
            raise pytest.fail.Exception(f"bpftop: {why}", pytrace=False) from None
        self.skipped[why] = self.skipped.get(why, 0) + 1
        raise pytest.skip.Exception(f"bpftop: {why}") from None

    # --- one test ---

    @contextmanager
    def test(self, item: pytest.Item, limits: list[Limit]) -> Iterator[None]:
        """Measure what the test does; afterwards it fails by its limits and by comparison, unless it has failed."""
        self._item, self._of_item = item, {}
        self.reports.pop(item.nodeid, None)
        try:
            with self._sentences():
                began = [self._begun(limit) for limit in limits]
            try:
                with self._sentences():
                    yield
            except (Exception, pytest.fail.Exception):
                self._ended(began)
                item.add_report_section("call", "latency", "\n".join(self._figures()))
                raise
            self._ended(began)
            self._judge(list(zip(limits, began, strict=True)))
        finally:
            self._item = None

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """Where nothing can be traced the test is skipped or fails, without a traceback."""
        try:
            yield
        except CannotTrace as error:
            self._cannot(_told(error))

    def _begun(self, limit: Limit) -> BpftraceLatencyCollector:
        collector = BpftraceLatencyCollector(limit.target, measure=limit.measure, min_samples=limit.min_samples)
        try:
            collector.begin(boot_ns())
        except CannotTrace:
            raise
        except BpftopError as error:
            raise pytest.fail.Exception(f"latency of {limit.target}: {_told(error)}", pytrace=False) from None
        return collector

    def _ended(self, began: list[BpftraceLatencyCollector]) -> None:
        asked_ns = boot_ns()
        for collector in began:
            collector.end(asked_ns)

    def _done(self, collector: BpftraceLatencyCollector) -> None:
        """A collection has ended, of the marker or of the test itself."""
        if self._item is None:
            return
        label = f"{collector.target} {collector.measure}"
        again = sum(other.partition(" (")[0] == label for other in self._of_item)
        label = f"{label} ({again + 1})" if again else label
        self._of_item[label] = collector
        self.rows.append((self._item.nodeid, collector))
        try:
            self.reports.setdefault(self._item.nodeid, {})[label] = collector.report
        except BpftopError:
            return  # there are no figures, and whoever asks for them is told why

    def _judge(self, limits: list[tuple[Limit, BpftraceLatencyCollector]]) -> None:
        from bpftop.pytest_plugin.verdicts import broken, grown

        assert self._item is not None
        said = [text for limit, collected in limits if (text := broken(limit, collected))]
        if self.settings.base is not None:
            before = self.settings.base.get(self._item.nodeid, {})
            texts = (grown(k, before.get(k), c, self.settings.thresholds) for k, c in self._of_item.items())
            said += [text for text in texts if text]
        if said:
            pytest.fail("\n\n".join(said), pytrace=False)

    def _figures(self) -> Iterator[str]:
        from bpftop.pytest_plugin.verdicts import figures

        for collector in self._of_item.values():
            yield from figures(collector)


def _told(error: BpftopError) -> str:
    return safe(f"{error.message} ({error.hint})" if error.hint else error.message)
