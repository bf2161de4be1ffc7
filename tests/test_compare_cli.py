"""``bpftop compare``: every format, every exit code, the words of the seed recipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bpftop.cli import main
from bpftop.export import to_json, write_snapshot
from bpftop.model import Accounting
from tests.compared import skewed, written
from tests.snapshots import snapshot

BPFTOP = [sys.executable, "-P", "-m", "bpftop", "compare"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline, a run like it, a slower one, a short one."""
    folder = tmp_path_factory.mktemp("runs")
    written(folder / "base.csv", skewed().tolist())
    written(folder / "same.csv", skewed(seed=2).tolist())
    written(folder / "slow.csv", skewed(seed=2, times=1.3).tolist())
    written(folder / "few.csv", skewed(100).tolist())
    return folder


@pytest.fixture
def call(files: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command in the folder: exit code, stdout, stderr."""
    monkeypatch.chdir(files)

    def called(words: str) -> tuple[int, str, str]:
        code = main(["compare", *words.split()])
        out = capsys.readouterr()
        return code, out.out, out.err

    return called


# --- exit codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json", "junit", "markdown"])
@pytest.mark.parametrize(
    ("words", "code", "verdict"),
    [
        ("base.csv base.csv", 0, "fine"),
        ("base.csv same.csv --threshold-p99 20", 0, "fine"),
        ("base.csv slow.csv --threshold-p99 20", 1, "regression"),
        ("base.csv slow.csv --threshold-p99 50", 0, "fine"),
        ("base.csv slow.csv --threshold-p99 50% --threshold-p50 2.5", 1, "regression"),
        ("base.csv few.csv", 4, "inconclusive"),
        ("slow.csv base.csv", 0, "fine"),
    ],
)
def test_the_exit_code_is_the_verdict(call: Any, words: str, code: int, verdict: str, form: str) -> None:
    found, out, err = call(f"{words} --format {form}")
    assert found == code
    assert verdict in out
    assert (f"bpftop: {verdict}: request p" in err) == (code != 0 and form != "text")


def test_the_words_of_the_recipe_mean_the_same(call: Any) -> None:
    code, out, err = call("base.csv slow.csv --threshold-p99 20")
    for words in (
        "--baseline base.csv --current slow.csv --threshold-p99 20",
        "--current slow.csv base.csv --threshold-p99 20",
        "--baseline=base.csv slow.csv",
    ):
        assert call(words) == (code, out, err)


def test_the_module_of_the_recipe_is_the_same_command(call: Any, files: Path) -> None:
    words = ["--baseline", "base.csv", "--current", "slow.csv", "--threshold-p99", "20"]
    command = [sys.executable, "-P", "-m", "bpftop.latency_analyzer", *words]
    run = subprocess.run(command, cwd=files, capture_output=True, check=False)
    code, out, _ = call(" ".join([*words, "--ascii"]))
    assert (run.returncode, code) == (1, 1)
    assert run.stdout.decode().splitlines()[-1] == out.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "name two files"),
        ("base.csv", "name two files"),
        ("--baseline base.csv", "name two files"),
        ("base.csv slow.csv few.csv", "too many files: few.csv"),
        ("--baseline base.csv --current slow.csv few.csv", "too many files: few.csv"),
        ("base.csv none.csv", "none.csv cannot be read: No such file or directory"),
        ("base.csv .", ". cannot be read: Is a directory"),
        ("base.csv slow.csv --measure x", "there is no measure x in these files"),
        ("base.csv slow.csv --threshold-p99 x", "'x' is not a percentage such as 20 or 2.5"),
        ("base.csv slow.csv --threshold-p99 0", "'0' is not a percentage"),
        ("base.csv slow.csv --threshold-p99 -5", "'-5' is not a percentage"),
        ("base.csv slow.csv --min-samples 0", "'0' is not a whole number"),
        ("base.csv slow.csv --format xml", "invalid choice: 'xml'"),
    ],
)
def test_wrong_words_are_a_sentence_and_exit_code_2(call: Any, words: str, said: str) -> None:
    code, out, err = call(words)
    assert (code, out) == (2, "")
    assert said in err.splitlines()[0]
    assert err.startswith("bpftop: ")
    assert len(err.splitlines()) == 2, "and what to type"


def test_without_a_threshold_p99_may_grow_by_20_percent(call: Any) -> None:
    assert call("base.csv slow.csv") == call("base.csv slow.csv --threshold-p99 20")


def test_samples_that_are_too_few_can_be_made_enough(call: Any) -> None:
    code, out, _ = call("few.csv few.csv --min-samples 100")
    assert (code, "fine: request p99: the same counts" in out) == (0, True)
    assert call("few.csv few.csv")[0] == 4


def test_a_run_that_was_cut_or_lost_events_is_inconclusive(files: Path, tmp_path: Path, call: Any) -> None:
    whole = (files / "base.csv").read_text()
    cut, lossy = tmp_path / "cut.csv", tmp_path / "lossy.csv"
    cut.write_text(whole[:-5])
    lossy.write_text(whole + "Lost 100 events\n")
    code, out, _ = call(f"base.csv {cut}")
    assert (code, "the run is partial" in " ".join(out.split())) == (4, True)
    code, out, _ = call(f"{lossy} base.csv")
    assert (code, "100 of 20,100 events were lost" in " ".join(out.split())) == (4, True)


def test_reports_and_snapshots_compare_with_each_other(tmp_path: Path, call: Any) -> None:
    report, lossy = tmp_path / "report.json", tmp_path / "lossy.json"
    report.write_text(json.dumps(to_json(snapshot())))
    lossy.write_text(json.dumps(to_json(snapshot(accounting=Accounting(10, 9, 0, 1), source="simulation"))))
    saved = write_snapshot(snapshot(), tmp_path)[2]
    code, out, _ = call(f"{report} {saved} --min-samples 4")
    assert code == 0
    assert "report of nginx" in out
    assert "snapshot of nginx" in out
    code, out, _ = call(f"{report} {lossy} --min-samples 4")
    assert code == 4
    assert "1 of 10 events were lost: more than 0.1 %" in " ".join(out.split())
    assert "current: from simulation, not from a kernel" in out


# --- text -------------------------------------------------------------------------------------------------------------


def test_the_text_has_a_table_a_chart_and_the_verdict_last(call: Any) -> None:
    _, out, _ = call("base.csv slow.csv --threshold-p99 20 --threshold-p50 10")
    lines = out.splitlines()
    assert lines[:2] == ["baseline  base.csv  (samples)", "current   slow.csv  (samples)"]
    rows = {line.split()[0]: line.split() for line in lines if line.startswith("  ")}
    assert rows["n"] == ["n", "20,000", "20,000"]
    assert [rows[name][-1] for name in ("p50", "p99")] == ["regression", "regression"]
    assert {"p50", "p90", "p95", "p99", "p99.9", "max"} <= set(rows)
    assert any("▓" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert "regression: request p99 " in out.split("\n\n")[-1]


def test_ascii_is_ascii(call: Any) -> None:
    _, out, _ = call("base.csv slow.csv --ascii")
    assert out.isascii()
    assert "# both, - only the baseline, + only the current run" in out


def test_a_pipe_without_unicode_gets_ascii(files: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for form in ("text", "json", "junit", "markdown"):
        done = subprocess.run(
            [*BPFTOP, "base.csv", "slow.csv", "--format", form],
            cwd=files,
            capture_output=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        assert done.stdout


def test_it_needs_no_screen(files: Path) -> None:
    code = (
        "import sys; from bpftop.cli import main; main(['compare', 'base.csv', 'base.csv']); "
        "print(sorted({'textual', 'rich', 'plotext', 'bpftop.session'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=files, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


# --- for machines -----------------------------------------------------------------------------------------------------


def test_json_has_every_figure(call: Any) -> None:
    _, out, _ = call("base.csv slow.csv --format json --threshold-p99 20")
    found = json.loads(out)
    assert (found["schema"], found["verdict"], found["exit_code"]) == ("bpftop-compare/1", "regression", 1)
    assert found["current"] == {"path": "slow.csv", "kind": "samples", "measures": ["request"]}
    measure = found["measures"]["request"]
    assert measure["baseline"]["count"] == 20_000
    assert measure["current"]["p99_ns"] > measure["baseline"]["p99_ns"]
    change = measure["changes"]["p99"]
    assert change["low_percent"] < change["change_percent"] < change["high_percent"]
    ratio = measure["current"]["p99_ns"] / measure["baseline"]["p99_ns"]
    assert change["change_percent"] == pytest.approx((ratio - 1) * 100, abs=0.01)
    assert measure["checks"][0]["threshold_percent"] == 20
    few = json.loads(call("base.csv few.csv --format json")[1])["measures"]["request"]
    assert few["changes"]["p99"]["low_percent"] is None, "an interval of 100 samples means nothing"


def cases(text: str) -> tuple[ElementTree.Element, dict[str, str]]:
    """The suite, and the outcome of each case."""
    root = ElementTree.fromstring(text.encode())
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    found = {
        f"{case.get('classname')}: {case.get('name')}": next((child.tag for child in case), "passed")
        for case in suite.iter("testcase")
    }
    assert suite.get("tests") == str(len(found))
    for outcome, counted in (("failure", "failures"), ("error", "errors")):
        assert suite.get(counted) == str(list(found.values()).count(outcome))
    return suite, found


def test_junit_counts_regressions_as_failures_and_doubt_as_errors(call: Any, files: Path, tmp_path: Path) -> None:
    suite, found = cases(call("base.csv slow.csv --format junit --threshold-p50 100 --threshold-p99 20")[1])
    assert found == {
        "bpftop.compare.request: p50 grows by less than 100 %": "passed",
        "bpftop.compare.request: p99 grows by less than 20 %": "failure",
    }
    assert "98 % interval" in (suite.findtext("system-out") or "")
    assert cases(call("base.csv few.csv --format junit")[1])[1].popitem()[1] == "error"
    cut = tmp_path / "cut.csv"
    cut.write_text((files / "slow.csv").read_text()[:-5])
    _, found = cases(call(f"base.csv {cut} --format junit")[1])
    assert found == {
        "bpftop.compare.request: p99 grows by less than 20 %": "error",
        "bpftop.compare: the data is complete": "error",
    }


def test_markdown_is_a_table_whatever_the_names(call: Any, tmp_path: Path) -> None:
    hostile = written(tmp_path / "a|b[x](y)`.csv", skewed().tolist(), event="<b>|*r*")
    code, out, _ = call(f"{hostile} {hostile} --format markdown")
    assert code == 0
    assert out.startswith("**fine**\n")
    rows = [line for line in out.splitlines() if line.startswith("|")]
    assert len(rows) == 9
    assert {line.replace(r"\|", "").count("|") for line in rows} == {8}
    assert rows[0].startswith(r"| \<b\>\|\*r\* | baseline | current | change |")
    assert rows[1] == "| --- | ---: | ---: | ---: | ---: | ---: | --- |"
    assert r"a\|b\[x\](y)\`.csv" in out


def test_a_name_that_would_steer_the_terminal_or_break_xml_does_not(call: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "a\x1b]0;x\x07.csv", skewed().tolist(), event="a\x1b[31m&<\x00>")
    for form in ("text", "json", "junit", "markdown"):
        code, out, _ = call(f"{path} {path} --format {form}")
        assert code == 0
        assert not {c for c in out if ord(c) < 32} - {"\n"}
        if form == "junit":
            assert list(cases(out)[1].values()) == ["passed"]
