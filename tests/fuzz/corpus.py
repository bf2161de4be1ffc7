"""What fuzzing begins with: real output of bpftrace, and one good file of each kind that is read."""

from __future__ import annotations

import json
import os
import tempfile
from functools import cache
from pathlib import Path

from bpftop.export import to_json, write_snapshot
from bpftop.recording.writer import Recorder
from bpftop.scripts import catalog
from tests.elfs import hand_made, note
from tests.recorded import StoryRun
from tests.recordings import CAPTURES, DATA, RUN
from tests.snapshots import snapshot

LONGEST_LINE = 3000


@cache
def runs() -> tuple[bytes, ...]:
    """Whole outputs: runs of our programs on five versions of bpftrace, and the captures of six."""
    return tuple(path.read_bytes() for path in [*sorted((DATA / "recordings").glob("*.stdout")), *CAPTURES])


@cache
def lines() -> tuple[bytes, ...]:
    """Their lines; the rare ones of our own programs more than once."""
    every = [one[:LONGEST_LINE] for text in runs() for one in text.split(b"\n") if one]
    rare = [one for one in every if b'"@addresses' in one or b'"@names' in one or b'"T ' in one]
    return tuple(every + rare * max(1, 2000 // len(rare)))


@cache
def recording() -> bytes:
    """A recording of some seconds, with events, names, a state and the end."""
    run, recorder = StoryRun(0.1), Recorder()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.bpftop"
        recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), str(path))
        recorder.attach(run)
        run.run(12)
        recorder.end()
        recorder.close()
        return path.read_bytes()


def report() -> bytes:
    """As ``bpftop report --format json`` says it."""
    return json.dumps(to_json(snapshot())).encode()


@cache
def saved() -> dict[str, bytes]:
    """The CSV files that ``e`` saves, by the last word of their names."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_snapshot(snapshot(), Path(folder))
        return {path.stem.rpartition("-")[2]: path.read_bytes() for path in paths}


SAMPLES = b"""timestamp_ns,latency_ns,event,client
Attaching 3 probes...
1732227000000000001,1500000,request,10.0.0.1
1732227000000000002,250000,"a ""b"", c",10.0.0.2\r
Lost 3 events
1732227000000000003,99,response,
"""
CONFIG = b"""theme = "textual-dark"
window = "1m"
refresh = "0.5s"
with = ["syscalls", "tcp"]
exclude = ["10.0.0.5", "2001:db8::/32"]
save = "~/incidents"
mouse = false
[keys]
quit = "ctrl+x"
"""
PROGRAM = b"""#!/usr/bin/env bpftrace
// /// bpftop
// title = "Disk"
// [maps.usecs]
// title = "I/O latency"
// unit = "us"
// ///
tracepoint:block:block_rq_issue { @start[args->dev, args->sector] = nsecs; }
tracepoint:block:block_rq_complete /@start[args->dev, args->sector]/ {
  @usecs = hist((nsecs - @start[args->dev, args->sector]) / 1000);
  delete(@start[args->dev, args->sector]);
  @by[comm, pid] = count(); printf("%s %d\\n", comm, pid);
}
interval:s:1 { print(@by); clear(@by); }
"""


def elf() -> bytes:
    """A program with a marker and a library."""
    marker = note(b"stapsdt\0", 3, bytes(24) + b"app\0request__start\0-4@%eax 8@%rdi\0")
    return hand_made((b".note.stapsdt", 7, marker), (b".dynamic", 6, bytes([1, *[0] * 7, 1, *[0] * 7])))


def headers() -> list[bytes]:
    """Our own scripts."""
    return [script.body.encode() for script in catalog().values()]


__all__ = ["CONFIG", "PROGRAM", "RUN", "SAMPLES", "elf", "headers", "lines", "recording", "report", "runs", "saved"]
