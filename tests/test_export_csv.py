"""CSV: whatever goes in comes out of any reader, and nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.export import csv_header, csv_rows, write_snapshot
from bpftop.export.snapshot_csv import file_stem
from bpftop.export.table import Cell, guarded, to_csv
from bpftop.model import SlowRequest
from bpftop.text import safe
from tests.snapshots import UNIX_NS, by_call, measure, scripted, snapshot

cells = st.one_of(st.text(max_size=30), st.integers(-(2**63), 2**64), st.none())


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def table(paths: tuple[Path, ...], name: str) -> list[dict[str, str]]:
    path = next(path for path in paths if path.name.endswith(f"-{name}.csv"))
    with path.open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


@given(st.lists(st.lists(cells, min_size=2, max_size=5), max_size=5))
def test_cells_come_back(rows: list[list[Cell]]) -> None:
    def expected(cell: Cell) -> str:
        return guarded(cell) if isinstance(cell, str) else "" if cell is None else str(cell)

    text = to_csv(rows)
    assert read(text) == [[expected(cell) for cell in row] for row in rows]
    assert text.count("\n") == len(rows), "one row, one line"


@given(st.text(max_size=40))
def test_no_text_is_a_formula_or_steers_a_terminal(text: str) -> None:
    cell = guarded(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == safe(text).removeprefix("'")
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in cell)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_formulas_get_an_apostrophe(text: str) -> None:
    assert guarded(text) == "'" + text


def test_numbers_stay_whole_beyond_what_floats_hold() -> None:
    assert (
        to_csv([(2**63, 9007199254740993, 0.5, float("nan"), None)]) == "9223372036854775808,9007199254740993,0.500,,\n"
    )


def test_the_files_of_a_snapshot(tmp_path: Path) -> None:
    slow = [
        SlowRequest(UNIX_NS, "request", 2_000_001, "10.0.0.1", {"read_queue_ns": 7, "pid": 11}),
        SlowRequest(UNIX_NS - 1, "connection", 900, "=cmd", {"client_port": 9}),
    ]
    paths = write_snapshot(snapshot(slow=slow), tmp_path)
    names = ["percentiles", "histogram", "clients", "slow_requests", "accounting"]
    assert [path.name for path in paths] == [f"bpftop-nginx-20261122T214500Z-{name}.csv" for name in names]
    assert table(paths, "percentiles") == [
        {
            "measure": "request_latency",
            "count": "4",
            "rate_per_s": "0.400",
            "p50_ns": "1000000",
            "p90_ns": "2000000",
            "p95_ns": "2000000",
            "p99_ns": "2000000",
            "p999_ns": "2000000",
            "max_ns": "2000001",
            "window_s": "10.000",
        }
    ]
    assert [tuple(row.values()) for row in table(paths, "histogram")] == [
        ("request_latency", "990000", "1010000", "3"),
        ("request_latency", "1990000", "2010000", "1"),
    ]
    assert [row["client"] for row in table(paths, "clients")] == ["10.0.0.1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"]
    assert table(paths, "slow_requests")[0] == {
        "timestamp_ns": str(UNIX_NS),
        "latency_ns": "2000001",
        "event": "request",
        "client": "10.0.0.1",
        "read_queue_ns": "7",
        "pid": "11",
        "client_port": "",
    }
    assert table(paths, "slow_requests")[1]["client"] == "'=cmd"
    rows = {row["quantity"]: row["value"] for row in table(paths, "accounting")}
    assert (rows["produced"], rows["shown"], rows["suppressed"], rows["lost"]) == ("10", "4", "6", "0")
    assert rows["source"] == "bpftrace"


def test_an_empty_snapshot_still_has_its_headers(tmp_path: Path) -> None:
    paths = write_snapshot(snapshot({}), tmp_path)
    heads = {path.name.rpartition("Z-")[2]: path.read_text().splitlines()[0] for path in paths}
    assert heads["percentiles.csv"].startswith("measure,count,rate_per_s,p50_ns")
    assert heads["histogram.csv"] == "measure,low_ns,high_ns,count"
    assert heads["slow_requests.csv"] == "timestamp_ns,latency_ns,event,client"


@given(st.text(max_size=80))
def test_the_file_name_is_safe_whatever_the_target(name: str) -> None:
    stem = file_stem(snapshot(name=name))
    assert stem.startswith("bpftop-")
    assert stem.isascii()
    assert not set(stem) & set("/\\ \n\0'\"$;*")
    assert len(stem) < 80


def test_a_report_has_a_row_for_each_measure_counter_and_key() -> None:
    shot = scripted({"a": measure("a"), "read_time": by_call()})
    rows = list(csv.DictReader(io.StringIO(to_csv([csv_header(), *csv_rows(shot)])), strict=True))
    told = [(row["measure"], row["kind"], row["key"], row["count"]) for row in rows]
    assert told == [
        ("a", "client", "", "0"), ("read_time", "syscall", "", "40"), ("read_time", "syscall", "pread64", "30"),
        ("read_time", "syscall", "openat", "10"), ("resets", "client", "", "7"), ("resets", "client", "10.0.0.1", "7"),
    ]  # fmt: skip
    assert {(row["timestamp_ns"], row["duration_s"], row["produced"]) for row in rows} == {
        (str(UNIX_NS), "10.000", "10")
    }
    assert rows[0]["p50_ns"] == "", "nothing came: no percentile, not zero"
    call = rows[2]
    assert (call["p50_ns"], call["p90_ns"], call["p99_ns"], call["max_ns"]) == ("50000000", "", "90000000", "99000000")
    assert (call["rate_per_s"], call["total_ns"], call["share_of_wall"]) == ("3.000", "2000000000", "0.200000")
    assert (rows[1]["total_ns"], rows[1]["share_of_wall"]) == ("2500000000", "0.250000")
    assert (rows[4]["rate_per_s"], rows[4]["p50_ns"], rows[4]["total_ns"]) == ("0.700", "", "")


def test_a_saved_snapshot_has_the_same_keys(tmp_path: Path) -> None:
    rows = table(write_snapshot(scripted({"read_time": by_call()}), tmp_path), "keys")
    assert [(row["key"], row["count"], row["share_of_wall"]) for row in rows] == [
        ("pread64", "30", "0.200000"), ("openat", "10", "0.050000"), ("", "7", ""), ("10.0.0.1", "7", ""),
    ]  # fmt: skip
