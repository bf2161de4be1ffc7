"""Shared by all tests: where kernel tests can run, and that in CI they must."""

from __future__ import annotations

import os
from collections.abc import Generator
from functools import cache

import pytest
from hypothesis import settings

from bpftop.errors import HostError
from bpftop.preflight import mount_tracefs, problems
from tests.fuzz.examples import TIMES

# No test asserts an absolute time, hypothesis's neither.
settings.register_profile("shared machine", max_examples=100 * TIMES, deadline=None)
settings.load_profile("shared machine")
IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped kernel test is a failed one: a green run must mean that real eBPF was tried."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("kernel"):
        report.outcome = "failed"
        report.longrepr = f"kernel test skipped in CI: {report.longrepr}"
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip kernel tests where the host cannot trace, with the doctor's reason."""
    if item.get_closest_marker("kernel") and (why := _cannot_trace()):
        pytest.skip(why)


@cache
def _cannot_trace() -> str:
    try:
        mount_tracefs()
    except HostError as error:
        return error.message
    return "; ".join(problem.message for problem in problems() if problem.fatal)
