"""New files: whole or not at all, never over or through anything, owned by the caller."""

from __future__ import annotations

import errno
import os
import pwd
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from bpftop.errors import FileError
from bpftop.export import files, write_snapshot
from bpftop.export.files import NameTaken, _explained, create_all
from tests.obstacles import NOBODY, every_plant, folder, plant, read_only, root, small_disk, victim
from tests.processes import as_nobody
from tests.snapshots import snapshot

__all__ = ["folder", "small_disk", "victim"]


def test_files_are_made_whole(folder: Path) -> None:
    paths = create_all(folder, {"a.csv": "one\n", "b.csv": "zwei ä\n"})
    assert paths == (folder / "a.csv", folder / "b.csv")
    assert [path.read_text() for path in paths] == ["one\n", "zwei ä\n"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o644}
    assert {path.stat().st_nlink for path in paths} == {1}
    assert sorted(os.listdir(folder)) == ["a.csv", "b.csv"]


@every_plant
def test_nothing_planted_is_followed_or_overwritten(folder: Path, victim: Path, kind: str) -> None:
    path = folder / "b.csv"
    plant(path, kind, victim)
    before = os.lstat(path)
    with pytest.raises(NameTaken, match="exists already"):
        create_all(folder, {"a.csv": "new", "b.csv": "new"})
    assert os.listdir(folder) == ["b.csv"], "the other file of the set is not left alone"
    assert os.lstat(path).st_ino == before.st_ino
    assert victim.read_text() == "precious"


def test_a_snapshot_takes_another_name_when_one_is_taken(folder: Path, victim: Path) -> None:
    first = write_snapshot(snapshot(), folder)
    (folder / "bpftop-nginx-20261122T214500Z-2-clients.csv").symlink_to(victim)
    third = write_snapshot(snapshot(), folder)
    assert first[0].name == "bpftop-nginx-20261122T214500Z-percentiles.csv"
    assert third[0].name == "bpftop-nginx-20261122T214500Z-3-percentiles.csv"
    assert victim.read_text() == "precious"
    assert len(os.listdir(folder)) == 11


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../b", "a\0b"])
def test_a_name_is_a_name_and_no_path(folder: Path, name: str) -> None:
    with pytest.raises(FileError, match="not a file name"):
        create_all(folder, {name: "x"})
    assert os.listdir(folder) == []


def test_a_missing_folder_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        create_all(tmp_path / "none", {"a": "x"})
    assert caught.value.message == f"there is no directory {tmp_path / 'none'}: nothing was written"


def test_a_file_is_no_folder(victim: Path) -> None:
    with pytest.raises(FileError, match="Not a directory"):
        create_all(victim, {"a": "x"})


@root
def test_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    for _ in range(20):
        with pytest.raises(FileError, match="No space left on device"):
            create_all(small_disk, {"small.csv": "x" * 1000, "big.csv": "y" * 100_000})
        assert os.listdir(small_disk) == []
    assert create_all(small_disk, {"small.csv": "x" * 1000})[0].stat().st_size == 1000


def test_a_file_is_replaced_as_a_whole(folder: Path, victim: Path) -> None:
    path = folder / "a.prom"
    for text in ("one\n", "zwei ä\n"):
        files.replace(path, text)
        assert path.read_text() == text
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.unlink()
    path.symlink_to(victim)
    files.replace(path, "new")
    assert (path.is_symlink(), path.read_text(), victim.read_text()) == (False, "new", "precious")
    assert os.listdir(folder) == ["a.prom"]
    with pytest.raises(FileError, match="there is no directory"):
        files.replace(folder / "none" / "a.prom", "")
    (folder / "directory").mkdir()
    with pytest.raises(FileError, match="was not written"):
        files.replace(folder / "directory", "")
    assert sorted(os.listdir(folder)) == ["a.prom", "directory"]


@root
def test_a_full_disk_keeps_the_old_file(small_disk: Path) -> None:
    files.replace(small_disk / "a.prom", "old")
    with pytest.raises(FileError, match="No space left on device"):
        files.replace(small_disk / "a.prom", "y" * 100_000)
    assert os.listdir(small_disk) == ["a.prom"]
    assert (small_disk / "a.prom").read_text() == "old"


@root
def test_a_read_only_file_system_is_said(small_disk: Path) -> None:
    read_only(small_disk)
    with pytest.raises(FileError, match="Read-only file system"):
        create_all(small_disk, {"a.csv": "x"})


@root
def test_no_rights_are_said() -> None:
    with tempfile.TemporaryDirectory() as name:  # the test's own folder is closed to others
        folder = Path(name)
        folder.chmod(0o755)
        assert as_nobody(lambda: _message(folder)) == f"{folder / 'a.csv'} was not written: Permission denied"
        assert os.listdir(folder) == []


@root
@pytest.mark.parametrize(
    ("owner", "mode", "expected"),
    [(NOBODY, 0o755, NOBODY), (0, 0o755, 0), (0, 0o1777, NOBODY), (0, 0o777, 0), (4321, 0o755, 0)],
)
def test_under_sudo_files_belong_to_the_caller_where_the_caller_could_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch, owner: int, mode: int, expected: int
) -> None:
    os.chown(folder, owner, owner)
    folder.chmod(mode)
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    monkeypatch.setenv("SUDO_GID", str(pwd.getpwuid(NOBODY).pw_gid))
    made = create_all(folder, {"a.csv": "x"})[0].stat()
    assert (made.st_uid, made.st_gid) == ((NOBODY, pwd.getpwuid(NOBODY).pw_gid) if expected else (0, 0))
    assert stat.S_IMODE(made.st_mode) == 0o644


def test_a_file_system_without_hard_links_works_the_same(
    folder: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_args: object, **_options: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert create_all(folder, {"a.csv": "x"})[0].read_text() == "x"
    (folder / "b.csv").symlink_to(victim)
    with pytest.raises(NameTaken):
        create_all(folder, {"b.csv": "x"})
    assert sorted(os.listdir(folder)) == ["a.csv", "b.csv"]
    assert victim.read_text() == "precious"


def test_of_many_writers_of_one_name_exactly_one_wins(folder: Path) -> None:
    won: list[str] = []
    start = threading.Barrier(8)

    def write(text: str) -> None:
        start.wait()
        try:
            create_all(folder, {"a.csv": text * 1000})
        except NameTaken:
            return
        won.append(text)

    threads = [threading.Thread(target=write, args=(str(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (folder / "a.csv").read_text() == won[0] * 1000
    assert os.listdir(folder) == ["a.csv"]


def _message(folder: Path) -> str:
    try:
        create_all(folder, {"a.csv": "x"})
    except FileError as error:
        return error.message
    return "written"


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "df -h /a/b"), (errno.EROFS, "ls -ld /a/b"), (errno.EIO, "")]
)
def test_what_to_type_where_nothing_can_be_written(number: int, hint: str) -> None:
    assert _explained(Path("/a/b/x.csv"), OSError(number, os.strerror(number))).hint == hint
