"""Another bpftrace than the host's runs every script; ``make test-bpftraces`` tries them all, with the kernel tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpftop import preflight
from bpftop.scripts import catalog
from bpftop.scripts.catalog import templates
from tests.bpftraces.__main__ import PAGE, page
from tests.bpftraces.matrix import TOGETHER, Result, attached
from tests.bpftraces.versions import Version, of_suite
from tests.kernels.packages import KernelUnavailable


@pytest.mark.kernel
def test_every_script_together_with_the_bpftrace_of_debian_13() -> None:
    preflight.mount_tracefs()
    try:
        version = of_suite("trixie")
    except KernelUnavailable as error:
        pytest.skip(str(error))
    assert version.number.startswith("0.23")
    assert attached(version, list(catalog())) == ()


def test_the_page_has_every_script_on_every_version_and_no_failure() -> None:
    text = PAGE.read_text()
    heads = [line for line in text.splitlines() if line.startswith("| script |")]
    assert len(heads) == 1
    versions = {cell.strip().rpartition(".")[0] for cell in heads[0].split("|")[2:-1]}
    assert {"0.17", "0.23", "0.27"} <= versions
    for script in (*catalog(), *templates(), TOGETHER):
        assert f"\n| {script} |" in text, f"{script}: run make test-bpftraces"
    assert "**fails**" not in text


def test_a_failure_is_in_the_table_and_said_in_full() -> None:
    version = Version("0.99.1", Path("/nowhere/bpftrace"), "nowhere")
    results = [
        Result("requests", "0.99.1", ()),
        Result("http", "0.99.1", (), 8),
        Result("tcp", "0.99.1", ("line 3: ERROR: no such thing",)),
    ]
    text = page([version], results)
    assert "| requests | exact |" in text
    assert "| http | 8 tests |" in text
    assert "| tcp | **fails** |" in text
    assert "- `tcp` on 0.99.1: line 3: ERROR: no such thing" in text
