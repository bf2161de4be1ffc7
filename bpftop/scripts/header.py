"""The header of a script: TOML in a comment block, in the shape of PEP 723 (``// /// bpftop`` to ``// ///``).

A script without a header is a valid script with no measures: it still runs.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from bpftop.errors import ScriptError
from bpftop.model import EventStream, Measure, Script

_BLOCK = re.compile(r"(?m)^// /// bpftop$\n(?P<content>(?:^//(?: .*)?$\n)+?)^// ///$")
_SUMMARY = re.compile(r"(?m)\A(?:#!.*\n)?(?://\s*(?:\S+\.bt\s+-\s+)?(?P<text>\S.*)$)?")
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_TOP = ("title", "requires", "measures", "streams")
_MEASURE = ("title", "start", "end", "tells")
_STREAM = ("measure", "fields")


def parse_script(text: str, name: str, path: str) -> Script:
    """The script in ``text``. Raises ScriptError that names file, line and the nearest valid key."""
    match = _BLOCK.search(text)
    summary = _SUMMARY.match(text)
    data: dict[str, Any] = {}
    first_line = 0
    if match:
        first_line = text.count("\n", 0, match.start("content"))
        content = re.sub(r"(?m)^// ?", "", match["content"])
        try:
            data = tomllib.loads(content)
        except tomllib.TOMLDecodeError as error:
            raise ScriptError(f"{path}:{_toml_line(error, first_line)}: the header is not TOML: {error}") from error
    check = _Checker(path, text, first_line)
    check.keys(data, _TOP, "")
    return Script(
        name=name,
        path=path,
        title=check.text(data, "title", name.replace("_", " ").capitalize()),
        summary=(summary["text"] or "") if summary else "",
        measures=tuple(check.measure(key, value) for key, value in check.tables(data, "measures")),
        streams=tuple(check.stream(key, value, data) for key, value in check.tables(data, "streams")),
        requires=check.texts(data, "requires"),
        body=text,
    )


def _toml_line(error: tomllib.TOMLDecodeError, first_line: int) -> int:
    found = re.search(r"line (\d+)", str(error))
    return first_line + (int(found[1]) if found else 1)


class _Checker:
    """Strict reading of a header; every complaint names the line."""

    def __init__(self, path: str, text: str, first_line: int) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._first_line = first_line

    def fail(self, word: str, why: str) -> ScriptError:
        """The error, at the first header line that has ``word``."""
        for number, line in enumerate(self._lines[self._first_line :], self._first_line + 1):
            if word in line:
                return ScriptError(f"{self._path}:{number}: {why}")
        return ScriptError(f"{self._path}: {why}")

    def keys(self, table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
        """Every key of ``table`` must be known."""
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, list(known), 1, 0.4)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
                raise self.fail(key, f"unknown key {key!r}{where}{hint}")

    def text(self, table: Mapping[str, Any], key: str, default: str | None = None) -> str:
        """A text value; required when there is no default."""
        value = table.get(key, default)
        if not isinstance(value, str):
            raise self.fail(key, f"{key!r} must be a text" if key in table else f"a measure lacks {key!r}")
        return value

    def texts(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """A list of texts, empty when absent."""
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, f"{key!r} must be a list of texts")
        return tuple(value)

    def tables(self, data: Mapping[str, Any], key: str) -> list[tuple[str, dict[str, Any]]]:
        """The named tables under ``key``, in the order of the file."""
        value = data.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
            raise self.fail(key, f"{key!r} must hold tables: [{key}.some_name]")
        for name in value:
            if not _NAME.match(name):
                raise self.fail(name, f"{name!r} must be lower case letters, digits and _")
        return list(value.items())

    def measure(self, name: str, table: Mapping[str, Any]) -> Measure:
        """One measure."""
        self.keys(table, _MEASURE, f" in measure {name!r}")
        title, start, end = (self.text(table, key) for key in ("title", "start", "end"))
        return Measure(name, title, start, end, self.text(table, "tells", ""))

    def stream(self, name: str, table: Mapping[str, Any], data: Mapping[str, Any]) -> EventStream:
        """One event stream; its measure must be declared in the same file."""
        self.keys(table, _STREAM, f" in stream {name!r}")
        measure = self.text(table, "measure")
        if measure not in data.get("measures", {}):
            raise self.fail(measure, f"stream {name!r}: no measure {measure!r} in this script")
        fields = self.texts(table, "fields")
        if fields[:2] != ("timestamp_ns", "latency_ns"):
            raise self.fail("fields", f"stream {name!r}: fields must begin with timestamp_ns, latency_ns")
        return EventStream(name, measure, fields)
