"""The words of ``@pytest.mark.limit_latency`` and of ``--bpftop-compare-fail`` as values. Imports nothing heavy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from bpftop.latency_collector.collector import DEFAULT_MEASURE, target_of
from bpftop.latency_collector.stats import TITLES
from bpftop.pytest_plugin.names import MARKER

_UNITS = {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
_OTHERS = ("process", "port", "measure", "min_samples")
_QUANTILES = tuple(name for name in TITLES if name != "max")


@dataclass(frozen=True, slots=True)
class Limit:
    """One marker on one test."""

    target: str
    measure: str
    most_ns: Mapping[str, float]
    """By the names of TITLES."""
    min_samples: int | None


def limits_of(item: pytest.Item, target: str = "") -> list[Limit]:
    """The limits on a test; ``target`` is the ini file's, for markers that name none. Raises pytest.UsageError."""
    found = []
    for mark in item.iter_markers(MARKER):
        try:
            found.append(_limit(mark.args, mark.kwargs, target))
        except (ValueError, TypeError) as error:
            raise pytest.UsageError(f"{item.nodeid}: {MARKER}: {error}") from error
    return found


def _limit(args: tuple[object, ...], given: Mapping[str, object], target: str) -> Limit:
    if args:
        raise TypeError("name what is meant, as in p99='5ms'")
    for word in given:
        if word not in TITLES and word not in _OTHERS:
            raise TypeError(f"there is no {word}; there are {', '.join((*TITLES, *_OTHERS))}")
    most = {name: duration_ns(name, given[name]) for name in TITLES if name in given}
    if not most:
        raise ValueError("nothing is limited: give p99='5ms'")
    return Limit(_target(given, target), _measure(given), most, _min_samples(given))


def _target(given: Mapping[str, object], target: str) -> str:
    from bpftop.errors import BpftopError

    words = {name: given[name] for name in ("process", "port") if given.get(name) is not None}
    if not words and target:
        words = {"process": target}
    for name, word in words.items():
        if isinstance(word, bool) or not isinstance(word, str | int):
            raise TypeError(f"{name} has to be a word or a number, not {word!r}")
    try:
        process, port = words.get("process"), words.get("port")
        assert process is None or isinstance(process, str | int)
        assert port is None or isinstance(port, str | int)
        return target_of(process, port)
    except BpftopError as error:
        raise ValueError(error.message) from error


def _measure(given: Mapping[str, object]) -> str:
    from bpftop.errors import BpftopError
    from bpftop.latency_collector.watches import script_of

    name = str(given.get("measure", DEFAULT_MEASURE))
    if name != DEFAULT_MEASURE:
        try:
            script_of(name)
        except BpftopError as error:
            raise ValueError(error.message) from error
    return name


def _min_samples(given: Mapping[str, object]) -> int | None:
    value = given.get("min_samples")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"min_samples has to be a whole number from 1 on, not {value!r}")
    return value


def duration_ns(name: str, value: object) -> float:
    """``'5ms'`` in ns. Raises ValueError: a number alone does not say its unit."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|s)", value.strip()) if isinstance(value, str) else None
    if not match or not float(match[1]):
        raise ValueError(f"{name}={value!r} is not a length of time with its unit, such as '5ms', '800us' or '1.5s'")
    return float(match[1]) * _UNITS[match[2]]


def growth(text: str) -> tuple[str, float]:
    """``p99:20%`` as the name of a percentile and a share of 1. Raises pytest.UsageError."""
    match = re.fullmatch(r"(p\d+(?:\.9)?):(\d{1,6}(?:\.\d{1,6})?)%", text.strip(), re.ASCII)
    name = match[1].replace(".", "") if match else ""
    if not match or name not in _QUANTILES or not float(match[2]):
        raise pytest.UsageError(
            f"--bpftop-compare-fail {text}: give a percentile and how much it may grow, as in p99:20%; "
            f"there are {', '.join(_QUANTILES)}"
        )
    return name, float(match[2]) / 100
