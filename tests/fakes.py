"""A bpftrace that does as it is told: a Python script at the place of the real one, with every bad habit on request."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = '''#!{python} -SE
import json, os, signal, sys, time
FOLDER = {folder!r}
def note(**words):
    with open(FOLDER + "/notes", "a") as file:
        file.write(json.dumps(words) + "\\n")
if sys.argv[1:] == ["--version"]:
    print("bpftrace v0.17.0")
    sys.exit()
SEED = {seed}
RUN = sum('"run"' in line for line in open(FOLDER + "/notes"))
def say(text):
    view = memoryview(text)
    while view:
        view = view[os.write(1, view):]
def complain(text):
    os.write(2, text)
def line(kind, data):
    say(json.dumps(dict(type=kind, data=data)).encode() + b"\\n")
def printf(text):
    line("printf", text + "\\n")
def now():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
def maps(count, pids):
    line("map", {{"@counts": {{str(2 << 16 | 700): count}}}})
    line("map", {{"@sent": {{"1": 0}}}})
    if pids:
        line("map", {{"@target_pids": {{str(pid): 1 for pid in pids}}}})
        line("map", {{"@target_ports": {{"80": 1}}}})
def attached(probes=9):
    line("attached_probes", dict(probes=probes))
def tick(count, pids=()):
    at = now()
    printf(f"T {{at}}")
    maps(count, pids)
    printf(f"t {{at}}")
def on_signals(do):
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: do(number))
def ends_well(count):
    """As bpftrace does on SIGINT and SIGTERM: the maps once more, then 0."""
    def end(number):
        note(signal=number)
        say(b"\\n\\n")
        maps(count, ())
        os._exit(0)
    on_signals(end)
def ignores():
    on_signals(lambda number: note(signal=number))
def forever():
    while True:
        time.sleep(0.05)
def live(count, pids=(), every_s=0.05):
    ends_well(count)
    attached()
    while True:
        tick(count, pids)
        time.sleep(every_s)
def restless():
    """From now on everything is written in pieces of any size, and now and then it waits a little."""
    global say
    import random
    chance = random.Random(SEED)
    def say(text, chance=chance):
        place = 0
        while place < len(text):
            size = chance.choice((1, 2, 7, 60, 600, 6000, 60000))
            place += os.write(1, text[place:place + size])
            if chance.random() < 0.05:
                time.sleep(chance.random() / 500)
    return chance
def event(at, latency_ns=5_000_000):
    printf(f"E 1 {{at}} {{latency_ns}} 1000 16777343 21905 11")
def counted(count, sent=0, at=None):
    """A tick with so many requests and so many events; noted before it is written."""
    at = at or now()
    printf(f"T {{at}}")
    line("map", {{"@counts": {{str(2 << 16 | 700): count}}}})
    line("map", {{"@sent": {{"1": sent}}}})
    note(count=count, sent=sent)
    printf(f"t {{at}}")
note(run=RUN, pid=os.getpid(), argv=sys.argv[1:], env=dict(os.environ), cwd=os.getcwd(),
     text=open(sys.argv[4]).read() if len(sys.argv) > 4 else "", group=os.getpgid(0))
{body}
'''


class FakeBpftrace:
    """An executable in a folder of its own and what its runs noted.

    ``body`` is Python with the helpers above; ``RUN`` counts the runs from 0, ``SEED`` is for ``restless``.
    """

    def __init__(self, folder: Path, body: str, seed: int = 0) -> None:
        self._notes = folder / "notes"
        self._notes.touch()
        self.path = folder / "bpftrace"
        self.path.write_text(_SCRIPT.format(python=sys.executable, folder=str(folder), body=body, seed=seed))
        self.path.chmod(0o755)
        _closed_by_all(self.path)

    @property
    def notes(self) -> list[dict[str, Any]]:
        """Everything noted so far."""
        return [json.loads(one) for one in self._notes.read_text().splitlines()]

    @property
    def runs(self) -> list[dict[str, Any]]:
        """One for each start."""
        return [note for note in self.notes if "run" in note]

    @property
    def signals(self) -> list[int]:
        """The signals that the runs were asked with, in order."""
        return [note["signal"] for note in self.notes if "signal" in note]


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition: Callable[[], object], why: str = "it did not happen", timeout_s: float = 30) -> None:
    """Poll until ``condition()``; fail with ``why`` long after it should have come."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(why)
        time.sleep(0.01)


def descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


def _closed_by_all(path: Path) -> None:
    """Wait for a child that another thread forked while the file was being written: it holds it until its exec.

    To execute it fails with ETXTBSY so long. A read lease is granted when nobody has it open for writing (fcntl(2)).
    """
    with path.open("rb") as file:

        def unwritten() -> bool:
            try:
                fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            except BlockingIOError:
                return False
            return True

        wait_for(unwritten, f"{path} is still being written")
