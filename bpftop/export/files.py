"""New files, whole or not at all: never over another file, never through a link, never half after a full disk.

A root process that writes where others may write is what attackers wait for. Everything here goes through one open
directory and names inside it, and each file is written under a random name first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from bpftop import people
from bpftop.errors import FileError

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES}
"""What a file system without hard links answers."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
MODE = 0o644
PRIVATE_MODE = 0o600
"""Of what has the addresses of all clients in it."""


class NameTaken(FileError):
    """Something has this name already, whatever it is."""


def create_all(directory: Path, contents: Mapping[str, str]) -> tuple[Path, ...]:
    """Create a file for each name in ``directory``: all or none. Raises FileError; NameTaken for a used name."""
    for name in contents:
        if not name or "/" in name or name in (".", ".."):
            raise FileError(f"{name!r} is not a file name")
        _possible(Path(name))
    with _directory(directory) as folder:
        pending: dict[str, tuple[str, int]] = {}
        made: list[str] = []
        name = ""
        try:
            for name, text in contents.items():
                pending[name] = _write_hidden(folder, text)
            for name, (hidden, inode) in pending.items():
                _publish(folder, hidden, name, inode)
                made.append(name)
            os.fsync(folder)
        except OSError as error:
            _remove(folder, made)
            raise _explained(directory / name, error) from error
        except BaseException:
            _remove(folder, made)
            raise
        finally:
            _remove(folder, [hidden for hidden, _ in pending.values()])
    return tuple(directory / name for name in contents)


@contextlib.contextmanager
def create_folder(path: Path) -> Iterator[None]:
    """A new folder that belongs to the caller, for files of ``create_all``; gone again when they fail.

    Raises FileError; NameTaken for a used name, whatever it is.
    """
    with _directory(path.parent) as parent:
        try:
            os.mkdir(path.name, 0o755, dir_fd=parent)
        except OSError as error:
            raise _explained(path, error) from error
        try:
            fd = os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            try:
                _give_to_caller(fd, parent)
            finally:
                os.close(fd)
            yield
        except BaseException:
            with contextlib.suppress(OSError):
                os.rmdir(path.name, dir_fd=parent)
            raise


def replace(path: Path, text: str) -> None:
    """Write a whole new file in the place of an old one, at once: readers see the old or the new. Raises FileError.

    A link at that place is replaced, not followed.
    """
    path = Path(os.path.abspath(_possible(path)))
    with _directory(path.parent) as folder:
        hidden = ""
        try:
            hidden, _ = _write_hidden(folder, text)
            os.rename(hidden, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            _remove(folder, [hidden] if hidden else [])
            raise _explained(path, error) from error
        except BaseException:
            _remove(folder, [hidden] if hidden else [])
            raise


def open_new(path: Path) -> int:
    """Create a file that is written as time goes on, for its owner only; its descriptor. Raises FileError."""
    path = Path(os.path.abspath(_possible(path)))
    with _directory(path.parent) as folder:
        try:
            fd = os.open(path.name, _CREATE, PRIVATE_MODE, dir_fd=folder)
        except OSError as error:
            raise _explained(path, error) from error
        try:
            _give_to_caller(fd, folder)
            os.fchmod(fd, PRIVATE_MODE)
        except BaseException as error:
            os.close(fd)
            _remove(folder, [path.name])
            raise (_explained(path, error) if isinstance(error, OSError) else error) from error
    return fd


def no_folder(path: Path) -> FileError:
    """The error for a directory to write into that is not there."""
    return FileError(f"there is no directory {path}: nothing was written", f"mkdir -p {shlex.quote(str(path))}")


@contextlib.contextmanager
def _directory(path: Path) -> Iterator[int]:
    try:
        folder = os.open(_possible(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise no_folder(path) from error
    except OSError as error:
        raise _explained(path, error) from error
    try:
        yield folder
    finally:
        os.close(folder)


def _write_hidden(folder: int, text: str) -> tuple[str, int]:
    """Write under a random name; the name and the inode. Leaves nothing behind when it fails."""
    name = f".bpftop-{os.urandom(8).hex()}.tmp"
    fd = os.open(name, _CREATE, 0o600, dir_fd=folder)
    try:
        data = memoryview(text.encode("utf-8", "replace"))
        while data:
            data = data[os.write(fd, data) :]
        _give_to_caller(fd, folder)
        os.fchmod(fd, MODE)
        os.fsync(fd)
        return name, os.fstat(fd).st_ino
    except BaseException:
        _remove(folder, [name])
        raise
    finally:
        os.close(fd)


def _publish(folder: int, hidden: str, name: str, inode: int) -> None:
    """Give the finished file its name, unless something has it."""
    try:
        os.link(hidden, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # The name is ours before it is replaced, so nobody else's file can be.
        os.close(os.open(name, _CREATE, 0o600, dir_fd=folder))
        os.rename(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    if os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino != inode:
        raise OSError(errno.EIO, "somebody else replaced the file while it was written")


def _give_to_caller(fd: int, folder: int) -> None:
    """Under sudo the file belongs to the caller, where the caller could have made it too."""
    caller = people.caller() if os.geteuid() == 0 else None
    if caller is None:
        return
    where = os.fstat(folder)
    shared = where.st_mode & stat.S_ISVTX and where.st_mode & stat.S_IWOTH
    if where.st_uid == caller.uid or shared:
        os.fchown(fd, caller.uid, caller.gid)


def _remove(folder: int, names: list[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)


def _possible(path: Path) -> Path:
    """The path, when something can be called so. Raises FileError."""
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:
        raw = b"\0"
    if b"\0" in raw:
        raise FileError(f"{str(path)!r} is not a file name")
    return path


def _explained(path: Path, error: OSError) -> FileError:
    if error.errno == errno.EEXIST:
        return NameTaken(f"{path} exists already; nothing was overwritten")
    folder = shlex.quote(str(path.parent))
    hint = f"df -h {folder}" if error.errno in _FULL else f"ls -ld {folder}" if error.errno in _CLOSED else ""
    return FileError(f"{path} was not written: {error.strerror or error}", hint)
