"""What the long runs have measured is printed at their end."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Every ``figure`` that a test has recorded, one a line."""
    reports = terminalreporter.getreports("passed")
    figures = [value for report in reports for name, value in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("measured")
    for figure in figures:
        terminalreporter.write_line(str(figure))
