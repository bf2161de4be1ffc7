"""From one line of ``bpftrace -f json`` to messages, for any program. Pure, and never raises on input.

Repairs what old versions break: bytes above 0x7f as ``\\uffffffNN`` (all versions), keys escaped twice (0.22 and 0.23),
values without quotes (up to 0.21: strftime, hex …), numbers as text (0.24 and newer), histograms above 2^31 (0.17).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TypeAlias

from bpftop.anyscript.model import Bucket, Complaint, Histogram, Printed, Said, Stats, Value
from bpftop.model import Attached, Lost, Rejected
from bpftop.tracer.decode import number, repair

RunMessage: TypeAlias = Attached | Lost | Printed | Said | Complaint | Rejected

_PRINTS = ("map", "hist", "stats", "tseries")
_WORDS = ("printf", "time", "cat", "syscall")
_TROUBLES = ("helper_error", "runtime_error", "errorf", "warnf")
_BARE = re.compile(r'(?<=": )(?![\s"{\[])([^"{}\[\]]*?)(?=, "|\}|$)')
_JSON_WORD = re.compile(r"(-?\d+(\.\d+)?([eE][+-]?\d+)?|true|false|null)\Z")
_WRAPPED = (-(1 << 31), 0)
"""0.17 keeps the edges of a bucket in 32 bits: everything above 2^31 - 1 is in one bucket of these edges."""
_LONG = 16
_STATS = {"count", "average", "total"}


def decode(line: bytes, *, escaped_twice: bool = False) -> Iterator[RunMessage]:
    """The messages in one line of stdout. ``escaped_twice``: the bpftrace is 0.22 or 0.23."""
    if not line.strip():
        return
    text = line.decode("utf-8", "surrogateescape")
    if not text.startswith("{"):
        yield Complaint(repair(text))
        return
    message = _object(text)
    if message is None:
        yield Rejected(text[:200])
        return
    yield from _message(message, text, escaped_twice)


def _object(text: str) -> dict[str, object] | None:
    """The JSON object; ``None`` for none. Values without quotes get them when it is no JSON otherwise."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        try:
            message = json.loads(_BARE.sub(_quoted, text))
        except (ValueError, RecursionError):
            return None
    return message if isinstance(message, dict) else None


def _quoted(found: re.Match[str]) -> str:
    return found[0] if _JSON_WORD.match(found[1]) else json.dumps(found[1])


def _message(message: dict[str, object], text: str, escaped_twice: bool) -> Iterator[RunMessage]:
    kind, data = message.get("type"), message.get("data")
    if kind in _WORDS and isinstance(data, str):
        yield Said(repair(data))
    elif kind == "join" and isinstance(data, str):
        yield Said(repair(data) + "\n")
    elif kind == "value":
        yield Said(_plain(data) + "\n")
    elif kind in _PRINTS and isinstance(data, dict) and data:
        for name, value in data.items():
            yield _printed(str(kind), str(name), value, escaped_twice)
    elif kind == "attached_probes" and isinstance(data, dict):
        yield Attached(number(data.get("probes")) or 0)
    elif kind == "lost_events" and isinstance(data, dict):
        yield Lost(number(data.get("events")) or 0)
    elif kind in _TROUBLES:
        yield Complaint(_trouble(message))
    else:
        yield Rejected(text[:200])


def _trouble(message: dict[str, object]) -> str:
    """``map_update_elem: Argument list too long (line 3)``."""
    words = [repair(str(message[key])) for key in ("helper", "msg") if message.get(key)]
    if "msg" not in message and "retcode" in message:
        words.append(f"returned {message['retcode']}")
    where = f" (line {message['line']})" if "line" in message else ""
    return (": ".join(words) or str(message.get("type"))) + where


def _printed(kind: str, name: str, value: object, escaped_twice: bool) -> Printed:
    if kind == "tseries":
        value = _series(value)
    keyed = isinstance(value, dict) and not (kind == "stats" and _is_stats(value))
    if not keyed or not isinstance(value, dict):
        return Printed(name, False, {"": _value(value)})
    return Printed(name, True, {_key(str(key), escaped_twice): _value(each) for key, each in value.items()})


def _is_stats(value: object) -> bool:
    return isinstance(value, dict) and set(value) == _STATS and all(number(each) is not None for each in value.values())


def _value(value: object) -> Value:
    if isinstance(value, dict) and _is_stats(value):
        return Stats(*(number(value[key]) or 0 for key in ("count", "average", "total")))
    if isinstance(value, list) and (not value or isinstance(value[0], dict)):
        return Histogram(tuple(found for each in value if (found := _bucket(each))))
    # 0.24 and newer write numbers above 2^53 as text; shorter text is text, "007" too.
    whole = None if isinstance(value, str) and len(value) < _LONG else number(value)
    return _plain(value) if whole is None else whole


def _bucket(found: object) -> Bucket | None:
    if not isinstance(found, dict):
        return None
    low, high, count = (number(found.get(key)) for key in ("min", "max", "count"))
    if count is None:
        return None
    if (low, high) == _WRAPPED:
        return Bucket(1 << 31, None, count)
    return Bucket(low, high, count)


def _plain(value: object) -> str:
    """A value in words: tuples in parentheses, as bpftrace's text has them."""
    if isinstance(value, str):
        return repair(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "(" + ", ".join(_plain(each) for each in value) + ")"
    return json.dumps(value)


def _key(key: str, escaped_twice: bool) -> str:
    if escaped_twice and "\\" in key:
        try:
            # What was escaped twice has no bare quotes; a key that has some was not.
            unescaped = json.loads(f'"{key}"')
        except ValueError:
            unescaped = key
        key = str(unescaped)
    return repair(key)


def _series(value: object) -> object:
    """A time series (0.24 and newer) as a map keyed by the start of the interval."""
    if isinstance(value, list):
        return {str(each.get("interval_start")): each.get("value") for each in value if isinstance(each, dict)}
    if isinstance(value, dict):
        parts = {key: _series(each) for key, each in value.items()}
        return {f"{key},{at}": v for key, found in parts.items() if isinstance(found, dict) for at, v in found.items()}
    return value
