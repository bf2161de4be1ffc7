"""``bpftop report --format json``: one object, or one a line, whose buckets are added up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bpftop.compare.buckets import Accounting, histogram
from bpftop.compare.model import Run
from bpftop.errors import FileError
from bpftop.text import safe

SCHEMA = 1


def read_report(path: str, data: bytes) -> Run:
    """The text of the file as a run. Raises FileError."""
    reports, torn = _reports(path, data)
    buckets: dict[str, list[tuple[int, int, int]]] = {}
    for report in reports:
        for name, found in _measures(path, report):
            buckets.setdefault(name, []).extend(found)
    measures = {name: histogram(found, f"{path}: {name}") for name, found in buckets.items() if found}
    last = reports[-1]
    told = {**_inner(last, "accounting"), **_cost(reports)}
    account = Accounting.of(told, sum(int(h.counts.sum()) for h in measures.values()), path)
    cut = ("its last line is cut off and was left out: the run is partial",) if torn else ()
    said = [why for report in reports for why in _problems(report)]
    facts = {"target": _inner(last, "target").get("name"), "source": last.get("source")}
    words = {name: safe(word) for name, word in facts.items() if isinstance(word, str) and word}
    return Run(path, "report", measures, account.notes, tuple(dict.fromkeys((*said, *account.problems, *cut))), words)


def _reports(path: str, data: bytes) -> tuple[list[dict[str, Any]], bool]:
    """The objects, at least one, and whether the last line was cut off."""
    text = data.decode("utf-8", "replace")
    whole = _parsed(text)
    if whole is not None:
        return [_checked(path, whole)], False
    lines = text.split("\n")
    reports: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = _parsed(line)
        if found is None and number == len(lines) and reports:
            return reports, True
        if found is None:
            raise FileError(f"{path}: line {number} is no JSON; is the file whole?")
        reports.append(_checked(path, found))
    return reports, False


def _parsed(text: str) -> object | None:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


def _checked(path: str, found: object) -> dict[str, Any]:
    if not isinstance(found, dict) or not isinstance(found.get("measures"), dict):
        raise FileError(f"{path} is JSON, but no report of bpftop: it has no measures")
    if found.get("schema") != SCHEMA:
        said = safe(str(found.get("schema")), 20)
        raise FileError(f"{path} has schema {said}, this bpftop reads schema {SCHEMA}: it is from another version")
    return found


def _measures(path: str, report: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    for name, measure in report["measures"].items():
        shown = safe(name)
        rows = measure.get("histogram") if isinstance(measure, dict) else None
        if not isinstance(rows, list) or not all(_is_bucket(row) for row in rows):
            raise FileError(f"{path}: {shown} has no histogram of [low_ns, high_ns, count]")
        found = [(low, high, count) for low, high, count in rows]
        if sum(count for _, _, count in found) != measure.get("count"):
            raise FileError(f"{path}: the histogram of {shown} does not add up to its count")
        yield shown, found


def _problems(report: Mapping[str, Any]) -> list[str]:
    """What a collection says against itself (bpftop.latency_collector)."""
    found = report.get("problems")
    return [safe(why) for why in found if isinstance(why, str)] if isinstance(found, list) else []


def _is_bucket(row: object) -> bool:
    return isinstance(row, list) and len(row) == 3 and all(type(number) is int for number in row)


def _cost(reports: list[dict[str, Any]]) -> dict[str, object]:
    """The hits of our probes, in the names of the snapshot's accounting."""
    spans = [report.get("duration_s") for report in reports]
    last = _inner(reports[-1], "overhead")
    return {
        "window_s": sum(span for span in spans if isinstance(span, int | float) and 0 <= span < 1e9),
        "overhead_hits_per_s": last.get("hits_per_s"),
        "missed": last.get("missed"),
    }


def _inner(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = report.get(name)
    return found if isinstance(found, dict) else {}
