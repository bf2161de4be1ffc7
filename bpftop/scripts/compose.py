"""From scripts and a target to one plain bpftrace program, portable from 0.17 on.

The shared parts are composed in here: the target filter, the log-linear bucket, the events lane, the tick. User input
never becomes program text: process ids and ports are integers, the name is the positional parameter ``$1``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bpftop import wire
from bpftop.btf_file import told_types
from bpftop.errors import ScriptError
from bpftop.model import Program, Script, Target, TargetKind
from bpftop.scripts import macros
from bpftop.scripts.btf import has_types, place_offsets
from bpftop.scripts.catalog import library as shared_parts
from bpftop.scripts.merge import merge_probes
from bpftop.scripts.numbers import place_numbers

_KEPT = {wire.COUNTS, wire.SENT, wire.UNTRACKED, *wire.CLIENTS, *wire.ADDRESSES, *wire.NAMES}
_MAP = re.compile(r"(?<![\w@])@[a-z_]\w*")
_FOLLOW = {TargetKind.NAME: 1, TargetKind.PATH: 1, TargetKind.PORT: 2, TargetKind.PID: 0, TargetKind.CGROUP: 0}

_ANY_NET = macros.Macro("net_of", ("$sk",), "(uint64)0", is_statement=False)
"""For kernels without BTF: where struct net keeps its number is not known there, so a port counts in any namespace."""


def compose(scripts: Sequence[Script], target: Target, every_event: bool = False) -> Program:
    """One program for all ``scripts`` on ``target``. Raises ScriptError when they don't fit together.

    ``every_event``: each single event is sent, whatever it costs.
    """
    measures = tuple(measure for script in scripts for measure in script.measures)
    measures += tuple(counter for script in scripts for counter in script.counters)
    streams = tuple(stream for script in scripts for stream in script.streams)
    names = {m.name: i for i, m in enumerate(measures, 1)} | {s.name: i for i, s in enumerate(streams, 1)}
    if len(names) != len(measures) + len(streams):
        raise ScriptError("two scripts declare a measure or stream of the same name")
    if len(measures) > wire.MAX_MEASURES:
        raise ScriptError(f"at most {wire.MAX_MEASURES} measures fit in one program, not {len(measures)}")
    library, shared = _shared(every_event)
    if not has_types():
        shared["net_of"] = _ANY_NET
    caps = dict.fromkeys(range(1, len(streams) + 1), wire.EVENTS_CAP)
    if wire.REQUEST not in names and not every_event:
        shared["event_too"] = shared["event_beside"]
        caps.update({names[stream.name]: wire.EVENTS_CAP_BESIDE for stream in streams if stream.name == wire.HTTP})
    parts = []
    for script in scripts:
        body, own = macros.extract(_without_header(script.body))
        parts.append(f"// --- {script.name}.bt ---\n" + macros.expand(body.strip(), shared | own, names))
    body = "\n\n".join(parts)
    ticks = "\n".join(f"  adapt({i}, {cap});" for i, cap in caps.items())
    if ticks:
        body += "\n\n" + macros.expand(f"interval:ms:100 {{\n{ticks}\n}}", shared, names)
    filter_and_tick = macros.expand(_library_text(library, body), shared, names)
    text = "\n\n".join((_title(scripts, target), _begin(target, len(streams)), body, filter_and_tick))
    text = merge_probes(f"{text}\n\n{_end(text)}\n")
    text = place_numbers(place_offsets(re.sub(r"\n{3,}", "\n\n", text)))
    return Program(text, tuple(scripts), measures, streams, _argv(target), every_event)


def _shared(every_event: bool) -> tuple[str, dict[str, macros.Macro]]:
    """The shared probes as text, and the shared macros. A part of macros only leaves no text."""
    texts, found = [], {}
    for name, part in shared_parts(every_event).items():
        text, own = macros.extract(part)
        found.update(own)
        if "{" in text:
            texts.append(re.sub(r"\A// \S+ - ", f"// --- lib/{name}.bt --- ", text))
    return "\n".join(texts), found


def _without_header(body: str) -> str:
    """The code and its comments below the first comment block."""
    lines = body.splitlines()
    while lines and (lines[0].startswith(("//", "#!")) or not lines[0].strip()):
        if not lines[0].strip():
            return "\n".join(lines).strip()
        lines.pop(0)
    return "\n".join(lines)


def _title(scripts: Sequence[Script], target: Target) -> str:
    names = ", ".join(script.name for script in scripts)
    settings = "".join(f"{name}={value} " for name, value in told_types(modules=True).items())
    lines = [f"// bpftop: {names}. Plain bpftrace, 0.17 or newer.", f"// Run: {settings}bpftrace --no-warnings FILE"]
    if target.comm and _FOLLOW[target.kind] == 1:
        lines[-1] += " -- NAME   (NAME of the program: restarts of it stay in view)"
    return "\n".join(lines)


def _begin(target: Target, streams: int) -> str:
    lines = ["@second = nsecs / 1000000000;", f"@follow = (uint64){_FOLLOW[target.kind]};"]
    lines += [f"@target_pids[(uint64){int(pid)}] = (uint64)1;" for pid in (*target.pids, wire.NOBODY)]
    lines += [f"@target_ports[(uint64){int(port)}] = (uint64)1;" for port in (*target.ports, wire.NOBODY)]
    lines += [f"@target_places[(uint64){place}] = (uint64)1;" for place in _places(target)]
    for stream in range(1, streams + 1):
        lines += [f"@slow_{stream} = (uint64)0;", f"@passed_{stream} = (uint64)0;"]
    return "BEGIN {\n  " + "\n  ".join(lines) + "\n}"


def _places(target: Target) -> list[int]:
    """Network namespace and port in one number each, as ``serves`` of lib/target.bt looks them up."""
    known = {port for _, port in target.places}
    anywhere = [(0, port) for port in target.ports if port not in known]
    if not has_types():
        anywhere = [(0, port) for port in target.ports]
    return sorted({(int(net) << 16) + int(port) for net, port in (*target.places, *anywhere)}) or [wire.NOBODY]


def _library_text(library: str, body: str) -> str:
    """The shared probes, without prints of maps that nothing in this program fills."""
    filled = set(_MAP.findall(body)) | {wire.TARGET_PIDS, wire.TARGET_PORTS}
    lines = []
    for line in library.splitlines():
        printed = re.match(r"\s*(?:print|clear)\((@\w+)\);$", line)
        if not printed or printed[1] in filled:
            lines.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _end(text: str) -> str:
    """bpftrace prints every map that is not empty when it ends; only the counts are wanted."""
    state = sorted(set(_MAP.findall(re.sub(r"//[^\n]*", "", text))) - _KEPT)
    return "END {\n" + "\n".join(f"  clear({name});" for name in state) + "\n}"


def _argv(target: Target) -> tuple[str, ...]:
    return (target.comm,) if target.comm and _FOLLOW[target.kind] == 1 else ()
