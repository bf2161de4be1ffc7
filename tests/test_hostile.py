"""Words of others, on every screen, in every file and message: none of them steers a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest

from bpftop.anyscript.script import read_script
from bpftop.cli.dispatch import _tell
from bpftop.cli.host import narrate
from bpftop.errors import BpftopError
from bpftop.export import csv_header, csv_rows, to_json, to_text, write_snapshot
from bpftop.export.anyscript_tables import account_rows, map_rows, said_rows, write_run
from bpftop.export.anyscript_text import run_text
from bpftop.export.interval_text import line
from bpftop.export.table import to_csv
from bpftop.target import explain, resolve
from bpftop.text import safe
from tests.hostile import FORMULAS, PAYLOADS, hostile_run, hostile_snapshot
from tests.processes import FakeProc, server
from tests.ui.ptys import child_in_terminal, restored

STEERING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u0300-\u036f\ud800-\udfff]"
)
EVERY = pytest.mark.parametrize("words", [words for _, words in PAYLOADS], ids=[name for name, _ in PAYLOADS])


def harmless(text: str) -> bool:
    """Nothing but characters that draw themselves, and line feeds; and no line is one that was forged."""
    return not STEERING.search(text) and not re.search(r"(?m)^\"?E 1 FORGED", text)


@EVERY
def test_safe_leaves_nothing_that_steers(words: str) -> None:
    assert harmless(safe(words))
    assert "\n" not in safe(words)


@EVERY
def test_reports_and_files_of_a_watch(words: str, tmp_path: Path) -> None:
    snapshot = hostile_snapshot(words)
    texts = [to_text(snapshot), to_text(snapshot, True), line(snapshot), to_csv([csv_header(), *csv_rows(snapshot)])]
    texts += [path.read_text() for path in write_snapshot(snapshot, tmp_path)]
    shown = json.dumps(to_json(snapshot))
    assert [text for text in (*texts, shown) if not harmless(text)] == []
    assert "Q" in texts[0]
    assert "Q" in shown
    assert all(re.fullmatch(r"bpftop-[A-Za-z0-9._-]+\.csv", path.name) for path in tmp_path.iterdir())


@EVERY
def test_reports_and_files_of_a_program(words: str, tmp_path: Path) -> None:
    run = hostile_run(words)
    texts = [run_text(run), to_csv([*map_rows(run), *account_rows(run), *said_rows(run.log)])]
    texts += [path.read_text() for path in write_run(run, tmp_path)]
    assert [text for text in texts if not harmless(text)] == []
    assert "Q" in texts[0]


@EVERY
def test_messages(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    narrate(f"no process is named x; similar: {words}")
    _tell(BpftopError(words, words))
    said = capsys.readouterr().err
    assert harmless(said)
    assert said.count("\n") == 3


@pytest.mark.parametrize("words", FORMULAS)
def test_no_cell_of_text_is_a_formula(words: str) -> None:
    [[cell, number]] = csv.reader(io.StringIO(to_csv([[words, -1]])))
    assert not cell.strip().startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
    assert number == "-1", "a number stays one"


def test_the_header_of_a_program_of_others_is_only_words(tmp_path: Path) -> None:
    path = tmp_path / "x.bt"
    path.write_text(
        '// /// bpftop\n// title = "a\\u001b[2J"\n// [maps.n]\n'
        '// title = "\\u009b31m[/b]"\n// unit = "u\\u001b]0;"\n// ///\n'
        "BEGIN { @n = count(); }\n"
    )
    script = read_script(str(path))
    assert harmless(f"{script.title}{script.maps['@n'].title}{script.maps['@n'].unit}")


# --- on the screen ----------------------------------------------------------------------------------------------------

CONTROLS = re.compile(r"Q([\x00-\x1f\x7f-\x9f\u200b\u200d\u202e\u2028\ufeff\u2066\u0301\ud800-\udfff]+)")


def assert_harmless(sent: str) -> None:
    """Nothing that a payload would do to a terminal was sent to it."""
    for _, words in PAYLOADS:
        for control in CONTROLS.findall(words):
            # What is drawn behind a Q may begin a sequence of Textual's own; none of those is what an attacker wrote.
            behind = words[words.index(f"Q{control}") :][: len(control) + 4]
            assert behind not in sent, repr(behind)
    assert "owned\x07" not in sent
    assert "\x1b]8;" not in sent
    assert "\x1b]0;" not in sent


@pytest.mark.parametrize("screen", ["watch", "run"])
def test_a_terminal_gets_nothing_of_it(screen: str) -> None:
    """All payloads in turn on every pane, in its help, its filter and its messages."""
    with child_in_terminal(["-m", "tests.hostile", screen], (140, 45)) as terminal:
        before = terminal.modes()
        terminal.until("Q")
        markup = False
        for key in ("1", "2", "3", "4", "5", "6", "7", "?", "\x1b", "e", "/", "Q", "\r", "\x1b", "\r", "y"):
            terminal.type(key)
            for _ in range(4):
                terminal.read(0.2)
                markup = markup or "[/b]" in terminal.text
        assert terminal.child.poll() is None, "it lives"
        assert terminal.screen.title == "" or "owned" not in terminal.screen.title
        terminal.type("\x03")
        assert terminal.leave() == 0, terminal.text
        assert restored(terminal, before) == []
        sent = terminal.sent.decode("utf-8", errors="surrogateescape")
    assert markup, "markup is text"
    assert_harmless(sent)


# --- from real processes ----------------------------------------------------------------------------------------------


def test_processes_that_call_themselves_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who names a target that does not run is told of similar ones, in their own words."""
    proc = FakeProc(tmp_path / "proc")
    for pid, (_, words) in enumerate(PAYLOADS, 100):
        comm = f"zzq{words}".encode("utf-8", "surrogatepass")[:15].replace(b"\n", b"\x1b").replace(b"\0", b"\x1b")
        proc.add(pid, os.fsdecode(comm), argv=(os.fsdecode(comm),))
    narrate(explain(resolve("zzq", proc.root), proc.root))
    said = capsys.readouterr().err
    assert "similar: zzq" in said
    assert harmless(said)


def test_a_real_one_on_a_real_terminal() -> None:
    with (
        server(comm="zzq\x1b]0;own\x07\x9b2J"),
        child_in_terminal(["-P", "-m", "bpftop", "zzq"], (140, 30)) as terminal,
    ):
        terminal.until("similar: zzq")
        terminal.type("q")
        terminal.leave()
        sent = terminal.sent.decode("utf-8", errors="surrogateescape")
    assert "zzq?]0;own??2J" in re.sub(r"\x1b\[[0-9;:?]*[a-zA-Z]", "", sent) or "zzq?]0;own?" in sent
    assert "\x1b]0;" not in sent
