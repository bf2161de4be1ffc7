"""``bpftop run`` without a kernel: its words, what it refuses, what comes out in each format."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from bpftop.anyscript.run import ScriptRun
from bpftop.cli import main
from bpftop.cli import run as run_module
from bpftop.cli.parser import parse
from bpftop.errors import UsageError
from bpftop.scripts.catalog import script_folder
from tests.fakes import FakeBpftrace

TEXT = """// /// bpftop
// title = "Reads"
// [maps.usecs]
// title = "Read time"
// ///
tracepoint:a:b { @usecs = hist(1); @by[pid, comm] = count(); @s = stats(1); @size[comm] = lhist(1, 0, 100, 10); }
"""
HIST = [{"min": 4, "max": 7, "count": 90}, {"min": 8, "max": 15, "count": 0}, {"min": 16, "max": 31, "count": 10}]
BODY = f"""
def end(number):
    line("hist", {{"@usecs": {HIST!r}}})
    line("map", {{"@by": {{"7,a": 1, "8,b,c": 22}}}})
    line("stats", {{"@s": {{"count": 3, "average": 5, "total": 15}}}})
    line("hist", {{"@size": {{"a": [{{"min": 0, "max": 9, "count": 2}}, {{"min": 100, "count": 1}}]}}}})
    os._exit(0)
on_signals(end)
attached(4)
printf("\\tone \\x1b[31m")
line("map", {{"@by": {{"7,a": 1}}}})
forever()
"""


@pytest.fixture(autouse=True)
def _no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "prepare", lambda host: None)
    monkeypatch.setattr(ScriptRun, "_holds_nothing", lambda self: False)
    monkeypatch.setattr(run_module, "bpftrace_version", lambda path: "0.17.0")


def written(folder: Path, text: str = TEXT) -> str:
    path = folder / "reads.bt"
    path.write_text(text)
    path.chmod(0o644)
    return str(path)


def ran(folder: Path, *words: str, body: str = BODY, text: str = TEXT) -> int:
    fake = FakeBpftrace(folder, body)
    return main(["run", *words, "--bpftrace", str(fake.path), written(folder, text)])


# --- words ---


@pytest.mark.parametrize(
    ("words", "args"),
    [
        (["x.bt"], []),
        (["x.bt", "7", "nginx"], ["7", "nginx"]),
        (["-d", "3", "x.bt", "7"], ["7"]),
        (["x.bt", "7", "-d", "3", "8"], ["7", "8"]),
        (["x.bt", "-d", "3", "--", "-x", "--", "9"], ["-x", "--", "9"]),
        (["x.bt", "7", "--", "-d"], ["7", "-d"]),
        (["--", "x.bt", "-d"], ["-d"]),
        (["x.bt", "-5"], ["-5"]),
    ],
)
def test_what_stands_behind_the_file_is_for_the_program(words: list[str], args: list[str]) -> None:
    options = parse(["run", *words])
    assert (options.file, options.args) == ("x.bt", args)
    assert options.duration == (3.0 if "-d" in words[: words.index("--") if "--" in words else None] else None)


def test_words_that_make_no_sense(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no option --nonsense"):
        parse(["run", "x.bt", "--nonsense"])
    assert main(["run"]) == 2
    assert "name a bpftrace program" in capsys.readouterr().err
    assert main(["run", written(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "the live screen needs a terminal" in said
    assert f"bpftop run {tmp_path}/reads.bt -d 10" in said


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (TEXT, 0o666, "can be changed by everybody, so it is not run"),
        (TEXT.replace("title =", "titel =", 1), 0o644, "reads.bt:2: unknown key 'titel'; did you mean 'title'?"),
        ("tracepoint:a:b { observe(x, 1, 0, nsecs); }\n", 0o644, "a part for bpftop's own programs"),
    ],
)
def test_programs_that_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, mode: int, said: str
) -> None:
    path = written(tmp_path, text)
    os.chmod(path, mode)
    assert main(["run", path, "-d", "1"]) == 2
    assert said in capsys.readouterr().err


def test_our_own_scripts_are_answered_with_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(script_folder() / "requests.bt"), "-d", "1"]) == 2
    assert "sudo bpftop watch TARGET --scripts requests" in capsys.readouterr().err


# --- what comes out ---


def test_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(tmp_path, "-d", "0.2") == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "        one ?[31m", "foreign words cannot steer the terminal"
    assert "Read time (@usecs)  count 100  p50 4..8 µs  p90 4..8 µs  p99 16..32 µs" in out
    assert "@s  count 3  average 5  total 15" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["8", "b,c", "22"] in rows
    assert ["a", "3", "0..9", "≥", "100", "≥", "100"] in rows
    assert "4 probes, 1 line said, 0 events lost" in out


def test_text_in_ascii(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(tmp_path, "-d", "0.2", "--ascii") == 0
    assert capsys.readouterr().out.isascii()


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(tmp_path, "-d", "0.2", "--format", "json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["title"], report["state"], report["exit_code"], report["probes"]) == ("Reads", "ended", 0, 4)
    usecs = report["maps"]["@usecs"]
    assert (usecs["title"], usecs["unit"], usecs["function"]) == ("Read time", "us", "hist")
    assert usecs["rows"][0]["p99"] == {"low": 16, "high": 31}
    assert usecs["rows"][0]["buckets"][0] == {"low": 4, "high": 7, "count": 90}
    assert report["maps"]["@size"]["rows"][0]["p99"] == {"low": 100, "high": None}
    assert [(row["key"], row["value"]) for row in report["maps"]["@by"]["rows"]] == [
        (["8", "b,c"], 22),
        (["7", "a"], 1),
    ]
    assert [line["line"] for line in report["log"]] == ["        one ?[31m"]


def test_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(tmp_path, "-d", "0.2", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    found = {(row["map"], row["key"], row["field"], row["low"], row["high"]): row["value"] for row in rows}
    assert found["usecs", "", "bucket", "4", "7"] == "90"
    assert found["usecs", "", "p99", "16", "31"] == ""
    assert found["by", "8,b,c", "value", "", ""] == "22"
    assert found["s", "", "average", "", ""] == "5"
    assert found["size", "a", "bucket", "100", ""] == "1"
    assert found["", "", "lost_events", "", ""] == "0"
    assert all(len(row["timestamp_ns"]) == 19 for row in rows)


def test_intervals_repeat_no_line_and_no_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(tmp_path, "-d", "0.7", "-i", "0.2", "--format", "json") == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(reports) >= 3
    assert [list(report["maps"]) for report in reports[:2]] == [["@by"], []]
    assert [len(report["log"]) for report in reports].count(1) == 1
    assert set(reports[-1]["maps"]) == {"@usecs", "@by", "@s", "@size"}


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (
            "complain(b'/proc/self/fd/5:6:1-3: ERROR: Unknown function: x\\n')\nos._exit(1)",
            2,
            ":6: Unknown function: x",
        ),
        ("complain(b'ERROR: Error attaching probe: \\'kprobe:x\\'\\n')\nos._exit(255)", 3, "no function x to trace"),
        ("attached()\nos._exit(5)", 2, "the program ended itself with exit code 5"),
        ("os.kill(os.getpid(), 11)", 3, "bpftrace crashed"),
        ("attached()\nprintf('x')\nline('lost_events', dict(events=7))", 4, "7 events were lost beside the 1 lines"),
        ("attached()", 0, ""),
    ],
)
def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, code: int, said: str) -> None:
    assert ran(tmp_path, "-d", "5", body=body) == code
    assert said in capsys.readouterr().err


def test_without_any_probe_nothing_is_proven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ScriptRun, "_holds_nothing", lambda self: True)
    assert ran(tmp_path, "-d", "0.6") == 4
    assert "nothing that it wants to trace is attached" in capsys.readouterr().err


def test_a_full_map_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "config = { max_map_keys = 2; }\n" + TEXT
    assert ran(tmp_path, "-d", "0.2", text=text) == 4
    assert "@by" in capsys.readouterr().err
