"""pytest's plugin: limits on the latency of a server while tests run. docs/pytest.md tells how to use it.

It is loaded by every pytest run where bpftop is installed, so it imports pytest and little else until a test wants it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from bpftop.pytest_plugin.names import COLLECTOR, FIXTURE, MARKER, SIGNATURE

if TYPE_CHECKING:
    from bpftop.latency_collector import BpftraceLatencyCollector
    from bpftop.pytest_plugin.gate import Gate
    from bpftop.pytest_plugin.limits import Limit

__all__ = ["Collect", "bpftop_latency"]

_GATE: pytest.StashKey[Gate] = pytest.StashKey()
_LIMITS: pytest.StashKey[list[Limit]] = pytest.StashKey()


class Collect(Protocol):
    """The fixture ``bpftop_latency``: ``with bpftop_latency("nginx") as it: ...``, then ``it.stats.p99_ms``."""

    def __call__(
        self,
        process: str | int | None = None,
        *,
        port: str | int | None = None,
        measure: str = "request_latency",
        min_samples: int | None = None,
    ) -> BpftraceLatencyCollector:
        """Collects from the target while its block runs."""
        ...


# --- options ----------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("bpftop", "latency of servers (bpftop)")
    group.addoption(
        "--bpftop",
        metavar="MODE",
        default="auto",
        help="auto (default): skip tests where this host cannot trace; require: fail them; simulate or "
        "simulate:SCENARIO: made-up figures; off: no limit is checked",
    )
    group.addoption("--bpftop-save", type=Path, metavar="FILE", help="keep the figures of this run")
    group.addoption("--bpftop-compare", type=Path, metavar="FILE", help="fail tests that are slower than in FILE")
    group.addoption(
        "--bpftop-compare-fail",
        action="append",
        metavar="p99:20%%",
        help="how much a percentile may grow; again for more; default: p99:20%%",
    )
    parser.addini("bpftop_target", "the server of limits and of bpftop_latency() that name none")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, refuse options that make no sense."""
    config.addinivalue_line("markers", f"{SIGNATURE}: fail the test when the latency of the server is higher")
    given = (config.getoption(f"bpftop_{word}") for word in ("save", "compare", "compare_fail"))
    if config.getoption("bpftop") != "auto" or any(given):
        from bpftop.pytest_plugin.settings import Settings

        Settings.of(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    """A word about what is not as usual."""
    mode = config.getoption("bpftop").partition(":")[0]
    told = {"off": "off: no latency is measured", "simulate": "simulate: latencies are made up", "require": "require"}
    return f"bpftop: {told[mode]}" if mode in told else None


# --- tests ------------------------------------------------------------------------------------------------------------


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A marker that makes no sense ends the session before a test has run."""
    for item in items:
        if item.get_closest_marker(MARKER):
            from bpftop.pytest_plugin.limits import limits_of

            item.stash[_LIMITS] = limits_of(item, str(config.getini("bpftop_target") or ""))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail, before anything is set up where nothing can be measured."""
    limited = bool(item.stash.get(_LIMITS, []))
    if limited and _off(item.config):
        return
    if limited or FIXTURE in getattr(item, "fixturenames", ()):
        _gate(item.config).check()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Measure what the test itself does, not its fixtures."""
    limits = [] if _off(item.config) else item.stash.get(_LIMITS, [])
    if not limits and COLLECTOR not in sys.modules:
        return (yield)
    with _gate(item.config).test(item, limits):
        return (yield)


@pytest.fixture
def bpftop_latency(request: pytest.FixtureRequest) -> Collect:
    """Collects the latency of a server while a block runs: ``with bpftop_latency("nginx") as latency: ...``."""
    from bpftop.latency_collector import BpftraceLatencyCollector

    default = str(request.config.getini("bpftop_target") or "") or None

    def collect(
        process: str | int | None = None,
        *,
        port: str | int | None = None,
        measure: str = "request_latency",
        min_samples: int | None = None,
    ) -> BpftraceLatencyCollector:
        named = process if process is not None or port is not None else default
        return BpftraceLatencyCollector(named, port=port, measure=measure, min_samples=min_samples)

    return collect


def _off(config: pytest.Config) -> bool:
    return bool(config.getoption("bpftop") == "off")


def _gate(config: pytest.Config) -> Gate:
    """The session's gate, made when the first test wants it."""
    if _GATE not in config.stash:
        from bpftop.pytest_plugin.gate import Gate
        from bpftop.pytest_plugin.settings import Settings

        config.stash[_GATE] = Gate(Settings.of(config), config.invocation_params.args)
    return config.stash[_GATE]


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End every bpftrace; keep the figures."""
    gate = session.config.stash.get(_GATE, None)
    if gate is not None:
        gate.close()
        if not gate.kept():
            session.exitstatus = pytest.ExitCode.USAGE_ERROR


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What was measured, what was skipped and why, what was kept."""
    gate = config.stash.get(_GATE, None)
    if gate is None:
        return
    from bpftop.pytest_plugin.summary import lines

    told = list(lines(gate, verbose=config.getoption("verbose") >= 0))
    if told:
        terminalreporter.section("latency (bpftop)")
        for line in told:
            terminalreporter.write_line(line)
