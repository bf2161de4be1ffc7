"""Words of others in what is compared, scraped, replayed, bundled, examined, refused; test_hostile.py has the rest."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bpftop import cli
from bpftop.cli.doctor import show
from bpftop.cli.doctor.findings import Findings, ScriptFinding, TargetFinding
from bpftop.compare import compare, read_run
from bpftop.compare import formats as comparisons
from bpftop.compare.text import to_text as comparison_text
from bpftop.errors import BpftopError
from bpftop.export import to_json, to_text
from bpftop.export.bundle import write_bundle
from bpftop.export.events_csv import EventTable
from bpftop.export.hgrm import to_hgrm
from bpftop.export.metrics import Distribution, Rising, families
from bpftop.export.otlp import OtlpSender
from bpftop.export.prometheus_text import to_prometheus
from bpftop.export.table import to_csv
from bpftop.latency_collector.report import figures_text, report_of
from bpftop.model import Process, Target, TargetKind
from bpftop.preflight import Check, Problem
from bpftop.pytest_plugin.verdicts import sentence
from bpftop.recording.reader import Recording
from bpftop.replay import Replay
from bpftop.scripts import catalog
from bpftop.stats.keys import KeyNames
from bpftop.stats.tick import Named
from bpftop.target.look import Look
from bpftop.ui.app import BpftopApp
from bpftop.ui.bundle import screen_picture, screen_text
from bpftop.ui.options import UiOptions
from tests.hostile import PAYLOADS, hostile_recording, hostile_snapshot
from tests.recordings import MEASURES
from tests.snapshots import snapshot
from tests.test_hostile import EVERY, assert_harmless, harmless
from tests.ui.builders import FakeSession
from tests.ui.ptys import child_in_terminal, restored


def compared(words: str, folder: Path) -> Iterator[str]:
    """Reports whose measures, targets and problems are such words, and CSV whose events are."""
    report = to_json(snapshot()) | {"problems": [words], "source": words, "target": {"name": words}}
    [shown, *_] = report["measures"].values()
    report["measures"] = {words: shown}
    (folder / "a.json").write_text(json.dumps(report))
    rows = "".join(f'{i},{i * 1000},"{words.replace(chr(34), "")}"\n'.replace("\n", " ") + "\n" for i in range(300))
    (folder / "a.csv").write_bytes(f"timestamp_ns,latency_ns,event\n{rows}".encode("utf-8", "surrogateescape" if
        re.search("[\udc80-\udcff]", rows) and not re.search("[\ud800-\udbff]", rows) else "replace"))  # fmt: skip
    for name in ("a.json", "a.csv"):
        try:
            run = read_run(folder / name)
            found = compare(run, run)
        except BpftopError as error:
            yield error.message
            continue
        yield comparison_text(found)
        yield comparisons.to_markdown(found)
        yield comparisons.to_junit(found)
        ElementTree.fromstring(comparisons.to_junit(found))
        yield json.dumps(comparisons.to_json(found))


def scraped(words: str, _folder: Path) -> Iterator[str]:
    """Prometheus as text, the labels that its protobuf and OTLP carry, hgrm."""
    shot = hostile_snapshot(words)
    found = families(shot, Rising(), shot, 50)
    page = to_prometheus(found)
    yield page
    assert all(re.match(r"#|bpftop_[a-z0-9_]+[{ ]", line) for line in page.splitlines()), "no line is forged"
    for family in found:
        yield family.help
        for labels, value in family.series:
            yield "".join(label for pair in labels for label in pair)
            assert isinstance(value, (int, float, Distribution))
    yield from (to_hgrm(each) for each in shot.measures.values())
    sender = OtlpSender("http://127.0.0.1:9", words)
    yield "".join(str(value) for value in sender._resource.attributes.values())


def bundled(words: str, folder: Path) -> Iterator[str]:
    """The folder of an incident; its picture is tried on the screen."""
    made = write_bundle(hostile_snapshot(words), [words], "screen", "<svg/>", folder)
    assert re.fullmatch(r"bpftop-incident-[A-Za-z0-9._-]+", made.name)
    for path in made.iterdir():
        yield path.read_text()


def examined(words: str, _folder: Path) -> Iterator[str]:
    """``doctor TARGET``: names, containers, units, sockets, and what a script says against itself."""
    target = Target(words, TargetKind.NAME, words, words[:15], (Process(7, 1, words, words),), (80,))
    look = Look((words,), (words,), (), (), 3, (words,), libraries=(words,))
    scripts = (ScriptFinding(catalog()["requests"], words),)
    check = (Check("bpftrace", words, Problem(words, words, fatal=True)),)
    for seen in (None, look):
        finding = TargetFinding(target, seen, words, (words,), (("requests", words),))
        found = Findings(check, scripts, check, finding)
        yield show.as_text(found)
        yield show.as_json(found, 2)


def failing(words: str, _folder: Path) -> Iterator[str]:
    """What a failing test says."""
    shot = replace(snapshot(), target=replace(snapshot().target, name=words))
    report = report_of(replace(shot, measures={}), shot) | {"source": "bpftrace"}
    yield from report.get("problems", ())
    yield from figures_text(report, next(iter(report["measures"])))
    yield sentence(words, BpftopError(words, words))


def events(words: str, _folder: Path) -> Iterator[str]:
    """Single events as CSV: routes and peers."""
    from bpftop.model import EventStream

    stream = EventStream("request", "request_latency", ("timestamp_ns", "latency_ns", "client", "route", "device"))
    names = KeyNames()
    names.adopt(Named(lines={5: words}, devices={6: words}))
    table = EventTable(MEASURES, (stream,), names)
    yield to_csv([table.header(), *table.rows([(1, (1, 2, 3, 5, 6))], 0)])


OUTPUTS: Mapping[str, Callable[[str, Path], Iterator[str]]] = {
    each.__name__: each for each in (compared, scraped, bundled, examined, failing, events)
}


@EVERY
@pytest.mark.parametrize("output", OUTPUTS)
def test_no_output_steers(output: str, words: str, tmp_path: Path) -> None:
    texts = list(OUTPUTS[output](words, tmp_path))
    assert [text for text in texts if not harmless(text)] == []
    assert any("Q" in text for text in texts), "it was shown at all"


# --- words on the command line and names of files ---------------------------------------------------------------------

LINES = (
    ["replay", "{}"], ["compare", "{}", "{}"], ["run", "{}"], ["scripts", "{}"], ["x", "--simulate={}"],
    ["report", "x", "-d", "{}"], ["watch", "x", "--exclude", "{}"], ["report", "x", "--simulate", "--with", "{}"],
    ["watch", "x", "--simulate", "--config", "{}"], ["watch", "x", "--theme", "{}"], ["watch", "x", "--window", "{}"],
    ["serve", "x", "--simulate", "--listen", "{}"], ["serve", "x", "--simulate", "--otlp", "{}"],
    ["record", "x", "--simulate", "-o", "/nowhere/{}.bpftop"], ["demo", "{}"], ["--{}"],
)  # fmt: skip


@pytest.mark.parametrize("place", range(len(LINES)), ids=[" ".join(line) for line in LINES])
def test_words_that_are_refused(place: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Every message is one sentence, perhaps with a command below it."""
    every = [words for _, words in PAYLOADS]
    for words in ("".join(every), every[place % len(every)], every[-1 - place % len(every)]):
        code = cli.main([word.replace("{}", words) for word in LINES[place]])
        said = capsys.readouterr()
        assert code == 2, said
        assert harmless(said.err), said.err
        assert said.err.startswith("bpftop: ")
        assert "Traceback" not in said.err


@EVERY
def test_names_of_files_that_are_read(words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = words.replace("/", "_").replace("\0", "_").encode("utf-8", "surrogateescape" if "\ud800" not in words else
        "replace")[:200]  # fmt: skip
    path = tmp_path / name.decode("utf-8", "surrogateescape")
    for content in (b"bpftop recording 1\nQ", b"\x1b]0;owned\x07"):
        path.write_bytes(content)
        for argv in (["replay", str(path)], ["compare", str(path), str(path)], ["report", str(path)]):
            if argv[0] == "report" and not content.startswith(b"bpftop"):
                continue  # any other word is a target
            assert cli.main(argv) in (2, 4)
            assert harmless(capsys.readouterr().err)


# --- recordings of others ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sent") / "sent.bpftop"
    hostile_recording(path)
    return path


def test_a_recording_of_others_says_nothing_that_steers(sent: Path) -> None:
    with closing(Replay(Recording(sent))) as replay:
        assert replay.position.note == ""
        start = replay.position.start_ns
        shown = ""
        for second in range(0, 2 * len(PAYLOADS), 2):
            found = replay.at(start + second * 10**9, 10.0)
            texts = [to_text(found), json.dumps(to_json(found))]
            assert [text for text in texts if not harmless(text)] == []
            shown += texts[0]
    assert "evil" in shown
    assert "owned" in shown


def test_a_recording_of_others_on_a_terminal(sent: Path) -> None:
    with child_in_terminal(["-P", "-m", "bpftop", "replay", str(sent), "--speed", "8"], (140, 45)) as terminal:
        before = terminal.modes()
        terminal.until("owned")
        for key in ("1", "2", "3", "4", "5", "6", "7", "8", "0", "?", "\x1b", "\r", "\x1b", "y", "/", "Q", "\r"):
            terminal.type(key)
            for _ in range(2):
                terminal.read(0.15)
        assert terminal.child.poll() is None, terminal.text
        assert "owned" not in (terminal.screen.title or "")
        terminal.type("\x03")
        assert terminal.leave() == 0, terminal.text
        assert restored(terminal, before) == []
        sent_bytes = terminal.sent.decode("utf-8", errors="surrogateescape")
    assert_harmless(sent_bytes)


def test_the_picture_of_a_screen_is_harmless_xml() -> None:
    """``E`` writes the screen as text and as SVG: every payload is on it."""
    words = "".join(words for _, words in PAYLOADS)
    app = BpftopApp(FakeSession(hostile_snapshot(words)), save=lambda _: "", options=UiOptions(refresh_s=60.0))

    async def go() -> None:
        async with app.run_test(size=(140, 45)) as pilot:
            for key in ("1", "2", "4", "5", "6"):
                await pilot.press(key)
                await pilot.pause()
                picture, text = screen_picture(app, words), screen_text(app)
                assert harmless(text)
                assert harmless(picture)
                ElementTree.fromstring(picture)
                assert "http://evil" not in re.sub(r">[^<]*<", "><", picture), "it loads and links nothing"

    asyncio.run(go())
