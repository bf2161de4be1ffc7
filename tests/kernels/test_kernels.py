"""An old kernel in every run: boots, and the default scripts count exactly. ``make test-kernels`` tries all of them."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from tests.kernels.archives import entry
from tests.kernels.guest import GuestRun, python, run_in_guest
from tests.kernels.limited import LIMITED, MARK
from tests.kernels.packages import KernelUnavailable, kernel
from tests.kernels.rows import MISSED, Row, command, rows_of
from tests.kernels.table import page, table
from tests.kernels.truths import PROGRAMS
from tests.load.build import program

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@pytest.mark.timeout(600)
def test_the_default_scripts_are_exact_on_5_10() -> None:
    for name in PROGRAMS:
        program(name)
    try:
        both = (shlex.join(words) for words in (command(["requests", "connections"]), python("tests.kernels.limited")))
        run = run_in_guest(kernel("5.10"), ["sh", "-c", " && ".join(both)], timeout_s=500)
    except KernelUnavailable as error:
        if IN_CI:
            raise
        pytest.skip(str(error))
    rows = {row.script: row for row in rows_of("5.10", run)}
    assert {name: (row.failed, row.variant) for name, row in rows.items()} == {
        "requests": (False, "kprobe"),
        "connections": (False, ""),
    }, f"{run.stdout}\n{run.stderr}"
    assert all(row.state == "exact" or row.state.startswith(MISSED) for row in rows.values()), run.stdout
    assert all(row.release.startswith("5.10.") for row in rows.values())
    _names_the_limit_above(run)


def _names_the_limit_above(run: GuestRun) -> None:
    """Control groups of version 2 can be had in a guest only, where version 1 has the CPUs."""
    [line] = [line for line in run.stdout.splitlines() if line.startswith(MARK)]
    found = json.loads(line.removeprefix(MARK))
    told = found["told"]["cpu"]
    assert told["group"] == LIMITED, "its own group has no limit"
    assert 0 < told["throttled_s"] * 1e6 <= found["throttled_us"]
    assert told["throttled_s"] >= 0.1 * found["told"]["span_s"]


def test_no_kernel_is_a_reason_and_never_a_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelUnavailable, match="apt-get and dpkg-deb are needed"):
        kernel("5.10")
    assert not any(tmp_path.glob("bpftop-kernels/*"))


def row(label: str, release: str, state: str, detail: str, script: str = "requests", variant: str = "") -> Row:
    return Row(label, release, script, variant, state, detail)


def test_the_table_says_what_was_exact_and_why_something_was_not_there() -> None:
    rows = [
        row("5.10", "5.10.0-32-amd64", "exact", "400 requests", variant="kprobe"),
        row("6.12", "6.12.1-amd64", "exact", "400 requests"),
        row("5.10", "5.10.0-32-amd64", "unavailable", "the kernel has no tracepoint x", "http"),
        row("6.12", "6.12.1-amd64", "attached", "9 probes", "http"),
    ]
    lines = table(rows).splitlines()
    assert lines[0] == "| script | 5.10.0 | 6.12.1 |"
    assert lines[2] == "| *from Debian* | bullseye | trixie |"
    assert lines[3:] == [
        "| `requests` | exact, kprobe variant | exact |",
        "| `http` | unavailable (1) | attaches |",
    ]
    text = page(rows, "0.17.0")
    assert "1. the kernel has no tracepoint x\n" in text
    assert "Counted in each: `requests`: 400 requests." in text


def test_rows_cross_the_border() -> None:
    sent = [row("", "5.10.0", "failed", "why\nso"), row("", "5.10.0", "exact", "all", "connections")]
    run = GuestRun(0, "noise\n" + "".join(one.line() + "\n" for one in sent), "", 1.0, 2.0)
    assert [one.failed for one in rows_of("5.10", run)] == [True, False]
    assert {one.label for one in rows_of("5.10", run)} == {"5.10"}


def test_an_entry_of_the_initial_file_system_is_as_cpio_wants_it() -> None:
    made = entry("a/b", 0o100755, b"12345")
    assert made.startswith(b"070701")
    assert len(made) % 4 == 0
    assert int(made[54:62], 16) == 5, "the size of the content"
    assert int(made[94:102], 16) == len("a/b") + 1
    assert made[110:114] == b"a/b\0"
