"""The decoder on whole runs of the scripts, recorded with several versions of bpftrace: the figures are the truth."""

from __future__ import annotations

import pytest

from bpftop.model import Rejected, Text
from bpftop.stats.store import Store
from bpftop.tracer.assemble import Assembler
from bpftop.tracer.decode import decode_line
from tests.bpftraces.record import Recording, load, recordings

VERSIONS = recordings()


def store_of(recording: Recording) -> Store:
    program = recording.program
    store, assembler = Store(program.measures, program.streams, 65_536), Assembler()
    for line in recording.stdout.split(b"\n"):
        for message in decode_line(line):
            assert not isinstance(message, Rejected | Text), line
            tick = assembler.take(message)
            if tick is not None:
                store.ingest(tick)
    store.ingest(assembler.finish(1 << 60))
    return store


def test_there_is_a_recording_of_every_version_that_is_promised() -> None:
    assert [".".join(version.split(".")[:2]) for version in VERSIONS] == ["0.17", "0.20", "0.23", "0.24", "0.27"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_run_gives_what_its_clients_did(version: str) -> None:
    recording = load(version)
    store = store_of(recording)
    found = store.measures(None)

    def by_key(name: str) -> dict[str, int]:
        return {row.client: row.count for row in found[name].clients}

    for name in ("read_queue_latency", "request_latency", "response_time"):
        assert by_key(name) == recording.requests
    for name in ("accept_queue_latency", "connection_duration"):
        assert by_key(name) == recording.connections
    assert by_key("route_latency") == recording.routes
    for name in found:
        assert found[name].summary.count == found[name].histogram.counts.sum()
    assert (store.accounting.lost, store.accounting.rejected) == (0, 0)
    assert store.accounting.produced == store.accounting.shown + store.accounting.suppressed
    assert store.ticks >= 3
    assert {event.texts["route"] for event in store.slow(None, 0) if event.event == "http"} <= set(recording.routes)
