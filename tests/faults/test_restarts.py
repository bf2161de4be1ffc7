"""The target restarts and reloads again and again under several watches: each counts all of it, and nothing grows."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.test_pauses import rows
from tests.kernel.test_division import AS_NOBODY, NOBODY, WATCH, Watch, children
from tests.kernel.watching import Nginx, free_port, running_nginx, wait_for
from tests.load import run_load
from tests.ui.ptys import child_in_terminal

FULL = bool(os.environ.get("BPFTOP_FAULT_ROUNDS"))
__test__ = FULL
"""Only in ``make faults``: tests/kernel/test_following.py has a reload and a restart for every test run."""
CASES = [(2, 50), (4, 50)]
MIB = 1 << 20
EACH = 100
MOST = {"supervisor": 2 * MIB, "screen": 16 * MIB, "bpftrace": 8 * MIB}
"""What the screen keeps of the seconds that pass is bounded (test_memory.py), and so is what it has not kept yet."""


@dataclass(frozen=True)
class Held:
    """What a process has."""

    files: int
    threads: int
    children: int
    programs: int
    resident: int

    @classmethod
    def of(cls, pid: int) -> Held:
        """Now."""
        place = Path(f"/proc/{pid}")
        links = [os.readlink(each) for each in (place / "fd").iterdir()]
        resident = int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return cls(
            len(links), len(list((place / "task").iterdir())), len(children(pid)),
            sum("bpf-prog" in link for link in links), resident,
        )  # fmt: skip


@pytest.mark.kernel
@pytest.mark.parametrize(("instances", "restarts"), CASES)
def test_a_target_that_restarts_again_and_again(
    tmp_path: Path, instances: int, restarts: int, record_property: Callable[[str, object], None]
) -> None:
    port = free_port()
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.chmod(0o755)
        watches = []
        for number in range(instances):
            folder = place / str(number)
            folder.mkdir()
            os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
            command = [*WATCH, f":{port}", "--window", "all", "--save", str(folder)]
            terminal = stack.enter_context(child_in_terminal(command, (110, 40), AS_NOBODY))
            watches.append(Watch(terminal))
        for watch in watches:
            watch.start()
        nginx = stack.enter_context(Restarted(tmp_path, port))
        total = _one(nginx, watches, 0, True)
        before = [_held(watch) for watch in watches]
        for number in range(restarts):
            total = _one(nginx, watches, total, number % 2 == 0)
        after = [_held(watch) for watch in watches]
        for watch, was, now in zip(watches, before, after, strict=True):
            _not_grown(was, now)
            watch.terminal.type("e")
            watch.terminal.until("saved")
            watch.terminal.type("q")
            assert watch.ended() == 0
        for number in range(instances):
            _counted(place / str(number), total)
    grown = {
        name: max(b[name].resident - a[name].resident for a, b in zip(before, after, strict=True)) for name in MOST
    }
    told = ", ".join(f"{name} {each / MIB:+.1f} MiB" for name, each in grown.items())
    record_property(
        "figure", f"{restarts} restarts and reloads under {instances} watches: {total} requests each, {told}"
    )


class Restarted:
    """An nginx that is ended and started again, or reloads."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder
        self._life = ExitStack()
        self._nginx: Nginx | None = None

    def __enter__(self) -> Restarted:
        return self

    def __exit__(self, *_: object) -> None:
        self._life.close()

    def again(self, anew: bool) -> None:
        """Another master, or other workers."""
        if anew or self._nginx is None:
            self._life.close()
            self._nginx = self._life.enter_context(running_nginx(self._folder, self.port))
            return
        master = self._nginx.pid
        workers = set(children(master))
        self._nginx.signal("reload")
        wait_for(lambda: len(found := set(children(master))) == 2 and not found & workers, "no new workers")


def _one(nginx: Restarted, watches: list[Watch], total: int, anew: bool) -> int:
    """A restart or a reload, and some requests; how many there have been."""
    nginx.again(anew)
    assert run_load(nginx.port, EACH, connections=2, paths=["/fixed"]).complete
    total += EACH
    for watch in watches:
        watch.terminal.until(f"all {total} ")
        watch.terminal.until(" 3 processes")
    return total


def _held(watch: Watch) -> dict[str, Held]:
    return {name: Held.of(getattr(watch, name)) for name in MOST}


def _not_grown(before: dict[str, Held], after: dict[str, Held]) -> None:
    for name, most in MOST.items():
        was, now = before[name], after[name]
        assert (now.threads, now.children, now.programs) == (was.threads, was.children, was.programs), name
        assert abs(now.files - was.files) <= 2, f"{name}: what costs statistics are asked for with is open now and then"
        assert now.resident - was.resident < most, name


def _counted(folder: Path, total: int) -> None:
    (percentiles,), (accounts,) = folder.glob("*percentiles.csv"), folder.glob("*accounting.csv")
    counted = {row["measure"]: int(row["count"]) for row in rows(percentiles)}
    told = {row["quantity"]: row["value"] for row in rows(accounts)}
    lost = sum(int(told[name]) for name in ("lost", "rejected", "untracked"))
    assert (counted["request_latency"], lost) == (total, 0)
    assert told["inconclusive"] == ""
