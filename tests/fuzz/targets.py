"""One function for each reader of foreign bytes: it takes any bytes and raises only when the reader is wrong.

What may come of bad bytes is an error for a person (``BpftopError``: one printable sentence) and nothing else.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from bpftop.anyscript.scan import attach_points
from bpftop.anyscript.script import read_script
from bpftop.cli import config
from bpftop.compare import compare, read_run
from bpftop.compare.formats import to_json as compared_json
from bpftop.compare.formats import to_junit, to_markdown
from bpftop.compare.text import to_text as compared_text
from bpftop.errors import BpftopError
from bpftop.export import to_json, to_text
from bpftop.pytest_plugin import kept
from bpftop.recording.reader import Recording
from bpftop.replay import Replay
from bpftop.scripts.header import parse_script
from bpftop.stats.routes import route_of
from bpftop.text import safe
from bpftop.tracer.decode import LineSplitter
from bpftop.tracer.failures import explain
from bpftop.userspace.elf import Elf, NotElf
from tests.fuzz import corpus
from tests.fuzz.opened import opened, sealed
from tests.fuzz.ways import Run, Watch, harmless, sentence

FOLDER = "BPFTOP_FUZZ_FOLDER"
"""Where files to be read are written, for a process that does not tidy up: libFuzzer ends without a word."""
TABLES = ("histogram", "percentiles", "accounting")


@dataclass(frozen=True)
class Target:
    """What is tried, and good inputs to begin with."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@cache
def folder() -> Path:
    """Where files to be read are written: in memory, where there is such a place."""
    if given := os.environ.get(FOLDER):
        return Path(given)
    memory = Path("/dev/shm")
    made = tempfile.TemporaryDirectory(prefix="bpftop-fuzz-", dir=memory if memory.is_dir() else None)
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


def splitter(data: bytes) -> None:
    """Any chunks give the lines of the whole; what is too long is counted, nothing else is missing."""
    limit, step = 1 + data[0] % 64 if data else 8, 1 + data[-1] % 17 if data else 1
    found = LineSplitter(limit)
    got = [line for at in range(0, len(data), step) for line in found.feed(data[at : at + step])]
    *whole, rest = data.split(b"\n")
    assert got == [line for line in whole if len(line) <= limit]
    assert found.rest() == (rest if len(rest) <= limit else b"")
    assert found.oversize == sum(len(line) > limit for line in [*whole, rest])


def watch(data: bytes) -> None:
    """Decoder, assembler and store on the output of a run."""
    found = Watch()
    for one in data.split(b"\n"):
        found.line(one)
    found.check()


def run(data: bytes) -> None:
    """The generic decoder, old dialect and new."""
    for twice in (False, True):
        found = Run()
        for one in data.split(b"\n"):
            found.line(one, twice)
        found.check()


def header(data: bytes) -> None:
    """The header of a script of ours."""
    try:
        parse_script(data.decode("utf-8", "surrogateescape"), "fuzz", "fuzz.bt")
    except BpftopError as error:
        sentence(error)


def program(data: bytes) -> None:
    """A program of the user: its header, its maps, what it attaches to."""
    path = folder() / "a.bt"
    path.write_bytes(data)
    path.chmod(0o600)
    try:
        script = read_script(str(path))
        attach_points(script.text)
        harmless(script.title + "".join(facts.title + facts.unit for facts in script.maps.values()))
    except BpftopError as error:
        sentence(error)


def settings(data: bytes) -> None:
    """The configuration file."""
    path = folder() / "config.toml"
    path.write_bytes(data)
    path.chmod(0o600)
    try:
        config.defaults("watch", str(path))
    except BpftopError as error:
        sentence(error)


def _compared(path: Path) -> None:
    try:
        found = read_run(path)
        comparison = compare(found, found)
    except BpftopError as error:
        sentence(error)
        return
    for text in (compared_text(comparison), to_markdown(comparison), to_junit(comparison)):
        harmless(text)
    harmless(json.dumps(compared_json(comparison)))


def samples(data: bytes) -> None:
    """CSV of samples, as any file without a known name."""
    path = folder() / "samples.csv"
    path.write_bytes(data)
    _compared(path)


def snapshot(data: bytes) -> None:
    """The CSV files of ``e``: one of them is ``data``, the others are good."""
    tables = corpus.saved()
    chosen = TABLES[data[0] % len(TABLES)] if data else TABLES[0]
    for name in TABLES:
        (folder() / f"a-{name}.csv").write_bytes(data[1:] if name == chosen else tables[name])
    _compared(folder() / "a-histogram.csv")


def report(data: bytes) -> None:
    """A report as JSON."""
    path = folder() / "report.json"
    path.write_bytes(data)
    _compared(path)


def baseline(data: bytes) -> None:
    """What the pytest plugin has saved."""
    path = folder() / "baseline.json"
    path.write_bytes(data)
    try:
        kept.load(path)
    except pytest.UsageError:
        return


def _played(content: bytes) -> None:
    path = folder() / "a.bpftop"
    path.write_bytes(content)
    _compared(path)
    try:
        recording = Recording(path)
    except BpftopError as error:
        sentence(error)
        return
    with closing(Replay(recording)) as replay:
        replay.pause(True)
        for at in (replay.position.end_ns, replay.position.start_ns):
            found = replay.at(at, 10.0)
            harmless(to_text(found))
            harmless(json.dumps(to_json(found)))


def recording(data: bytes) -> None:
    """The bytes of a recording."""
    _played(data)


def recording_inside(data: bytes) -> None:
    """The contents of a recording whose checksums are right: what somebody would send who means harm."""
    _played(sealed(data))


def elf(data: bytes) -> None:
    """A program or library of the target: markers, functions, needed libraries."""
    try:
        found = Elf(data)
        assert found.markers is not None
        assert found.needed is not None
        for each in found.functions():
            assert each
        found.symbols("main", "")
    except NotElf:
        return


def words(data: bytes) -> None:
    """Lines of stderr to one sentence, a request line to its route."""
    text = data.decode("utf-8", "replace")
    cause, hint = explain(text.split("\n"), 1)
    harmless(safe(cause) + safe(hint))
    route_of(safe(text[:64]))


TARGETS = {
    "splitter": Target(splitter, lambda: [b"\x08a\nbb\n\nccc", corpus.RUN[:2000]]),
    "watch": Target(watch, lambda: [text[:20_000] for text in corpus.runs()]),
    "run": Target(run, lambda: [text[:20_000] for text in corpus.runs()]),
    "header": Target(header, corpus.headers),
    "program": Target(program, lambda: [corpus.PROGRAM, *corpus.headers()]),
    "config": Target(settings, lambda: [corpus.CONFIG]),
    "samples": Target(samples, lambda: [corpus.SAMPLES]),
    "snapshot": Target(
        snapshot,
        lambda: [bytes([i]) + corpus.saved()[name] for i, name in enumerate(TABLES)],
    ),
    "report": Target(report, lambda: [corpus.report()]),
    "baseline": Target(baseline, lambda: [b'{"schema": "bpftop-pytest/1", "tests": {"a": {"b": {}}}}']),
    "recording": Target(recording, lambda: [corpus.recording()]),
    "recording-inside": Target(recording_inside, lambda: [opened(corpus.recording())]),
    "elf": Target(elf, lambda: [corpus.elf(), b"\x7fELF" + bytes(60)]),
    "words": Target(words, lambda: [b"GET /users/42\n", b"ERROR: Could not resolve symbol: /proc/self/exe:a"]),
}
"""By name."""
