"""A real bpftrace run on real nginx, recorded: the replay gives every snapshot that was taken live, field by field."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bpftop.compare import read_run
from bpftop.model import Snapshot
from bpftop.recording.reader import Recording
from bpftop.recording.writer import Recorder
from bpftop.replay import Replay
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.target import resolve
from tests.kernel.watching import Nginx, settled, source_for, started
from tests.load import loopback_addresses, run_load
from tests.recorded import as_replayed, differences

SCRIPTS = ("requests", "connections", "http", "syscalls")


def test_what_was_recorded_of_nginx_is_what_was_seen(nginx: Nginx, tmp_path: Path) -> None:
    path, target = tmp_path / "nginx.bpftop", resolve(f":{nginx.port}")
    program = compose([catalog()[name] for name in SCRIPTS], target)
    session, recorder = Session(source_for(target, SCRIPTS), program, target), Recorder()
    recorder.begin(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), str(path))
    recorder.attach(session)
    taken: list[Snapshot] = []
    try:
        with started(session):
            for close in (False, True):
                load = run_load(
                    nginx.port, 3000, connections=20, close=close, sources=[*loopback_addresses(9), "::1"],
                    paths=["/fixed", "/index.html"],
                )  # fmt: skip
                assert load.complete
                settled(session, events=True)
                taken += [session.snapshot(window) for window in (10.0, 60.0, None)]
        taken += [session.snapshot(window) for window in (10.0, None)]
        assert recorder.end().problem == ""
    finally:
        recorder.close()
    with closing(Replay(Recording(path))) as replay:
        for live in taken:
            found = replay.at(live.unix_ns, live.window.length_s)
            if replay.position.at_end:
                found = replace(found, unix_ns=live.unix_ns, quiet_s=live.quiet_s)
            assert differences(as_replayed(live), found) == []
    assert taken[-1].measures["request_latency"].summary.count == 6000
    assert int(read_run(path).measures["request_latency"].counts.sum()) == 6000
