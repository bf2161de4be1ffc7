"""The screen on a real nginx: in tmux as a person starts it, and in a terminal that nobody reads for a while."""

from __future__ import annotations

import csv
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.watching import Nginx, wait_for
from tests.load import load_in_background, loopback_addresses, run_load
from tests.ui.ptys import child_in_terminal

ROOT = Path(__file__).parents[2]


BPFTOP = ["-P", "-m", "bpftop"]


class Tmux:
    """A tmux server of the test's own."""

    def __init__(self, name: str) -> None:
        self._base = ["tmux", "-f", "/dev/null", "-L", name]

    def call(self, *words: str) -> str:
        return subprocess.run([*self._base, *words], capture_output=True, text=True, check=False).stdout

    @property
    def text(self) -> str:
        return self.call("capture-pane", "-p")

    def alive(self) -> bool:
        return bool(self.call("list-sessions"))


@contextmanager
def _in_tmux(size: tuple[int, int], command: list[str]) -> Iterator[Tmux]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: apt-get install tmux")
    tmux = Tmux(f"bpftop-test-{os.getpid()}-{size[0]}")
    line = f"PYTHONPATH={shlex.quote(str(ROOT))} {shlex.join(command)}"
    try:
        tmux.call("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), line)
        yield tmux
    finally:
        tmux.call("kill-server")


@pytest.mark.parametrize("size", [(80, 24), (160, 50)], ids=["80x24", "160x50"])
def test_in_tmux_on_real_nginx(nginx: Nginx, tmp_path: Path, size: tuple[int, int]) -> None:
    command = [sys.executable, *BPFTOP, f":{nginx.port}", "--window", "all", "--save", str(tmp_path)]
    with _in_tmux(size, command) as tmux:
        wait_for(lambda: "LIVE" in tmux.text, f"not live:\n{tmux.text}", 60)
        assert "waiting for the first request" in tmux.text
        sources = loopback_addresses(3)
        load = run_load(nginx.port, 3333, connections=6, sources=sources, paths=["/fixed"])
        assert load.complete
        wait_for(lambda: _count_of(tmux.text, "Request") == 3333, f"no count:\n{tmux.text}", 20)
        assert _count_of(tmux.text, "Accept queue") == 6
        tmux.call("send-keys", "4")
        for source in sources:
            row = f"{source} {load.sources[source].responses}"
            wait_for(lambda row=row: row in " ".join(tmux.text.replace(",", "").split()), f"no {row}:\n{tmux.text}")
        tmux.call("send-keys", "5")
        wait_for(lambda: "slowest first" in tmux.text, f"no slow requests:\n{tmux.text}")
        tmux.call("send-keys", "0")
        wait_for(lambda: "produced" in tmux.text, f"no accounting:\n{tmux.text}")
        tmux.call("send-keys", "e")
        wait_for(lambda: len(list(tmp_path.glob("*.csv"))) == 5, f"no files:\n{tmux.text}")
        tmux.call("send-keys", "q")
        wait_for(lambda: not tmux.alive(), "q does not end it")


def _count_of(screen: str, title: str) -> int | None:
    """The ``n`` of a measure on the Overview: the first whole number behind its title, however it is grouped."""
    for line in screen.splitlines():
        if line.strip(" ›").startswith(title):
            numbers = [word.replace(",", "") for word in line.split()]
            return next((int(word) for word in numbers if word.isdigit()), None)
    return None


def test_a_terminal_that_nobody_reads_loses_nothing(nginx: Nginx, tmp_path: Path) -> None:
    """20,000 requests/s asked for, two seconds without a byte taken from the terminal."""
    requests = 60_000
    command = [*BPFTOP, f":{nginx.port}", "--window", "all", "--refresh", "0.25s", "--save", str(tmp_path)]
    with child_in_terminal(command, (120, 40)) as terminal:
        terminal.until("LIVE")
        with load_in_background(nginx.port, requests, connections=32, rate_per_s=20_000, paths=["/fixed"]) as load:
            time.sleep(2.0)  # the terminal's buffer is full by now and the screen stands still
            result: list[bool] = []
            waiter = threading.Thread(target=lambda: result.append(load.result().complete))
            waiter.start()
            while waiter.is_alive():
                terminal.read(0.1)
            assert result == [True]
        end = time.monotonic() + 3  # the last tick and a frame
        while time.monotonic() < end:
            terminal.read(0.1)
        terminal.type("e")
        end = time.monotonic() + 20
        while len(list(tmp_path.glob("*.csv"))) < 5:
            assert time.monotonic() < end, f"nothing saved:\n{terminal.text}"
            terminal.read(0.1)
        terminal.type("q")
        assert terminal.leave() == 0
    (percentiles,) = tmp_path.glob("*percentiles.csv")
    with percentiles.open(newline="") as file:
        counts = {row["measure"]: int(row["count"]) for row in csv.DictReader(file)}
    assert counts["request_latency"] == requests
    assert counts["read_queue_latency"] == requests
