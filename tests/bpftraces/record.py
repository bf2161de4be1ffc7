"""Short runs of the composed scripts, recorded with each bpftrace: test data for the decoder, with their truth.

``python -m tests.bpftraces --record`` makes those under ``tests/data/recordings`` anew.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bpftop.model import EventStream, Measure, Program
from bpftop.scripts import catalog, compose
from bpftop.target import resolve
from bpftop.tracer.supervisor import BpftraceSource
from tests.load import LoadResult, delay_server, run_load

if TYPE_CHECKING:
    from tests.bpftraces.versions import Version

FOLDER = Path(__file__).parents[1] / "data" / "recordings"
SCRIPTS = ("requests", "connections", "http")
_PATHS = ("/first", "/second?q=1")
_SOURCES = ("127.0.0.1", "127.0.0.2", "::1")


@dataclass(frozen=True, slots=True)
class Recording:
    """The bytes of a run, and what its clients did."""

    version: str
    stdout: bytes
    program: Program
    requests: Mapping[str, int]
    connections: Mapping[str, int]
    routes: Mapping[str, int]


def recordings() -> list[str]:
    """The versions that were recorded."""
    return sorted(path.name.split("-")[1].removesuffix(".stdout") for path in FOLDER.glob("scripts-*.stdout"))


def load(version: str) -> Recording:
    """One recording, with the measures as they were declared then."""
    told = json.loads((FOLDER / f"scripts-{version}.truth.json").read_text())
    measures = tuple(Measure(**{**one, "labels": tuple(one["labels"])}) for one in told["measures"])
    streams = tuple(EventStream(**{**one, "fields": tuple(one["fields"])}) for one in told["streams"])
    stdout = (FOLDER / f"scripts-{version}.stdout").read_bytes()
    truth = (told["requests"], told["connections"], told["routes"])
    return Recording(version, stdout, Program("", (), measures, streams), *truth)


def record(version: Version) -> None:
    """Run the scripts with this bpftrace on a server of known work; write what it said and what was done."""
    with delay_server("constant:2000000", host6="::1", threads=2) as server:
        target = resolve(f":{server.port}")
        program = compose([catalog()[name] for name in SCRIPTS], target)
        source = BpftraceSource(program, str(version.path))
        said = bytearray()
        source.start()
        reader = threading.Thread(target=_read, args=(source.stdout, said))
        reader.start()
        try:
            _wait(said, b'"t ', 60)
            done = run_load(server.port, 300, connections=6, sources=_SOURCES, paths=_PATHS)
            closed = run_load(server.port, 60, connections=6, close=True, sources=_SOURCES, paths=_PATHS)
            time.sleep(2.2)  # every half of the clients' maps has been printed
        finally:
            source.stop()
            reader.join(20)
            source.wait(10)
    _write(version, program, bytes(said), _truth(done, closed))


def _read(pipe: int, said: bytearray) -> None:
    with open(pipe, "rb", buffering=0, closefd=False) as file:
        while chunk := file.read(1 << 16):
            said += chunk


def _wait(said: bytearray, words: bytes, timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while words not in said:
        if time.monotonic() > end:
            raise RuntimeError(f"bpftrace says {bytes(said[-500:])!r}")
        time.sleep(0.05)


def _truth(*loads: LoadResult) -> dict[str, Any]:
    sources = [item for one in loads for item in one.sources.items()]
    requests = {a: sum(s.responses for b, s in sources if a == b) for a in _SOURCES}
    connections = {a: sum(s.connections for b, s in sources if a == b) for a in _SOURCES}
    half = sum(requests.values()) // len(_PATHS)  # the generator takes the paths in turn
    return {
        "requests": requests,
        "connections": connections,
        "routes": {f"GET {path.partition('?')[0]}": half for path in _PATHS},
    }


def _write(version: Version, program: Program, said: bytes, truth: dict[str, Any]) -> None:
    told = {"measures": [asdict(m) for m in program.measures], "streams": [asdict(s) for s in program.streams]}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"scripts-{version.number}.stdout").write_bytes(said)
    (FOLDER / f"scripts-{version.number}.truth.json").write_text(json.dumps(truth | told, indent=1) + "\n")
