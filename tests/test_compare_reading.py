"""Files of all kinds become the right counts, or one sentence; never a traceback, never a wrong figure."""

from __future__ import annotations

import csv
import json
import os
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpftop.compare import read_run
from bpftop.compare.model import Run
from bpftop.errors import FileError
from bpftop.export import to_json, write_snapshot
from bpftop.model import Accounting, Overhead, SlowRequest, Summary
from tests.compared import HEADER, skewed, written
from tests.fuzz.examples import examples
from tests.snapshots import UNIX_NS, busy, measure, snapshot

files = settings(examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: Path, data: bytes | str) -> Run:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_run(path)


def samples(run: Run) -> dict[str, Counter[int]]:
    """Every sample by measure."""
    for histogram in run.measures.values():
        assert (histogram.high_ns == histogram.low_ns + 1).all()
        assert (np.diff(histogram.low_ns) > 0).all()
    return {
        name: Counter(dict(zip(h.low_ns.tolist(), h.counts.tolist(), strict=True))) for name, h in run.measures.items()
    }


# --- samples ----------------------------------------------------------------------------------------------------------

words = st.text(st.characters(codec="utf-8", exclude_characters='\r\n",', exclude_categories=["C", "M", "Z"]))
cells = st.tuples(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1), words, st.text(max_size=5))


@files
@given(rows=st.lists(cells, max_size=30), quoted=st.booleans(), ending=st.sampled_from(["\n", "\r\n"]))
def test_samples_are_what_any_csv_reader_finds(
    tmp_path: Path, rows: list[tuple[int, int, str, str]], quoted: bool, ending: str
) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as file:
        file.write(f"timestamp_ns,latency_ns,event,client{ending}")
        clean = [(*row[:3], "".join(c for c in row[3] if c not in '\r\n",')) for row in rows]
        if quoted:
            csv.writer(file, lineterminator=ending, quoting=csv.QUOTE_NONNUMERIC).writerows(clean)
        else:
            csv.writer(file, lineterminator=ending).writerows(clean)
    expected: dict[str, Counter[int]] = {}
    for _, latency, event, _ in rows:
        expected.setdefault(event or "latency", Counter())[latency] += 1
    found = read_run(path)
    assert samples(found) == expected
    assert (found.notes, found.problems) == ((), ())


def test_chunks_lose_and_double_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = skewed(3000).tolist()
    path = written(tmp_path / "a.csv", values)
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr("bpftop.compare.samples._CHUNK", size)
        assert samples(read_run(path)) == {"request": Counter(values)}


def test_several_events_are_several_measures_and_long_names_are_kept_apart(tmp_path: Path) -> None:
    names = [
        "request",
        "requests",
        "x",
        "connection-with-a-very-long-name-1",
        "connection-with-a-very-long-name-2",
        "é",
    ]
    rows = [(i, 1000 + i, names[i % len(names)]) for i in range(600)]
    found = read(tmp_path / "a.csv", HEADER + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    assert samples(found) == {name: Counter(b for _, b, c in rows if c == name) for name in names}


def test_the_words_of_bpftrace_between_the_rows_are_passed_over(tmp_path: Path) -> None:
    """As `bpftrace -e ... > FILE` writes them, up to the maps at the end."""
    text = HEADER + "Attaching 3 probes...\n1,500,connection\n\n2,600,connection\n\n\n@start[12]: 99\n\n"
    found = read(tmp_path / "a.csv", text)
    assert samples(found) == {"connection": Counter([500, 600])}
    assert (found.notes, found.problems) == ((), ())


def test_names_that_look_the_same_are_added_up(tmp_path: Path) -> None:
    rows = b"1,5,a\x01\n2,6,a\x02\n3,7,\n4,8,latency\n5,9,a\xff\n6,9,a\xfe\n"
    found = samples(read(tmp_path / "a.csv", HEADER.encode() + rows))
    assert found == {"a?": Counter([5, 6]), "latency": Counter([7, 8]), "a\N{REPLACEMENT CHARACTER}": Counter([9, 9])}


def test_a_file_without_events_is_one_measure(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "timestamp_ns,latency_ns\n1,500\n2,500\n")
    assert samples(found) == {"latency": Counter([500, 500])}


def test_what_bpftrace_lost_is_counted(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i},request\n" for i in range(5000))
    few = read(tmp_path / "a.csv", f"{HEADER}{rows}Lost 3 events\n")
    assert few.notes == ("3 of 5,003 events were lost",)
    assert few.problems == ()
    many = read(tmp_path / "b.csv", f"{HEADER}{rows}Lost 3 events\nLost 4 events\n")
    assert many.problems == ("7 of 5,007 events were lost: more than 0.1 %",)


@pytest.mark.parametrize("cut", range(1, len("12,700,request")))
def test_a_last_line_that_is_cut_is_left_out_and_said(tmp_path: Path, cut: int) -> None:
    text = HEADER + "10,500,request\n11,600,request\n" + "12,700,request"[:cut]
    found = read(tmp_path / "a.csv", text)
    assert samples(found) == {"request": Counter([500, 600])}
    assert found.problems == ("its last line is cut off and was left out: the run is partial",)


def test_a_last_line_without_line_feed_counts_when_it_is_whole(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", HEADER + "10,500,request\n11,600,request")
    assert samples(found) == {"request": Counter([500, 600])}
    assert found.problems == ()
    assert samples(read(tmp_path / "b.csv", HEADER + "10,500,request\n\n@x[1]: 2")) == {"request": Counter([500])}


def test_a_number_that_may_be_cut_is_no_sample(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", "timestamp_ns,latency_ns\n10,500\n11,60")
    assert samples(found) == {"latency": Counter([500])}
    assert found.notes == ("the last line has no line feed, its number may be cut: left out",)


def test_nothing_but_a_header_is_a_run_without_measures(tmp_path: Path) -> None:
    for text in (HEADER, HEADER.strip(), HEADER + "Attaching 3 probes...\n"):
        assert read(tmp_path / "a.csv", text).measures == {}


ROW = "1,500,request\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\n", "begins with an empty line"),
        ("hello\n", "has no column latency_ns, is no snapshot and no report as JSON; it begins: hello"),
        ("\x1b[31mred\n", "it begins: ?[31mred"),
        ("event,latency_ns\nx,1\n", "the first column has to be timestamp_ns, not event"),
        ("timestamp_ns,duration_s,measure,count,rate_per_s,p50_ns,p99_ns\n", "has percentiles only"),
        (HEADER + ROW + "1,2\n" + ROW, "line 3 has 2 cells, the first line has 3"),
        (HEADER + "\n\n" + ROW + "1,2,3,4\n", "line 5 has 4 cells, the first line has 3"),
        (HEADER + ROW * 3 + "5,-3,request\n", "line 5 has no whole number of nanoseconds"),
        (HEADER + "5,1.5,request\n", "line 2 has no whole number of nanoseconds"),
        (HEADER + "5,,request\n", "line 2 has no whole number of nanoseconds"),
        (HEADER + ROW + "5,1234567890123456789,request\n", "line 3 has no whole number of nanoseconds"),
        (HEADER + '5,"x",request\n', "line 2 has no whole number of nanoseconds"),
        (HEADER + '5,"1"\n', "line 2 has 2 cells, the first line has 3"),
        (HEADER + ROW + "oops\n", "line 3 is neither a sample nor a word of bpftrace: oops"),
        (HEADER + "".join(f"1,2,e{i}\n" for i in range(65)), "more than 64 different words"),
        ("[1, 2]\n", "is JSON, but no report of bpftop"),
        ('{"measures": 3}', "is JSON, but no report of bpftop"),
        ('{"measures": {}, "schema": 2}', "has schema 2, this bpftop reads schema 1"),
        ('{"schema": 1, "measures": {"a": {}}}', "a has no histogram of [low_ns, high_ns, count]"),
        ('{"schema": 1, "measures": {"a": {"count": 1, "histogram": [[1, 2, 2]]}}}', "does not add up to its count"),
        ('{"schema": 1, "measures": {"a": {"count": 1, "histogram": [[2, 1, 1]]}}}', "an impossible bucket"),
        ('{"schema": 1, "measures": {"a": {"count": 2, "histogram": [[1, 4, 1], [2, 5, 1]]}}}', "buckets that overlap"),
        ('{"schema": 1, "measures": {"a": {"count": 1, "histogram": [[true, 2, 1]]}}}', "has no histogram"),
        ('{"schema": 1, "measures": {}, "accounting": {"lost": "x"}}', "lost of the accounting is no number"),
        ('{"schema": 1,\n', "line 1 is no JSON; is the file whole?"),
        ("[" * 100_000, "line 1 is no JSON"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FileError) as error:
        read(tmp_path / "a.csv", text)
    assert said in error.value.message
    assert "\x1b" not in error.value.message
    assert error.value.exit_code == 2


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory"), (Path("a\0b"), "null byte")):
        with pytest.raises(FileError, match=said):
            read_run(path)


def test_a_line_without_end_is_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bpftop.compare.samples._CHUNK", 1000)
    monkeypatch.setattr("bpftop.compare.samples._LONGEST", 2000)
    with pytest.raises(FileError, match="no CSV of samples"):
        read(tmp_path / "a.csv", HEADER + "1" * 5000)


def test_a_pipe_is_read_too(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(HEADER + ROW * 1000,))
    writer.start()
    assert samples(read_run(pipe)) == {"request": Counter({500: 1000})}
    writer.join()


@files
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", HEADER.encode(), b'{"schema": 1, "measures": {']))
def test_any_bytes_are_a_run_or_a_sentence(tmp_path: Path, data: bytes, start: bytes) -> None:
    for name in ("a.csv", "b-histogram.csv", "b-accounting.csv", "b-percentiles.csv"):
        (tmp_path / name).write_bytes(start + data)
    for name in ("a.csv", "b-slow_requests.csv"):
        said = ""
        try:
            assert isinstance(read_run(tmp_path / name), Run)
        except FileError as error:
            said = error.message
        assert said.isprintable()


@files
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_a_byte_that_flips_never_ends_in_a_traceback(tmp_path: Path, place: int, byte: int) -> None:
    rows = "".join(f"{i},{i * 7},request,10.0.0.1\n" for i in range(60))
    reports = "".join(json.dumps(report()) + "\n" for _ in range(2))
    for text in ("timestamp_ns,latency_ns,event,client\n" + rows, reports):
        data = bytearray(text.encode())
        data[place % len(data)] = byte
        said, found = "", Run("", "", {})
        try:
            found = read(tmp_path / "a", bytes(data))
        except FileError as error:
            said = error.message
        assert said.isprintable()
        assert sum(int(h.counts.sum()) for h in found.measures.values()) <= 62


# --- reports ----------------------------------------------------------------------------------------------------------


def report(**changed: Any) -> dict[str, Any]:
    return {**to_json(snapshot()), **changed}


def test_a_report_that_says_something_against_itself_proves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for said, found in ((["why"], ("why",)), ([], ()), (7, ()), ([7, "b"], ("b",))):
        path.write_text(json.dumps(to_json(snapshot()) | {"problems": said}))
        assert read_run(path).problems == found


def test_a_report_is_its_buckets(tmp_path: Path) -> None:
    for indent in (None, 2):
        found = read(tmp_path / "a.json", json.dumps(report(), indent=indent) + "\n")
        (histogram,) = found.measures.values()
        expected = busy().histogram
        assert (histogram.low_ns == expected.low_ns).all()
        assert (histogram.high_ns == expected.high_ns).all()
        assert histogram.counts.tolist() == [3, 1]
        assert found.facts == {"target": "nginx", "source": "bpftrace"}
        assert (found.kind, found.notes, found.problems) == ("report", (), ())


def test_intervals_are_added_up(tmp_path: Path) -> None:
    quiet = to_json(snapshot({"request_latency": measure()}))
    lines = [json.dumps(each) for each in (report(), quiet, report(), report())]
    found = read(tmp_path / "a.json", "\n".join(lines) + "\n")
    assert found.measures["request_latency"].counts.tolist() == [9, 3]


def test_a_line_of_json_that_is_cut_makes_the_run_partial(tmp_path: Path) -> None:
    line = json.dumps(report())
    found = read(tmp_path / "a.json", f"{line}\n{line}\n{line[:-30]}")
    assert found.measures["request_latency"].counts.tolist() == [6, 2]
    assert found.problems == ("its last line is cut off and was left out: the run is partial",)
    with pytest.raises(FileError, match="line 1 is no JSON"):
        read(tmp_path / "b.json", line[:-30])
    with pytest.raises(FileError, match="line 2 is no JSON"):
        read(tmp_path / "c.json", f"{line}\n{line[:-30]}\n{line}")


@pytest.mark.parametrize(
    ("account", "missed", "problem"),
    [
        (Accounting(10_000, 9_990, 0, 10), 0, ""),
        (Accounting(10_000, 9_989, 0, 10, 1), 0, "11 of 10,000 events were lost: more than 0.1 %"),
        (Accounting(10, 10, untracked=1), 0, "1 connections found the kernel's table full, beside 10 requests: more"),
        (Accounting(10, 10), 10, ""),
        (Accounting(10, 10), 11, "11 of 10,011 hits of the probes were missed"),
    ],
)
def test_what_was_lost_makes_a_run_worthless(tmp_path: Path, account: Accounting, missed: int, problem: str) -> None:
    shot = snapshot(accounting=account, overhead=Overhead(260.0, 1000.0, 0.026, missed))
    line = json.dumps(to_json(shot))
    for found in (read(tmp_path / "a.json", line), read_run(write_snapshot(shot, tmp_path)[0])):
        assert "".join(found.problems).startswith(problem)
        assert bool(found.problems) == bool(problem)
        assert bool(found.notes) == (not problem)


# --- snapshots --------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_read_by_any_of_its_files(tmp_path: Path) -> None:
    slow = [SlowRequest(UNIX_NS, "request", 2_000_001, "10.0.0.1")]
    paths = write_snapshot(snapshot(slow=slow), tmp_path)
    for path in paths:
        found = read_run(path)
        assert found.path.endswith("-histogram.csv"), "the slow requests are no sample of all"
        assert found.measures["request_latency"].counts.tolist() == [3, 1]
        assert found.facts == {"target": "nginx", "source": "bpftrace"}
        assert (found.notes, found.problems) == ((), ())


def test_a_snapshot_and_a_report_of_one_moment_are_the_same(tmp_path: Path) -> None:
    shot = snapshot()
    saved = read_run(write_snapshot(shot, tmp_path)[0])
    told = read(tmp_path / "a.json", json.dumps(to_json(shot)))
    for mine, theirs in zip(saved.measures.values(), told.measures.values(), strict=True):
        assert (mine.low_ns == theirs.low_ns).all()
        assert (mine.counts == theirs.counts).all()


def test_a_snapshot_with_files_missing_says_so(tmp_path: Path) -> None:
    paths = {path.name.rpartition("-")[2]: path for path in write_snapshot(snapshot(), tmp_path)}
    paths["accounting.csv"].unlink()
    paths["percentiles.csv"].unlink()
    found = read_run(paths["histogram.csv"])
    assert [note.partition(":")[0] for note in found.notes] == [
        "no percentiles beside it",
        "no accounting beside it",
    ]
    paths["histogram.csv"].unlink()
    with pytest.raises(FileError, match=r"-histogram\.csv is missing"):
        read_run(paths["slow_requests.csv"])
    with pytest.raises(FileError, match="has percentiles only"):
        read_run(paths["clients.csv"])


def test_a_name_like_a_snapshot_makes_no_snapshot(tmp_path: Path) -> None:
    assert samples(read_run(written(tmp_path / "slow-clients.csv", [5, 6]))) == {"request": Counter([5, 6])}


def test_a_snapshot_cut_anywhere_is_no_run(tmp_path: Path) -> None:
    big = replace(busy(), summary=Summary(40, 4.0, 1, 1, 1, 1, 1, 1))
    big = replace(big, histogram=measure(buckets=[(i * 10, i * 10 + 10, 1) for i in range(40)]).histogram)
    paths = write_snapshot(snapshot({"request_latency": big}), tmp_path)
    path = next(path for path in paths if path.name.endswith("-histogram.csv"))
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(FileError):
            read_run(path)
    path.write_bytes(whole)
    assert read_run(path).measures["request_latency"].counts.sum() == 40
