"""Servers that start quickly, driven by clients of exact own count; ``make test-servers`` runs them all."""

from __future__ import annotations

import pytest

from bpftop import preflight
from tests.servers.case import Case, Missing, Tally, exactly
from tests.servers.measure import cell_of, run
from tests.servers.registry import ALL, QUICK
from tests.servers.table import PAGE


@pytest.mark.kernel
@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_a_server_is_counted_as_its_client_counts(case: Case) -> None:
    preflight.mount_tracefs()
    try:
        rows = run(case)
    except Missing as error:
        pytest.skip(f"not installed: apt-get install {error}")
    assert [words for row in rows for words in row.wrong] == []
    assert all(row.total.requests >= 100 and len(row.cells) >= 5 for row in rows)


def test_the_page_has_every_server_and_nothing_wrong() -> None:
    text = PAGE.read_text()
    for case in ALL:
        for phase in case.phases:
            assert any(
                line.startswith(f"| {case.title} (") and f"| {phase.title} |" in line for line in text.splitlines()
            ), f"{case.title}, {phase.title}: run make test-servers"
    assert "**wrong**" not in text


def test_a_wrong_count_of_one_client_is_found_although_the_sum_is_right() -> None:
    did = {"127.0.0.1": Tally(5, 1, 5), "127.0.0.2": Tally(7, 1, 7)}
    rule = exactly("exact", lambda tally: tally.requests)
    assert cell_of("request_latency", rule, did, {"": 12, "127.0.0.1": 5, "127.0.0.2": 7}).wrong == ()
    assert len(cell_of("request_latency", rule, did, {"": 12, "127.0.0.1": 6, "127.0.0.2": 6}).wrong) == 2
    assert len(cell_of("request_latency", rule, did, {"": 13, "127.0.0.1": 5, "127.0.0.2": 7, "::1": 1}).wrong) == 2
