"""Everything that writes a file, against everything that can be in its way: one table, every pair is tried.

Whatever happens: what was there before is as it was, nothing half written is left, and one sentence says why.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bpftop.cli.recording import LiveRecorder
from bpftop.cli.sinks import csv_file, recording
from bpftop.errors import BpftopError
from bpftop.export import files, write_snapshot
from bpftop.export.anyscript_tables import write_run
from bpftop.export.bundle import write_bundle
from bpftop.pytest_plugin import kept
from bpftop.recording.blocks import Scanned, scan
from tests.obstacles import NOBODY, every_plant, folder, plant, read_only, root, small_disk, victim
from tests.processes import as_nobody
from tests.recorded import StoryRun
from tests.snapshots import snapshot
from tests.ui import runs


def _recorded(folder: Path) -> None:
    run = StoryRun(0.05)
    with recording(folder / "a.bpftop") as sink:
        sink.attach(run)  # type: ignore[arg-type]
        run.run(3)
        sink.finish()


def _recorded_by_key(folder: Path) -> None:
    run, recorder = StoryRun(0.05), LiveRecorder()
    recorder.attach(run)  # type: ignore[arg-type]
    recorder.into(folder, run)
    run.run(3)
    try:
        recorder.toggle()
        recorder.toggle()
    finally:
        recorder.close()


def _events(folder: Path) -> None:
    run = StoryRun(4.0)
    with csv_file(folder / "a.csv") as sink:
        sink.attach(run)  # type: ignore[arg-type]
        for _ in range(3):
            run.run(1)
            sink.write()
        sink.finish()


def _saved(folder: Path) -> None:
    kept.save(folder / "base.json", {"a test": {"nginx request_latency": {"text": "x" * 9000}}})


@dataclass(frozen=True)
class Writer:
    """One of them."""

    write: Callable[[Path], object]
    mode: int
    taken: str
    """What it does where something has the name: ``refuses``, takes ``another`` name, ``replaces`` it as a whole."""
    grows: bool = False
    """It is written as time goes on: what fitted stays, whole up to its last block or row."""


WRITERS = {
    "e on the screen": Writer(lambda folder: write_snapshot(snapshot(), folder), 0o644, "another"),
    "e in bpftop run": Writer(lambda folder: write_run(runs.live(3000), folder), 0o644, "another"),
    "E, an incident": Writer(
        lambda folder: write_bundle(snapshot(), ["slow"], "screen\n", "<svg/>" * 2000, folder), 0o644, "another"
    ),
    "R on the screen": Writer(_recorded_by_key, 0o600, "another", grows=True),
    "record -o FILE.bpftop": Writer(_recorded, 0o600, "refuses", grows=True),
    "record -o FILE.csv": Writer(_events, 0o600, "refuses", grows=True),
    "--prometheus-textfile": Writer(lambda folder: files.replace(folder / "a.prom", "x 1\n" * 3000), 0o644, "replaces"),
    "--bpftop-save": Writer(_saved, 0o644, "replaces"),
}
__all__ = ["folder", "small_disk", "victim"]
EVERY = pytest.mark.parametrize("name", WRITERS)


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything below a folder: kind and mode, owner, content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_uid, content)
    return found


def made(folder: Path) -> list[str]:
    """What a writer makes in an empty folder: files, or one folder."""
    return sorted(os.listdir(folder))


def said(name: str, folder: Path) -> str:
    """The sentence that it ends with; empty when it worked."""
    try:
        WRITERS[name].write(folder)
    except BpftopError as error:
        why = error.message
    else:
        return ""
    assert why
    assert why.isprintable()
    return why


@EVERY
def test_what_is_made_is_readable_by_whom_it_should_be_and_nothing_else_is_there(name: str, folder: Path) -> None:
    assert said(name, folder) == ""
    modes = {stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*") if path.is_file()}
    assert modes == {WRITERS[name].mode}
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


@EVERY
@every_plant
def test_nothing_planted_is_followed_or_overwritten(
    name: str, kind: str, folder: Path, victim: Path, tmp_path: Path
) -> None:
    writer, other = WRITERS[name], tmp_path / "other"
    other.mkdir()
    assert said(name, other) == ""
    for one in made(other):
        plant(folder / one, kind, victim)
    before = tree(folder)
    why = said(name, folder)
    after = tree(folder)
    if writer.taken == "refuses":
        assert "exists already; nothing was overwritten" in why
        assert after == before
    elif writer.taken == "another":
        assert why == ""
        assert {path: after[path] for path in before} == before, "what was planted is as it was"
        assert len(made(folder)) == 2 * len(made(other))
    elif kind == "directory":
        assert "was not written" in why
        assert after == before
    else:
        assert why == ""
        assert tree(other) == after, "the name is that of a whole new file"
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


@EVERY
def test_a_folder_that_is_not_there_is_said(name: str, folder: Path) -> None:
    assert said(name, folder / "gone") == f"there is no directory {folder / 'gone'}: nothing was written"
    (folder / "a file").write_text("precious")
    assert "Not a directory" in said(name, folder / "a file")
    assert made(folder) == ["a file"]


@root
@EVERY
def test_a_full_disk_leaves_nothing_half_written(name: str, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(4096))
    before = tree(small_disk)
    why = said(name, small_disk)
    assert "No space left on device" in why
    left = [path for path in small_disk.rglob("*") if path.name != "ballast"]
    if not WRITERS[name].grows:
        assert tree(small_disk) == before
    for path in left:
        content = path.read_bytes()
        if path.suffix == ".csv":
            assert not content or content.endswith(b"\n"), "rows are whole"
        else:
            assert path.suffix == ".bpftop"
            _is_whole(path)


@root
@pytest.mark.parametrize("name", ["R on the screen", "record -o FILE.bpftop"])
def test_a_recording_without_a_single_figure_is_taken_back(name: str, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(8192))
    assert "No space left on device: nothing was written" in said(name, small_disk)
    assert made(small_disk) == ["ballast"]


def _is_whole(path: Path) -> None:
    """Every byte belongs to a whole block, of which there may be none."""
    with path.open("rb") as file:
        scanned = scan(file) if path.stat().st_size else Scanned((), "", 0)
    assert (scanned.problem, scanned.size) == ("", path.stat().st_size)


@EVERY
def test_a_disk_that_fails_at_the_end_is_said(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS and full file systems tell it with fsync only; what looked written is not."""

    def fails(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    assert "Input/output error" in said(name, folder)
    if not WRITERS[name].grows:
        assert made(folder) == []


@root
@EVERY
def test_a_read_only_file_system_is_said(name: str, small_disk: Path) -> None:
    read_only(small_disk)
    assert "Read-only file system" in said(name, small_disk)
    assert made(small_disk) == []


@root
@EVERY
def test_without_the_right_to_write_it_is_said(name: str) -> None:
    with tempfile.TemporaryDirectory() as closed:  # the test's own folder is closed to others
        path = Path(closed)
        path.chmod(0o755)
        assert "Permission denied" in as_nobody(lambda: said(name, path))
        assert made(path) == []


@root
@EVERY
@pytest.mark.parametrize("theirs", [True, False], ids=["the caller's folder", "root's folder"])
def test_under_sudo_it_belongs_to_the_caller_where_the_caller_could_write(
    name: str, theirs: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if theirs:
        os.chown(folder, NOBODY, NOBODY)
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    assert said(name, folder) == ""
    owners = {path.lstat().st_uid for path in folder.rglob("*")}
    assert owners == {NOBODY if theirs else 0}


def test_every_writer_of_the_package_is_in_the_table() -> None:
    """Whoever opens a file for writing elsewhere has to come here."""
    known = {
        "export/files.py", "export/snapshot_csv.py", "export/anyscript_tables.py", "export/bundle.py",
        "cli/recording.py", "cli/sinks.py", "cli/printing.py", "pytest_plugin/kept.py",
        "ui/shell.py",  # a crash report: tempfile makes it for its owner only
        "latency_collector/collector.py",  # the same
        "supervision/apart.py", "supervision/supervisor.py", "tracer/supervisor.py",  # in memory
        "demo/child.py",  # its own name, in /proc
        "scripts/costs.py", "scripts/page.py",  # `make docs`, `make bench`: in the checkout
    }  # fmt: skip
    words = ("write_text(", "write_bytes(", "O_CREAT", ', "wb"', ', "w"', "open_new(", "create_all(", "os.memfd_create",
             "NamedTemporaryFile", "files import replace")  # fmt: skip
    package = Path(files.__file__).parents[1]
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in words)
    }
    assert found <= known
