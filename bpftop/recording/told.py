"""What a recording says in words, as JSON: measures, scripts, states, names. Read as foreign data, asked by type."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bpftop.figures import Declared, Origin, Status
from bpftop.model import (
    KEY_KINDS,
    EventStream,
    Measure,
    Overhead,
    Process,
    ScriptStatus,
    State,
    Target,
    TargetKind,
    TracerStatus,
)
from bpftop.recording.asked import Told
from bpftop.recording.codec import Damaged
from bpftop.recording.standing import standstill_of, standstill_to
from bpftop.stats.tick import Named
from bpftop.text import safe
from bpftop.wire import MAX_MEASURES, NAME_WORDS

_SCRIPT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}", re.ASCII)
_MAX_TEXT = 1 << 20
_MANY = 100_000
_U64 = 1 << 64
_FAR = 1 << 61


def dump(value: object) -> bytes:
    """Compact JSON; lone surrogates, as in names of files, survive."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()


def load(data: bytes) -> Told:
    """A JSON object, to be asked. Raises Damaged."""
    try:
        return Told(json.loads(data.decode("ascii")))
    except (ValueError, RecursionError) as error:
        raise Damaged("a text is no JSON") from error


# --- what does not change ---


def declared_to(declared: Declared) -> dict[str, Any]:
    """For ``dump``."""
    return {
        "program": declared.text,
        "measures": [asdict(measure) for measure in declared.measures],
        "streams": [asdict(stream) for stream in declared.streams],
        "scripts": [asdict(script) | {"state": script.state.value} for script in declared.scripts],
    }


def declared_of(told: Told) -> Declared:
    """Measures, streams and scripts. Raises Damaged when they do not fit together."""
    measures = tuple(_measure(each) for each in told["measures"].each())
    names = [measure.name for measure in measures]
    if len(measures) > MAX_MEASURES or len(set(names)) != len(names):
        raise Damaged("the measures have no names of their own")
    streams = tuple(_stream(each, frozenset(names)) for each in told["streams"].each())
    scripts = tuple(_script(each) for each in told["scripts"].each())
    if len({script.name for script in scripts}) != len(scripts):
        raise Damaged("two scripts have the same name")
    if len(streams) > MAX_MEASURES or len(scripts) > MAX_MEASURES:
        raise Damaged("there are too many streams or scripts")
    return Declared(measures, streams, scripts, told["program"].text(_MAX_TEXT))


def _measure(told: Told) -> Measure:
    key, unit = told["key"].text(), told["unit"].text()
    if key not in KEY_KINDS or unit not in ("ns", "count"):
        raise Damaged(f"a measure by {safe(key, 20)} in {safe(unit, 20)} is not known to this version")
    name, title, start, end, tells = (told[each].words() for each in ("name", "title", "start", "end", "tells"))
    labels = tuple(label.words(100) for label in told["labels"].each()[:1000])
    return Measure(name, title, start, end, tells, key, labels, unit)


def _stream(told: Told, measures: frozenset[str]) -> EventStream:
    name, measure = told["name"].words(100), told["measure"].words()
    fields = tuple(field.words(100) for field in told["fields"].each())
    if measure not in measures or fields[:2] != ("timestamp_ns", "latency_ns") or not len(fields) <= 32:
        raise Damaged("a stream of events is not as streams are")
    return EventStream(name, measure, fields)


def _script(told: Told) -> ScriptStatus:
    name, title, detail, pane, cost = (told[each].words() for each in ("name", "title", "detail", "pane", "cost"))
    figures = tuple(each.words() for each in told["measures"].each())
    if not _SCRIPT.fullmatch(name):  # it names a pane
        raise Damaged(f"{safe(name, 40)} is no name of a script")
    probes = told["probes"].whole(0, _MANY)
    return ScriptStatus(name, title, _state(told["state"]), probes, detail, pane, figures, cost=cost)


def origin_to(origin: Origin) -> dict[str, Any]:
    """For ``dump``."""
    return asdict(origin)


def origin_of(told: Told) -> Origin:
    """Versions and the moment of the start."""
    version, kernel = told["bpftrace_version"].words(60), told["kernel"].words(120)
    return Origin(version, kernel, told["started_unix_ns"].whole(0))


# --- states ---


def status_to(status: Status) -> dict[str, Any]:
    """For ``dump``."""
    target, tracer = asdict(status.target), asdict(status.tracer)
    target["kind"], tracer["state"] = status.target.kind.value, status.tracer.state.value
    # A recording has one clock from its beginning to its end, whatever was done to that of the host.
    clock = [status.started_ns, status.offset_ns if status.steady_ns is None else status.steady_ns]
    return {
        "target": target,
        "tracer": tracer,
        "overhead": asdict(status.overhead),
        "clock": clock,
        "standstill": standstill_to(status.standstill),
    }


def status_of(told: Told) -> Status:
    """Target, tracer, cost and clocks. Raises Damaged."""
    clock = [each.whole(-_FAR, _FAR) for each in told["clock"].each()]
    if len(clock) != 2:
        raise Damaged("the clock has not two numbers")
    started, offset = clock
    target, tracer, overhead = _target(told["target"]), _tracer(told["tracer"]), _overhead(told["overhead"])
    return Status(target, tracer, overhead, started, offset, standstill_of(told["standstill"]))


def _target(told: Told) -> Target:
    try:
        kind = TargetKind(told["kind"].text())
    except ValueError as error:
        raise Damaged("the target is of no known kind") from error
    processes = tuple(
        Process(
            each["pid"].whole(0), each["start_ticks"].whole(0), each["comm"].text(), each["cmdline"].text(_MAX_TEXT)
        )
        for each in told["processes"].each()
    )
    ports = tuple(port.whole(0, 65535) for port in told["ports"].each())
    places = [[number.whole(0) for number in place.each()] for place in told["places"].each()]
    spec, name, comm = (told[each].text(4096) for each in ("spec", "name", "comm"))
    return Target(spec, kind, name, comm, processes, ports, tuple((net, port) for net, port in _pairs(places)))


def _pairs(rows: list[list[int]]) -> list[list[int]]:
    if any(len(row) != 2 for row in rows):
        raise Damaged("a pair has not two numbers")
    return rows


def _tracer(told: Told) -> TracerStatus:
    return TracerStatus(
        _state(told["state"]),
        told["detail"].words(),
        told["hint"].words(),
        tuple(each.words() for each in told["stderr"].each()[:100]),
        told["exit_code"].maybe(Told.whole),
        told["restarts"].whole(0),
        told["runs"].whole(0),
        told["lost_messages"].whole(0),
        told["source"].words(40),
        told["rights"].maybe(Told.words) or "",  # not in the first recordings
        told["budget"].maybe(Told.words) or "",
    )


def _state(told: Told) -> State:
    try:
        return State(told.text())
    except ValueError as error:
        raise Damaged("a state is not known to this version") from error


def _overhead(told: Told) -> Overhead:
    per_hit, hits, cpu = (told[name].maybe(Told.real) for name in ("ns_per_hit", "hits_per_s", "cpu_percent"))
    return Overhead(per_hit, hits, cpu, told["missed"].whole(0))


# --- names ---


def names_to(names: Named) -> dict[str, Any]:
    """For ``dump``; sorts without a name are left out."""
    return {sort: {str(code): value for code, value in known.items()} for sort, known in _sorts(names) if known}


def _sorts(names: Named) -> list[tuple[str, Mapping[int, Any]]]:
    return [(sort, getattr(names, sort)) for sort in Named.__dataclass_fields__]


def names_of(told: Told) -> Named:
    """Named by code. Raises Damaged."""
    found = {sort: {_code(code): each for code, each in known.items()} for sort, known in told.items()}

    def texts(sort: str) -> dict[int, str]:
        return {code: each.text(1000) for code, each in found.get(sort, {}).items()}

    addresses = {code: _words(each, 2) for code, each in found.get("addresses", {}).items()}
    return Named(
        {code: (high, low) for code, (high, low) in addresses.items()},
        {code: _words(each, NAME_WORDS) for code, each in found.get("words", {}).items()},
        *map(texts, ("routes", "lines", "processes", "devices")),
    )


def _code(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20 or int(text) >= _U64:
        raise Damaged("the code of a name is no number")
    return int(text)


def _words(told: Told, length: int) -> tuple[int, ...]:
    words = tuple(each.whole(0) for each in told.each())
    if len(words) != length:
        raise Damaged("a name has too many words or too few")
    return words
