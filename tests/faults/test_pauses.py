"""The screen, the supervisor or bpftrace stands still for a while (ctrl+z, a frozen cgroup, a suspended machine).

Nothing may be counted twice or be missing afterwards, and a second that nobody reported is not drawn as an empty one.
"""

from __future__ import annotations

import csv
import os
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from bpftop.recording.reader import Recording
from bpftop.replay import Replay
from tests.kernel.test_division import AS_NOBODY, NOBODY, WATCH, Watch
from tests.kernel.watching import Nginx, running_nginx
from tests.load import run_load
from tests.ui.ptys import child_in_terminal, save_record_quit

VICTIMS = ("screen", "supervisor", "bpftrace")
SECONDS = (1, 5, 30) if os.environ.get("BPFTOP_FAULT_ROUNDS") else (4,)


@pytest.mark.kernel
@pytest.mark.parametrize("seconds", SECONDS)
def test_who_stood_still_catches_up_and_no_number_is_wrong(
    tmp_path: Path, seconds: int, record_property: Callable[[str, object], None]
) -> None:
    """One watch for each victim, all at the same time on one nginx."""
    with ExitStack() as stack:
        nginx = stack.enter_context(running_nginx(tmp_path))
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))  # nobody may not look into pytest's
        place.chmod(0o755)
        watches = {}
        for victim in VICTIMS:
            folder = place / victim
            folder.mkdir()
            os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
            command = [*WATCH, f":{nginx.port}", "--window", "all", "--save", str(folder)]
            watches[victim] = Watch(stack.enter_context(child_in_terminal(command, (110, 40), AS_NOBODY)))
        for watch in watches.values():
            watch.start()
        total, late = _paused(nginx, watches, seconds)
        for victim, watch in watches.items():
            _saved(watch, place / victim, victim, seconds, total)
        told = ", ".join(f"{victim} {each:.1f} s" for victim, each in zip(VICTIMS, late, strict=True))
        record_property("figure", f"stopped for {seconds} s; until all that was counted is on the screen: {told}")


def _paused(nginx: Nginx, watches: dict[str, Watch], seconds: int) -> tuple[int, list[float]]:
    """Requests before and during the pause: how many; and how long each watch then took to show all of them."""
    assert run_load(nginx.port, 200, connections=2, paths=["/fixed"]).complete
    for watch in watches.values():
        watch.terminal.read(0.5)
    threads = {victim: _threads(watch) for victim, watch in watches.items()}
    for victim, watch in watches.items():
        os.kill(getattr(watch, victim), signal.SIGSTOP)
    end = time.monotonic() + seconds
    total = 200
    while time.monotonic() < end:
        assert run_load(nginx.port, 100, connections=2, paths=["/fixed"]).complete
        total += 100  # below 10,000 in all: the screen shows each of them
        for watch in watches.values():
            watch.terminal.read(max(0.1, seconds / 100))
    for victim, watch in watches.items():
        os.kill(getattr(watch, victim), signal.SIGCONT)
    with ThreadPoolExecutor(len(watches)) as pool:
        late = list(pool.map(lambda each: _caught_up(each, total), watches.values()))
    assert all(_threads(watch) <= threads[victim] for victim, watch in watches.items()), "who else reads the keys?"
    return total, late


def _threads(watch: Watch) -> int:
    return len(os.listdir(f"/proc/{watch.screen}/task"))


def _caught_up(watch: Watch, total: int) -> float:
    """The seconds until it is live and shows everything that was counted."""
    begun = time.monotonic()
    watch.terminal.until("LIVE")
    watch.terminal.until(f"all {total} ")
    return time.monotonic() - begun


def _saved(watch: Watch, folder: Path, victim: str, seconds: int, total: int) -> None:
    """What it saves and records is what happened."""
    terminal = watch.terminal
    save_record_quit(terminal)
    (percentiles,), (accounts,) = folder.glob("*percentiles.csv"), folder.glob("*accounting.csv")
    counted = {row["measure"]: int(row["count"]) for row in rows(percentiles)}
    assert counted["request_latency"] == total, victim
    told = {row["quantity"]: row["value"] for row in rows(accounts)}
    parts = [int(told[name]) for name in ("shown", "suppressed", "lost", "rejected")]
    assert int(told["produced"]) == sum(parts), victim
    (clients,) = folder.glob("*clients.csv")
    assert sum(int(row["count"]) for row in rows(clients) if row["measure"] == "request_latency") == total, victim
    (path,) = folder.glob("*.bpftop")
    with closing(Replay(Recording(path))) as replay:
        end = replay.at(replay.position.end_ns, None)
    assert end.measures["request_latency"].summary.count == total, victim
    assert end.tracer.restarts == 0
    spans = end.histories[0].spans_s
    assert (max(spans) > seconds - 1) == (victim == "bpftrace") or seconds < 4, (victim, spans)


def rows(path: Path) -> list[dict[str, str]]:
    """Of a CSV file."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
