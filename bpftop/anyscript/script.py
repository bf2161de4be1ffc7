"""Reading a user's program: checked, read once, and with its small header.

The header is TOML in the comment block of our own scripts (``// /// bpftop`` to ``// ///``)::

    // /// bpftop
    // title = "Disk"
    // [maps.usecs]
    // title = "I/O latency"
    // unit = "us"
    // ///
"""

from __future__ import annotations

import difflib
import os
import pwd
import re
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bpftop import toml
from bpftop.anyscript.model import MapFacts, UserScript
from bpftop.anyscript.scan import blanked, maps_of, max_map_keys
from bpftop.errors import ScriptError
from bpftop.scripts import catalog
from bpftop.text import safe

MAX_BYTES = 1 << 20
_BLOCK = re.compile(r"(?m)^// /// bpftop[ \t]*$\n(?P<content>(?:^//(?: .*)?$\n)*?)^// ///[ \t]*$")
_OPENS = re.compile(r"(?m)^// /// bpftop[ \t]*$")
_COMPOSED = re.compile(r"\b(observe|tally)\s*\(")
_TOP = ("title", "maps")
_OURS = ("measures", "counters", "streams")
_MAP = ("title", "unit")
_UNIT_CELLS = 12


def read_script(path: str, argv: tuple[str, ...] = (), caller: int | None = None) -> UserScript:
    """The program at ``path``, read once: what was checked is what will run. Raises ScriptError.

    ``caller``: the user id whose files are trusted besides root's.
    """
    text = _read(path, os.getuid() if caller is None else caller)
    header = _header(text, path)
    if any(key in header.values for key in _OURS) or _COMPOSED.search(blanked(text)):
        raise ScriptError(f"{path} is a part for bpftop's own programs, not a program of its own", _how_to(path))
    header.check_keys(header.values, _TOP, "")
    title = safe(header.text(header.values, "title", Path(path).name, ""))
    return UserScript(path, text, title, header.titled(maps_of(text)), max_map_keys(text), argv)


def _how_to(path: str) -> str:
    name = Path(path).stem
    return f"sudo bpftop watch TARGET --scripts {name}" if name in catalog() else "bpftop scripts"


def _read(path: str, caller: int) -> str:
    try:
        # Not blocking: a pipe of this name must be refused, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "impossible name"
        raise ScriptError(f"{path} cannot be read: {said}", "bpftop run FILE.bt") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ScriptError(f"{path} is not a file", "bpftop run FILE.bt")
        _check_owner(path, found, caller)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise ScriptError(f"{path} is larger than 1 MiB: not a bpftrace program", f"ls -l {path}")
    if b"\0" in content:
        raise ScriptError(f"{path} is not text", f"file {path}")
    return content.decode("utf-8", "surrogateescape")


def _check_owner(path: str, found: os.stat_result, caller: int) -> None:
    """A program runs in the kernel as root: nobody else may have written it."""
    if found.st_mode & stat.S_IWOTH:
        raise ScriptError(f"{path} can be changed by everybody, so it is not run", f"chmod o-w {path}")
    if found.st_mode & stat.S_IWGRP and found.st_gid not in (0, _own_group(caller)):
        raise ScriptError(
            f"{path} can be changed by everybody in group {found.st_gid}, so it is not run", f"chmod g-w {path}"
        )
    if found.st_uid not in (0, caller):
        raise ScriptError(
            f"{path} belongs to user {found.st_uid}, neither to root nor to you, so it is not run",
            f"sudo chown root {path}",
        )


def _own_group(caller: int) -> int:
    """The group that many systems give each user alone, so that it may write what the user may; -1: unknown."""
    try:
        return pwd.getpwuid(caller).pw_gid
    except KeyError:
        return -1


def _header(text: str, path: str) -> _Header:
    match = _BLOCK.search(text)
    if match is None:
        if opened := _OPENS.search(text):
            line = text.count("\n", 0, opened.start()) + 1
            raise ScriptError(f"{path}:{line}: the header must be comment lines and end with '// ///'")
        return _Header(path, {}, [], 0)
    first = text.count("\n", 0, match.start("content"))
    content = re.sub(r"(?m)^// ?", "", match["content"])
    try:
        values = toml.loads(content)
    except toml.BadToml as error:
        at = re.search(r"line (\d+)", str(error))
        line = first + (int(at[1]) if at else 1)
        raise ScriptError(f"{path}:{line}: the header is not TOML: {error}") from error
    return _Header(path, values, content.splitlines(), first)


class _Header:
    """Strict reading; every complaint names file, line and the nearest valid word."""

    def __init__(self, path: str, values: dict[str, Any], lines: list[str], first: int) -> None:
        self.values = values
        self._path, self._lines, self._first = path, lines, first

    def check_keys(self, table: dict[str, Any], known: Iterable[str], where: str) -> None:
        """Every key must be known."""
        for key in table:
            if key not in known:
                raise self._fail(f"unknown key {key!r}{where and ' in ' + where}{_near(key, known)}", key)

    def text(self, table: dict[str, Any], key: str, default: str, where: str) -> str:
        """A text."""
        value = table.get(key, default)
        if not isinstance(value, str):
            raise self._fail(f"{key!r}{where and ' in ' + where} must be a text", key)
        return value

    def titled(self, maps: dict[str, MapFacts]) -> dict[str, MapFacts]:
        """The maps with the titles and units of the header."""
        tables = self.values.get("maps", {})
        if not isinstance(tables, dict):
            raise self._fail("'maps' must hold tables: [maps.usecs]", "maps")
        out = dict(maps)
        for key, table in tables.items():
            name = key if key.startswith("@") else f"@{key}"
            if not isinstance(table, dict):
                raise self._fail(f"'maps' must hold tables: [maps.{key}]", key)
            if name not in maps:
                raise self._fail(f"the program has no map {name}{_near(name, maps)}", key)
            where = f"maps.{key}"
            self.check_keys(table, _MAP, where)
            unit = self.text(table, "unit", "", where)
            if len(unit) > _UNIT_CELLS:
                raise self._fail(f"the unit in {where} has more than {_UNIT_CELLS} characters", "unit")
            out[name] = replace(out[name], title=safe(self.text(table, "title", "", where)), unit=safe(unit))
        return out

    def _fail(self, why: str, key: str) -> ScriptError:
        word = re.compile(rf"(?<![\w@]){re.escape(key)}(?!\w)")
        line = next((n for n, line in enumerate(self._lines, self._first + 1) if word.search(line)), self._first)
        return ScriptError(f"{self._path}:{line}: {why}")


def _near(word: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(word, names, 1, 0.4)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(names)}" if names else ""
