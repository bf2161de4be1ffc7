"""From the file part of a word to an ELF file that bpftrace can open."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable

from bpftop.errors import TargetError, UsageError
from bpftop.scripts.attach import PATH
from bpftop.userspace import mapped
from bpftop.userspace.elf import Elf, NotElf, read_elf
from bpftop.userspace.mapped import Mapped
from bpftop.userspace.values import Place

_SHOWN = 8


def find(word: str, place: Place) -> Mapped:
    """The file that a path or a bare name means. Raises UsageError."""
    if "/" in word:
        path = mapped.seen_by(word, place.pids, place.proc)
        if not os.path.isfile(path):
            raise UsageError(f"there is no file {word}", "ls -l " + os.path.dirname(word))
        here = path == os.path.realpath(word)
        return _speakable(Mapped(path if here else word, path))
    files = mapped.loaded(place.pids, place.proc)
    found = mapped.named(files, word)
    if found:
        return _speakable(found)
    if not place.pids:
        raise UsageError(f"{word} is not a path, and no process runs to look it up in", f"write ./{word}")
    names = [os.path.basename(file.name) for file in files]
    near = difflib.get_close_matches(word, names, 3, 0.3) or names[:_SHOWN]
    raise UsageError(f"the target has loaded no file called {word}; it has {', '.join(near)}", "or give a path")


def first_with(name: str, fits: Callable[[Elf], bool], place: Place) -> Mapped:
    """The first file that the target has loaded, its program in front, that fits. Raises UsageError."""
    if not place.pids:
        raise UsageError(f"in which file is {name}? No process runs to look it up in", f"write PATH:{name}")
    for file in mapped.loaded(place.pids, place.proc):
        try:
            if fits(elf_of(file)):
                return _speakable(file)
        except TargetError:
            continue  # code that is not in an ELF file
    raise UsageError(f"neither the target's program nor a library that it has loaded has {name}", f"write PATH:{name}")


def elf_of(file: Mapped) -> Elf:
    """The file read. Raises TargetError."""
    try:
        return read_elf(file.path)
    except NotElf as error:
        raise TargetError(f"{file.name} is not a program or library: {error}", f"file {file.name}") from None
    except OSError as error:
        raise TargetError(f"{file.name} cannot be read: {error.strerror}", "sudo bpftop doctor") from None


def some(names: list[str], wanted: str) -> str:
    """Up to eight of the names, those that look like ``wanted`` first."""
    near = difflib.get_close_matches(wanted, names, 3, 0.4)
    shown = list(dict.fromkeys((*near, *names)))[:_SHOWN]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _speakable(file: Mapped) -> Mapped:
    """The file, when its path can stand in a bpftrace program."""
    if not PATH.match(file.path):
        why = "the path has a character that bpftrace would misread; only letters, digits and _ . / + - are safe"
        raise UsageError(f"{file.path!r}: {why}", "ln FILE /var/tmp/NAME, and give that path")
    return file
