"""Every test in this folder needs a host that can trace; elsewhere it is skipped with the doctor's reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bpftop import preflight
from tests.kernel.watching import Nginx, running_nginx

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.kernel)


@pytest.fixture(autouse=True)
def _host_can_trace() -> None:
    preflight.mount_tracefs()
    fatal = [problem for problem in preflight.problems() if problem.fatal]
    if fatal:
        pytest.skip(f"{fatal[0].message}: {fatal[0].hint}")


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """A real nginx of the test's own: two workers, IPv4 and IPv6, a static file and a fixed answer."""
    with running_nginx(tmp_path) as server:
        yield server
