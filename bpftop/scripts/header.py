"""The header of a script: TOML in a comment block, in the shape of PEP 723 (``// /// bpftop`` to ``// ///``).

A script without a header is a valid script with no measures: it still runs.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bpftop import toml
from bpftop.errors import ScriptError
from bpftop.model import KEY_KINDS, EventStream, Measure, Script

_BLOCK = re.compile(r"(?m)^// /// bpftop$\n(?P<content>(?:^//(?: .*)?$\n)+?)^// ///$")
_SUMMARY = re.compile(r"(?m)\A(?:#!.*\n)?(?://[ \t]*(?!/// )(?:\S+\.bt[ \t]+-[ \t]+)?(?P<text>\S.*)$)?")
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_TOP = (
    *("title", "default", "pane", "when", "unseen", "cost", "requires", "needs"),
    *("measures", "counters", "streams"),
)
_MEASURE = ("title", "start", "end", "tells", "key", "labels")
_COUNTER = ("title", "tells", "key", "labels")
_STREAM = ("measure", "fields")


def parse_script(text: str, name: str, path: str) -> Script:
    """The script in ``text``. Raises ScriptError that names file, line and the nearest valid key."""
    match = _BLOCK.search(text)
    summary = _SUMMARY.match(text)
    data: dict[str, Any] = {}
    content, first_line = "", 0
    if opened := re.search(r"(?m)^// /// bpftop$", text) if not match else None:
        line = text.count("\n", 0, opened.start()) + 1
        raise ScriptError(f"{path}:{line}: the header must be comment lines and end with '// ///'")
    if match:
        first_line = text.count("\n", 0, match.start("content"))
        content = re.sub(r"(?m)^// ?", "", match["content"])
        try:
            data = toml.loads(content)
        except toml.BadToml as error:
            raise ScriptError(f"{path}:{_toml_line(error, first_line)}: the header is not TOML: {error}") from error
    check = _Checker(path, content, first_line)
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
        counters=tuple(check.counter(key, value) for key, value in check.tables(data, "counters")),
        default=check.flag(data, "default"),
        pane=check.text(data, "pane", ""),
        when=check.text(data, "when", ""),
        unseen=check.texts(data, "unseen"),
        cost=check.text(data, "cost", ""),
        needs=check.text(data, "needs", ""),
    )


def _toml_line(error: toml.BadToml, first_line: int) -> int:
    found = re.search(r"line (\d+)", str(error))
    return first_line + (int(found[1]) if found else 1)


class _Checker:
    """Strict reading of a header; every complaint names the line. ``where``: the table, as ``measures.some_name``."""

    def __init__(self, path: str, content: str, first_line: int) -> None:
        self._path = path
        self._lines = list(enumerate(content.splitlines(), first_line + 1))

    def fail(self, key: str, why: str, where: str = "") -> ScriptError:
        """The error, at the line that sets ``key`` in its table, or else where the table begins."""
        at = next((i for i, (_, line) in enumerate(self._lines) if line.strip() == f"[{where}]"), 0)
        setting = re.compile(rf"\s*\"?{re.escape(key)}\"?\s*=")
        number = next((n for n, line in self._lines[at:] if setting.match(line)), 0)
        later = next((n for n, line in self._lines[at + 1 :] if line.lstrip().startswith("[")), number)
        if not number or (where and number > later):
            number = self._lines[at][0] if where else next((n for n, line in self._lines if key in line), 0)
        return ScriptError(f"{self._path}:{number}: {why}" if number else f"{self._path}: {why}")

    def keys(self, table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
        """Every key of ``table`` must be known."""
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, list(known), 1, 0.4)
                hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
                raise self.fail(key, f"unknown key {key!r}{_in_words(where)}{hint}", where)

    def text(self, table: Mapping[str, Any], key: str, default: str | None = None, where: str = "") -> str:
        """A text value; required when there is no default."""
        value = table.get(key, default)
        if not isinstance(value, str):
            why = f"{key!r} must be a text" if key in table else f"{where.partition('.')[2]!r} lacks {key!r}"
            raise self.fail(key, why, where)
        return value

    def flag(self, table: Mapping[str, Any], key: str) -> bool:
        """true or false; false when absent."""
        value = table.get(key, False)
        if not isinstance(value, bool):
            raise self.fail(key, f"{key!r} must be true or false")
        return value

    def texts(self, table: Mapping[str, Any], key: str, where: str = "") -> tuple[str, ...]:
        """A list of texts, empty when absent."""
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(key, f"{key!r} must be a list of texts", where)
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
        where = f"measures.{name}"
        self.keys(table, _MEASURE, where)
        title, start, end = (self.text(table, key, where=where) for key in ("title", "start", "end"))
        return Measure(name, title, start, end, self.text(table, "tells", "", where), *self.key(table, where))

    def counter(self, name: str, table: Mapping[str, Any]) -> Measure:
        """One counter."""
        where = f"counters.{name}"
        self.keys(table, _COUNTER, where)
        title, tells = self.text(table, "title", where=where), self.text(table, "tells", "", where)
        return Measure(name, title, "", "", tells, *self.key(table, where), unit="count")

    def key(self, table: Mapping[str, Any], where: str) -> tuple[str, tuple[str, ...]]:
        """By what a measure or counter is split, and the names when these are labels."""
        kind, labels = self.text(table, "key", "client", where), self.texts(table, "labels", where)
        if kind not in KEY_KINDS:
            near = difflib.get_close_matches(kind, KEY_KINDS, 1, 0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(KEY_KINDS)}"
            raise self.fail("key", f"there is no kind of key {kind!r}; {hint}", where)
        if labels and kind != "label":
            raise self.fail("labels", 'labels need key = "label"', where)
        return kind, labels

    def stream(self, name: str, table: Mapping[str, Any], data: Mapping[str, Any]) -> EventStream:
        """One event stream; its measure must be declared in the same file."""
        where = f"streams.{name}"
        self.keys(table, _STREAM, where)
        measure = self.text(table, "measure", where=where)
        if measure not in data.get("measures", {}):
            raise self.fail("measure", f"stream {name!r}: no measure {measure!r} in this script", where)
        fields = self.texts(table, "fields", where)
        if fields[:2] != ("timestamp_ns", "latency_ns"):
            raise self.fail("fields", f"stream {name!r}: fields must begin with timestamp_ns, latency_ns", where)
        return EventStream(name, measure, fields)


def _in_words(where: str) -> str:
    kind, _, name = where.partition(".")
    return f" in {kind.removesuffix('s')} {name!r}" if name else ""
