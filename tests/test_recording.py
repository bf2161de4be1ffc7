"""Live, recorded, replayed: the same figures. Torn, flipped and hostile files: the last good block or a sentence."""

from __future__ import annotations

import lzma
import os
import random
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpftop.compare import read_run
from bpftop.compare.recordings import histograms
from bpftop.errors import FileError
from bpftop.model import Snapshot, State
from bpftop.recording import codec, writer
from bpftop.recording.blocks import Scanned, scan
from bpftop.recording.codec import Damaged, pack, seal, unpack, unseal
from bpftop.recording.frames import decode
from bpftop.recording.reader import Recording
from bpftop.recording.sums import Summing
from bpftop.recording.table import pack_tables, tables_of
from bpftop.recording.writer import Recorder
from bpftop.replay import Replay, _Player
from bpftop.scripts import catalog, compose
from bpftop.session import Session
from bpftop.tracer.simulate import SimulatedSource, comm_of, scenario_of, simulated_target
from tests.recorded import ChanceRun, StoryRun, as_replayed, differences

WINDOWS = (10.0, 60.0, 300.0, None, 7.0)


def new_file(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def simulated(speed: float, every_event: bool = False) -> Session:
    found = scenario_of()
    target = simulated_target(found)
    program = compose([script for script in catalog().values() if script.default], target, every_event)
    return Session(SimulatedSource(program, found, speed=speed), program, target, comm_of=comm_of(found))


@contextmanager
def recorded(session: Session, path: Path, keep: bool = False) -> Iterator[Recorder]:
    """The session runs and is recorded from its first tick on."""
    recorder = Recorder(keep)
    try:
        if not keep:
            recorder.begin(new_file(path), str(path))
        recorder.attach(session)
        session.start()
        yield recorder
        session.stop()
        recorder.end()
    finally:
        session.stop()
        recorder.close()


LONG_S = 1000
Whole = tuple[Path, list[Snapshot]]
Closes = Callable[[Replay], None]


@pytest.fixture
def closes() -> Iterator[Closes]:
    """Closes each at the end."""
    with ExitStack() as stack:

        def close_later(replay: Replay) -> None:
            stack.callback(replay.close)

        yield close_later


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Snapshot]]:
    """A recording of 25 minutes, and snapshots taken live meanwhile."""
    path = tmp_path_factory.mktemp("recording") / "whole.bpftop"
    taken: list[Snapshot] = []
    run = ChanceRun()
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(writer, "SUM_NS", 100 * 10**9)
    recorder = Recorder()
    recorder.begin(new_file(path), str(path))
    recorder.attach(run)
    for _ in range(LONG_S // 100):
        run.run(100)
        taken += [run.snapshot(window) for window in WINDOWS]
    assert recorder.end().problem == ""
    recorder.close()
    monkeypatch.undo()
    return path, taken


def test_a_replay_gives_the_snapshots_that_were_taken_live(whole: Whole, closes: Closes) -> None:
    path, taken = whole
    recording = Recording(path)
    assert (recording.problem, recording.ended) == ("", True)
    replay = Replay(recording)
    closes(replay)
    assert taken[-2].measures["request_latency"].summary.count > 10_000
    jumps = [taken[-1], taken[0], taken[-6], taken[11]]
    for live in [*taken, *jumps]:
        found = replay.at(live.unix_ns, live.window.length_s)
        assert differences(as_replayed(live), found) == []


def test_a_live_session_and_its_recording(tmp_path: Path, closes: Closes) -> None:
    """The same through the threads of a session: every snapshot that was seen."""
    taken: list[Snapshot] = []
    path = tmp_path / "live.bpftop"
    with recorded(session := simulated(5), path):
        end = time.monotonic() + 3
        while time.monotonic() < end:
            taken += [session.snapshot(window) for window in WINDOWS]
            time.sleep(0.2)
    taken += [session.snapshot(window) for window in WINDOWS]
    assert taken[-1].tracer.state is State.STOPPED
    assert taken[-1].ticks > 5
    replay = Replay(Recording(path))
    closes(replay)
    for live in taken:
        if live.ticks == 0:
            continue
        found = replay.at(live.unix_ns, live.window.length_s)
        if replay.position.at_end:  # what was looked at later is as it was at the end
            found = replace(found, unix_ns=live.unix_ns, quiet_s=live.quiet_s)
        assert differences(as_replayed(live), found) == []


def test_nobody_rests_while_any_number_of_events_may_come() -> None:
    """A pipe holds some thousands: bpftrace must not wait with more than it can keep."""
    resting = [simulated(1), simulated(1, every_event=True)]
    for session in resting:
        session.start()
    try:
        assert all(session.wait_live(60) for session in resting)
        longest = [0.0, 0.0]
        for _ in range(30):
            longest = [max(known, session._rest_s()) for known, session in zip(longest, resting, strict=True)]
            time.sleep(0.1)
        assert longest[0] > 0.3
        assert longest[1] == 0
    finally:
        for session in resting:
            session.stop()


def test_nobody_waits_for_the_clock_of_a_fast_simulation() -> None:
    session = simulated(20)
    session.start()
    try:
        assert session.wait_live(60)
        assert all(session.wait_tick(60) for _ in range(5))
        assert session._rest_s() < 1.5, "their clock is ten seconds ahead"
    finally:
        session.stop()


# --- torn, flipped, hostile ---


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Half a minute of some requests, as bytes."""
    path = tmp_path_factory.mktemp("recording") / "small.bpftop"
    run, recorder = StoryRun(0.1), Recorder()
    recorder.begin(new_file(path), str(path))
    recorder.attach(run)
    run.run(15)
    recorder.end()
    recorder.close()
    return path.read_bytes()


def totals(path: Path) -> dict[str, int] | str:
    """What the file says was counted, or the sentence that says why it cannot be read."""
    try:
        run = read_run(path)
    except FileError as error:
        return error.message
    assert all("partial" in each for each in run.problems)
    return {name: int(each.counts.sum()) for name, each in run.measures.items()} | {"partial": bool(run.problems)}


def scan_file(path: Path) -> Scanned:
    try:
        with path.open("rb") as file:
            return scan(file)
    except Damaged as error:
        return Scanned((), str(error), 0)


def known_totals(path: Path) -> list[dict[str, int]]:
    """What may be counted: the sums up to the end of each block."""
    with closing(Recording(path)) as recording:
        track = recording.tracks[0]
        summing, found = Summing(track.measures), []
        for block in track.blocks:
            for frame in recording.frames(track, block):
                summing.add(frame)
            assert summing.sum is not None
            found.append({name: int(h.counts.sum()) for name, h in histograms(track, summing.sum)})
    return found


def test_a_file_that_is_cut_anywhere_opens_to_its_last_good_block(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.bpftop"
    path.write_bytes(small)
    known = known_totals(path)
    assert totals(path) == known[-1] | {"partial": False}
    sentences, opened = 0, 0
    cuts = range(max(0, len(small) - (64 << 10)), len(small))
    with path.open("r+b") as file:
        for size in reversed(cuts):
            file.truncate(size)
            if size % 31 and size > 100 and size < len(small) - 30:
                scanned = scan_file(path)  # every byte: the blocks that are left; every 31st: the figures too
                assert scanned.problem or scanned.size == size
                continue
            found = totals(path)
            if isinstance(found, str):
                assert "recording" in found or "header" in found or "holds nothing" in found, found
                sentences += 1
            else:
                assert found["partial"] or size == len(small)
                assert {name: n for name, n in found.items() if name != "partial"} in known
                opened += 1
    assert sentences > 100
    assert opened > 30


@pytest.mark.parametrize("seed", range(3))
def test_flipped_bits_are_found_and_never_counted(small: bytes, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "flipped.bpftop"
    path.write_bytes(small)
    known, chance = known_totals(path), random.Random(seed)
    for _ in range(25):
        data = bytearray(small)
        for _ in range(chance.choice((1, 1, 2, 40))):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        if data == small:
            continue
        path.write_bytes(data)
        found = totals(path)
        if not isinstance(found, str):
            assert found["partial"]
            assert {name: n for name, n in found.items() if name != "partial"} in known


@pytest.mark.parametrize("seed", range(3))
def test_a_payload_of_somebody_else_is_refused_in_words(small: bytes, tmp_path: Path, seed: int) -> None:
    """The checksums are right and the content is not: what a hostile file would be."""
    path = tmp_path / "hostile.bpftop"
    path.write_bytes(small)
    chance = random.Random(seed)
    with closing(Recording(path)) as recording:
        track = recording.tracks[0]
        payload = recording._payload(track.blocks[0])
        for _ in range(60):
            sections = dict(unseal(payload))
            number = chance.choice(list(sections))
            raw = bytearray(sections[number])
            for _ in range(chance.choice((1, 3))):
                at = chance.randrange(len(raw))
                raw[at : at + chance.randrange(3)] = bytes(chance.randrange(256) for _ in range(chance.randrange(3)))
            sections[number] = bytes(raw)
            with suppress(Damaged):  # and nothing else
                figures = _Player(recording, track).figures
                for frame in decode(seal(sections), track.measures):
                    figures.take(frame)
                figures.snapshot(60.0, StoryRun.BEGIN_NS)


def test_what_claims_to_be_long_is_not_believed() -> None:
    bomb = lzma.compress(bytes(40 << 20), lzma.FORMAT_RAW, filters=codec._FILTERS)
    for raw in (40 << 20, codec.MAX_RAW, 10):
        with pytest.raises(Damaged):
            unseal(struct.pack("<BII", 1, raw, len(bomb)) + bomb)
    with pytest.raises(Damaged):
        list(unpack(struct.pack("<IB", 1 << 31, 8) + bytes(100)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no recording of bpftop"),
        (b"#!/bin/sh\n", "is no recording of bpftop"),
        (b"bpftop recording 2\n" + bytes(100), "another version"),
        (b"bpftop recording 1\n", "has no header"),
        (b"bpftop recording 1\n" + bytes(100), "has no header: damaged at byte 19"),
    ],
)
def test_what_is_no_recording_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.bpftop"
    path.write_bytes(content)
    with pytest.raises(FileError, match=said):
        Recording(path)


@given(st.lists(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 2**50), max_size=6), min_size=1, max_size=5))
def test_tables_come_back_as_they_were(tables: list[dict[int, int]]) -> None:
    pairs = [
        (np.array(sorted(each), np.uint64), np.array([each[key] for key in sorted(each)], np.int64)) for each in tables
    ]
    found = list(tables_of(unpack(pack_tables(pairs)), len(pairs)))
    for (keys, counts), (found_keys, found_counts) in zip(pairs, found, strict=True):
        assert keys.tolist() == found_keys.tolist()
        assert counts.tolist() == found_counts.tolist()


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8), max_size=4))
def test_columns_come_back_as_they_were(columns: list[list[int]]) -> None:
    found = unpack(next(iter(unseal(seal({7: pack(np.array(each, np.int64) for each in columns)})).values())))
    assert [each.tolist() for each in found] == columns


# --- the past ---


def test_a_recording_begins_with_what_was_kept(tmp_path: Path, closes: Closes) -> None:
    """Begun after seventeen minutes, it holds the last ten; the windows are those of the live run."""
    run, recorder, path = ChanceRun(), Recorder(keep=True), tmp_path / "past.bpftop"
    recorder.attach(run)
    run.run(1000)
    recorder.begin(new_file(path), str(path))
    run.run(45)
    live = [run.snapshot(window) for window in (10.0, 60.0, 300.0)]
    everything = run.snapshot(None)
    assert recorder.end().problem == ""
    recorder.close()
    replay = Replay(Recording(path))
    closes(replay)
    assert 590 < replay.position.end_ns / 1e9 - replay.position.start_ns / 1e9 < 660
    for snapshot in live:
        found = replay.at(snapshot.unix_ns, snapshot.window.length_s)
        for name, measure in snapshot.measures.items():
            again = found.measures[name]
            assert differences(measure.summary, again.summary) == []
            assert differences(measure.histogram, again.histogram) == []
            assert differences(measure.clients, again.clients) == []
        books = found.accounting
        assert books.produced == books.shown + books.suppressed + books.lost + books.rejected
        assert 0 < books.produced < everything.accounting.produced


@pytest.mark.parametrize("all_end", [True, False], ids=["quit", "stopped by the user"])
def test_a_script_added_on_the_screen_is_in_the_last_figures_unless_it_was_stopped(
    all_end: bool, tmp_path: Path, closes: Closes
) -> None:
    recorder, path, found = Recorder(keep=True), tmp_path / "added.bpftop", scenario_of()
    program = compose([catalog()["syscalls"]], simulated_target(found))
    added = Session(SimulatedSource(program, found, speed=30), program, simulated_target(found))
    main = simulated(30)
    recorder.attach(main)
    recorder.attach(added, "syscalls")
    try:
        main.start()
        added.start()
        recorder.begin(new_file(path), str(path))
        while main.snapshot(None).ticks < 12 or added.snapshot(None).ticks < 12:
            time.sleep(0.05)
        if all_end:
            recorder.leaving()
    finally:
        added.stop()
        main.stop()
    assert recorder.end().problem == ""
    recorder.close()
    replay = Replay(Recording(path))
    closes(replay)
    last = replay.at(replay.position.end_ns, None)
    assert ("syscall_latency" in last.measures) is all_end
    assert "request_latency" in last.measures
    if all_end:
        live = added.snapshot(None).measures["syscall_latency"]
        assert last.measures["syscall_latency"].summary.count == live.summary.count > 0
