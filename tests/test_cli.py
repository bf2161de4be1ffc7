"""Words in, sentences and exit codes out."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from bpftop import __version__
from bpftop.cli import doctor as doctor_module
from bpftop.cli import main
from bpftop.cli.groups import seconds
from bpftop.cli.parser import _PARSERS, VERBS, parse, with_verb
from bpftop.errors import UsageError
from bpftop.model import Target, TargetKind
from bpftop.scripts import catalog
from bpftop.target.sparing import Sparing
from tests.processes import as_nobody, server

BPFTOP = [sys.executable, "-P", "-m", "bpftop"]
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run(*words: str, **options: str) -> subprocess.CompletedProcess[str]:
    """The command as a user calls it, in a pipe."""
    environment = {**os.environ, **options}
    return subprocess.run(
        [*BPFTOP, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=environment
    )


# --- which verb -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("nginx", "watch nginx"),
        ("nginx --simulate", "watch nginx --simulate"),
        ("--simulate nginx", "watch --simulate nginx"),
        ("-- report", "watch -- report"),
        ("watch report", "watch report"),
        ("report nginx", "report nginx"),
        ("--help", "--help"),
        ("--version", "--version"),
        (":80", "watch :80"),
    ],
)
def test_only_the_first_word_decides(given: str, meant: str) -> None:
    assert with_verb(given.split()) == meant.split()


def test_a_process_named_like_a_verb_can_be_watched() -> None:
    assert parse(with_verb(["watch", "report"])).target == "report"
    assert parse(with_verb(["--", "report"])).target == "report"
    assert parse(with_verb(["report", "report"])).target == "report"


@pytest.mark.parametrize(
    ("text", "value"), [("10", 10), ("0.5", 0.5), ("90s", 90), ("5min", 300), ("2 m", 120), ("1h", 3600)]
)
def test_lengths_of_time(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["0", "-1", "", "x", "1d", "nan", "inf", "1e3", "99999999999", "１"])
def test_no_lengths_of_time(text: str) -> None:
    with pytest.raises(UsageError, match="not a length of time"):
        parse(["report", "nginx", f"-d={text}"])


# --- help and errors --------------------------------------------------------------------------------------------------


def test_help_begins_with_what_to_type_and_names_everything() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[2].startswith("  sudo bpftop nginx")
    assert max(map(len, lines)) <= 80
    for word in (*VERBS, "exit codes", "130", "0.1 %"):
        assert word in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    done = run(verb, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: bpftop {verb}")


def test_the_version_says_which_bpftop_this_is() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"bpftop (latency monitor) {__version__}\n")


def test_no_words_give_the_help_and_no_success() -> None:
    done = run()
    assert (done.returncode, done.stdout) == (2, "")
    assert "sudo bpftop nginx" in done.stderr
    assert "listening here" not in done.stderr, "a pipe wants no suggestions"


def test_no_words_on_a_terminal_name_what_listens_here() -> None:
    with server(comm="zz-suggest", listen=[{"host": "127.0.0.1"}]) as one:
        screen, terminal = pty.openpty()
        done = subprocess.run([*BPFTOP], stderr=terminal, stdout=subprocess.PIPE, check=False)
        os.close(terminal)
        said = b""
        try:
            while chunk := os.read(screen, 65536):
                said += chunk
        except OSError:
            pass  # the other end is closed
        os.close(screen)
    assert done.returncode == 2
    assert b"listening here" in said
    assert b":%d" % one.ports[0] in said or b"\xe2\x80\xa6" in said


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["reprot", "nginx", "-d", "3"], "there is no command reprot", "bpftop report nginx -d 3"),
        (["nginx", "extra"], "too many words: extra", "bpftop watch --help"),
        (["report", "x", "--fromat", "json"], "no option --fromat; did you mean --format?", "bpftop report --help"),
        (["watch", "x", "--zzz"], "bpftop watch has no option --zzz", "bpftop watch --help"),
        (["--simulate", "lst"], "there is no scenario lst; did you mean list?", "bpftop --simulate list"),
        (["replay", "/dev/null/x"], "the live screen needs a terminal", "bpftop report /dev/null/x -d 10"),
        (["record", "x", "-o", "/"], "/ is a directory", "bpftop record nginx -o /nginx.bpftop"),
        (["record", "--simulate", "-d", "1", "-o", "/no/x.csv"], "there is no directory /no", "mkdir -p /no"),
        (["report", "/no/x.bpftop"], "there is no /no/x.bpftop", "bpftop record nginx -d 60 -o FILE.bpftop"),
        (["watch"], "name a target", "bpftop --help"),
        (["report"], "name a target", "bpftop --help"),
        (["report", "x", "--format", "xml"], "invalid choice: 'xml'", "bpftop report --help"),
        (["report", "x", "-d", "soon"], "'soon' is not a length of time", "bpftop report --help"),
        (["report", "--simulate", "-i", "10min"], "between 1 s and 5 min", "bpftop report --help"),
        (["report", "x", "-d", "1", "-i", "5"], "longer than the whole report", "bpftop report x -d 5 -i 5"),
        (["script", "request"], "there is no script request", "bpftop script requests"),
        (["script", "zzz"], "there is no script zzz", "bpftop scripts"),
        (["script"], "required: NAME", "bpftop script --help"),
        (["script", "requests", ":0"], ":0 is not a port", ""),
        (["demo"], "the live screen needs a terminal", "bpftop report TARGET -d 10"),
        (["nginx"], "the live screen needs a terminal", "bpftop report nginx -d 10"),
    ],
)
def test_wrong_words_are_two_lines_and_exit_code_2(words: list[str], message: str, hint: str) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[0].startswith("bpftop: ")
    assert message in lines[0]
    assert lines[1:] == ([f"  {hint}"] if hint else [])


def test_no_line_of_a_help_is_wider_than_a_small_terminal() -> None:
    for verb in VERBS:
        shown = _PARSERS[verb]().format_help()
        assert [line for line in shown.splitlines() if len(line) > 80] == [], verb


def test_a_hostile_word_does_not_reach_the_terminal() -> None:
    done = run("script", "\x1b]0;owned\x07\x9b31m")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "\x9b" not in done.stderr


def test_an_unexpected_error_is_a_sentence_and_a_traceback_on_demand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_options: object) -> int:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(doctor_module, "doctor", broken)
    monkeypatch.delenv("BPFTOP_DEBUG", raising=False)
    assert main(["doctor"]) == 70
    assert capsys.readouterr().err == (
        "bpftop: this should not have happened: ZeroDivisionError: oh\n  BPFTOP_DEBUG=1 shows where\n"
    )
    monkeypatch.setenv("BPFTOP_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


# --- light on its feet ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], {"numpy", "textual", "rich", "plotext", "subprocess"}),
        (["--version"], {"numpy", "textual", "rich", "plotext", "subprocess"}),
        (["report", "--help"], {"numpy", "textual", "rich", "plotext"}),
        (["scripts"], {"numpy", "textual", "rich", "plotext"}),
        (["script", "requests", "1"], {"numpy", "textual", "rich", "plotext"}),
        (["report", "4194304"], {"numpy", "textual", "rich", "plotext"}),
        (["doctor"], {"textual", "rich", "plotext"}),
        (["nginx"], {"textual", "rich", "plotext"}),
        (["report", "--simulate", "-d", "1"], {"textual", "rich", "plotext"}),
    ],
)
def test_what_a_verb_does_not_import(words: list[str], absent: set[str]) -> None:
    code = (
        f"import sys; from bpftop.cli import main; main({words!r}); "
        f"print(sorted({absent!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


# --- what is there ----------------------------------------------------------------------------------------------------


def test_scripts_say_what_they_measure() -> None:
    done = run("scripts")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("requests: ", "connections: ", "request_latency", "accept_queue_latency"):
        assert word in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_a_script_is_plain_bpftrace_and_a_name_is_no_part_of_it() -> None:
    hostile = 'x"/ { } BEGIN { system("id"); } //'
    done = run("script", "requests,connections", hostile.replace("/", ""))
    assert done.returncode == 0
    assert done.stdout.startswith("//")
    assert done.stdout.count("BEGIN {") == 1
    assert "system" not in done.stdout


def test_the_doctor_prints_a_table_and_a_verdict() -> None:
    done = run("doctor")
    names = [line.split()[1] for line in done.stdout.splitlines() if line[:2] in ("ok", "NO")]
    assert {"bpftop", "numpy", "rights", "bpftrace", "script"} <= set(names)
    assert done.returncode == (0 if "ready: " in done.stdout else 3)
    assert ("this host cannot trace" in done.stdout) == (done.returncode == 3)


def test_the_doctor_names_what_is_missing(tmp_path: Path) -> None:
    done = run("doctor", "--bpftrace", str(tmp_path / "none"))
    assert done.returncode == 3
    said = " ".join(done.stdout.split())
    assert f"NO bpftrace there is no program {tmp_path / 'none'} type: bpftop doctor" in said


def test_the_doctor_finds_the_other_bpftop(tmp_path: Path) -> None:
    other = tmp_path / "bpftop"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    done = run("doctor", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert f"{other}" in done.stdout
    assert "bpftop-latency" in done.stdout


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (
            "RuntimeError('NumPy was built with baseline optimizations: (X86_V2) but your machine does not.')",
            "numpy does not load here: NumPy was built with baseline optimizations: (X86_V2)",
        ),
        (
            r"ImportError('\n\nIMPORTANT: READ THIS\n\nOriginal error was: libopenblas is gone\n')",
            "numpy does not load here: libopenblas is gone",
        ),
    ],
)
def test_a_numpy_that_does_not_load_is_said_with_the_cure(tmp_path: Path, raised: str, said: str) -> None:
    (tmp_path / "numpy.py").write_text(f"raise {raised}\n")
    for words in (["doctor"], ["report", "--simulate", "-d", "1"]):
        done = run(*words, PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[1]}")
        assert done.returncode == 3
        assert said in " ".join((done.stdout + done.stderr).split())
        assert "-m pip install 'numpy<2.4'" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


@root
def test_without_root_the_command_to_type_is_whole() -> None:
    catalog()  # read while we may: nobody cannot enter every folder that Python or the scripts may lie in
    said = as_nobody(lambda: _main_with_stderr(["report", "nginx", "-d", "1"]))
    code, _, words = said.partition("|")
    assert code == "3"
    assert words.splitlines()[0].startswith("bpftop: tracing needs root")
    hint = words.splitlines()[1].strip()
    assert hint.startswith("sudo /")
    assert hint.endswith("report nginx -d 1"), "every word is repeated"


@pytest.mark.parametrize("words", [["999999999"], ["/tmp"], ["a\0b"], [""], ["--", "-x"]])
def test_an_impossible_target_is_said_first(words: list[str]) -> None:
    code, _, said = _main_with_stderr(["report", "-d", "1", *words]).partition("|")
    assert code == "2", said
    assert said.startswith("bpftop: ")


@pytest.mark.kernel
@pytest.mark.parametrize("words", [["4194304"], ["/no/such/program"]])
def test_a_target_that_cannot_be_is_not_waited_for(words: list[str]) -> None:
    code, _, said = _main_with_stderr(["report", "-d", "1", *words]).partition("|")
    assert code == "2", said
    assert said.startswith("bpftop: ")


def test_looking_again_takes_little_of_the_time() -> None:
    now = 0.0
    calls = 0

    def slow() -> Target:
        nonlocal now, calls
        now += 0.5  # a host with thousands of processes
        calls += 1
        return Target(str(calls), TargetKind.NAME, "x")

    look = Sparing(slow, lambda: now, lambda: calls)  # a new process each time
    specs = []
    while now < 1000:
        specs.append(look().spec)
        now += 2
    assert calls <= 1000 / 0.5 * Sparing.SHARE + 1
    assert specs[0] == "1"
    assert specs == sorted(specs, key=int)
    assert specs[-1] == str(calls)


def test_without_a_new_process_the_target_is_looked_up_every_ten_seconds_only() -> None:
    now, calls, pids = 0.0, 0, 2

    def quick() -> Target:
        nonlocal now, calls
        now += 0.001
        calls += 1
        return Target(str(calls), TargetKind.NAME, "x")

    look = Sparing(quick, lambda: now, lambda: pids)
    for _ in range(4):
        assert look().spec == "1"
        now += 2
    pids = 3
    assert look().spec == "2"
    assert look().spec == "2"
    now += Sparing.STALE_S
    assert look().spec == "3"


def _main_with_stderr(words: list[str]) -> str:
    """Exit code and stderr of the command in this very process."""
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stderr(out):
        code = main(words)
    return f"{code}|{out.getvalue()}"
