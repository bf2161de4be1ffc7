"""Single events of a report, the slowest of each kind: in words and for JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from bpftop import units
from bpftop.model import SlowRequest, Snapshot
from bpftop.text import safe

WIDTH = 80
REQUESTS, OTHERS, IN_JSON = 10, 5, 20
"""How many of each kind are told."""
_TITLES = {
    "request": "Slowest requests (UTC), from the arrival of the data to the first byte sent",
    "upstream": "Slowest answers of upstreams (UTC)",
    "stall": "Longest event-loop stalls (UTC), each with the longest system call in it",
    "disk_io": "Slowest requests to disks (UTC)",
    "marked_request": "Slowest marked requests (UTC)",
    "call": "Slowest calls of functions (UTC)",
}
"""Connections are not ranked: one of an hour is not slow."""


def slowest(snapshot: Snapshot) -> Iterator[Iterator[str]]:
    """A block for each kind of event that there was."""
    for kind, title in _TITLES.items():
        found = _of_kind(snapshot, kind)
        if found:
            yield _block(title, found[: REQUESTS if kind == "request" else OTHERS])


def slowest_json(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """By kind of event, slowest first; ``timestamp_ns`` is Unix time."""
    kinds = dict.fromkeys(slow.event for slow in snapshot.slow)
    return {safe(kind): [_object(slow) for slow in _of_kind(snapshot, kind)[:IN_JSON]] for kind in kinds}


def _of_kind(snapshot: Snapshot, kind: str) -> list[SlowRequest]:
    return [slow for slow in snapshot.slow if slow.event == kind]


def _object(slow: SlowRequest) -> dict[str, Any]:
    texts = {name: safe(text) for name, text in slow.texts.items() if text}
    client = {"client": safe(slow.client)} if slow.client else {}
    numbers = {name: int(value) for name, value in slow.fields.items()}
    return {"timestamp_ns": int(slow.unix_ns), "latency_ns": int(slow.latency_ns), **client, **numbers, **texts}


def _block(title: str, events: list[SlowRequest]) -> Iterator[str]:
    yield title
    for slow in events:
        moment = datetime.fromtimestamp(slow.unix_ns / 1e9, UTC)
        line = f"  {moment:%H:%M:%S}.{moment.microsecond // 1000:03d} {units.duration(slow.latency_ns):>8}"
        line += f"  {safe(slow.client, 39)}" if slow.client else ""
        texts = [safe(text, 40) for text in slow.texts.values() if text]
        for further in (*texts, *(_field(name, value) for name, value in slow.fields.items() if value)):
            if len(line) + 2 + len(further) <= WIDTH:
                line += "  " + further
        yield line


def _field(name: str, value: int) -> str:
    """``read queue 1.20 ms``, ``pid 1234``."""
    words = name.removesuffix("_ns").replace("_", " ")
    return f"{words} {units.duration(value) if name.endswith('_ns') else value}"
